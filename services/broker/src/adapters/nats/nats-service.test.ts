import { describe, expect, it } from 'vitest';
import type { ServiceRequest } from '../../app/ports/bus.js';
import type { LogFields } from '../../app/ports/telemetry.js';
import { ask, failureOf, holdAnswer, OK, serviceBedOfFile, subjects } from './fakes/service-bed.js';

const { dropped, log, login, serve } = serviceBedOfFile();

describe('createNatsService', () => {
  it('answers on the own inbox of the caller, whom the subject names', async () => {
    const requests: ServiceRequest[] = [];
    await serve((request) => {
      requests.push(request);
      return OK;
    });
    const orders = await login('orders');
    expect(await ask(orders, subjects.get('orders', 'payments'))).toBe('{"v":1}');
    expect(await ask(orders, subjects.rejected('orders', 'payments'), '{"generation":1}')).toBe('{"v":1}');
    expect(await ask(orders, subjects.sync('orders'))).toBe('{"v":1}');
    expect(await ask(orders, subjects.admin('orders', 'revoke'))).toBe('{"v":1}');
    expect(
      requests.map(({ verb, caller: who, target, subject, body }) => [verb, who, target, subject, body.length]),
    ).toEqual([
      ['get', 'orders', 'payments', subjects.get('orders', 'payments'), 0],
      ['rejected', 'orders', 'payments', subjects.rejected('orders', 'payments'), 16],
      ['sync', 'orders', '', subjects.sync('orders'), 0],
      ['admin', 'orders', 'revoke', subjects.admin('orders', 'revoke'), 0],
    ]);
    expect(dropped).toEqual([]);
  });

  it('answers by promise as well, and out of order', async () => {
    const slow = holdAnswer();
    await serve(({ target }) => (target === 'slow' ? slow.promise : Promise.resolve(OK)));
    const orders = await login('orders');
    const first = ask(orders, subjects.get('orders', 'slow'));
    expect(await ask(orders, subjects.get('orders', 'fast'))).toBe('{"v":1}');
    slow.give(Buffer.from('"late"'));
    expect(await first).toBe('"late"');
  });

  it('answers INTERNAL when the handler throws or rejects, logs it, and goes on', async () => {
    await serve(({ target }) => {
      if (target === 'throws') throw new Error('it threw');
      return target === 'rejects' ? Promise.reject(new Error('it rejected')) : OK;
    });
    const orders = await login('orders');
    for (const [target, text] of [
      ['throws', 'it threw'],
      ['rejects', 'it rejected'],
    ] as const) {
      const error = failureOf(await ask(orders, subjects.get('orders', target)));
      expect(error.code).toBe('INTERNAL');
      expect(error.message).not.toContain(text);
      expect(log.lines).toContainEqual(
        expect.objectContaining({ level: 'error', fields: expect.objectContaining({ detail: text }) as LogFields }),
      );
    }
    expect(await ask(orders, subjects.get('orders', 'payments'))).toBe('{"v":1}');
  });

  it('answers INTERNAL when the reply is larger than the server takes', async () => {
    await serve(() => new Uint8Array(2 * 1024 * 1024));
    const orders = await login('orders');
    expect(failureOf(await ask(orders, subjects.get('orders', 'payments'))).code).toBe('INTERNAL');
  });

  it('refuses with BROKER_UNAVAILABLE and a pause what is above the bound of requests under way', async () => {
    const held = holdAnswer();
    await serve(() => held.promise, { maxUnderWay: 2 });
    const orders = await login('orders');
    const subject = subjects.get('orders', 'payments');
    const waiting = [ask(orders, subject), ask(orders, subject)];
    const error = failureOf(await ask(orders, subject));
    expect(error.code).toBe('BROKER_UNAVAILABLE');
    expect(error.retryAfterMs).toBeGreaterThan(0);
    held.give(OK);
    expect(await Promise.all(waiting)).toEqual(['{"v":1}', '{"v":1}']);
    expect(await ask(orders, subject)).toBe('{"v":1}');
  });

  it('is found by discovery, with name, version, queue group and endpoints', async () => {
    await serve(() => OK);
    const root = await login('root');
    const found: unknown[] = [];
    for await (const info of await root.services.client().info('token-broker')) found.push(info);
    expect(found).toEqual([
      expect.objectContaining({
        name: 'token-broker',
        version: '1.2.3',
        endpoints: [
          expect.objectContaining({ name: 'get', subject: 'token-broker.v1.get.*.*', queue_group: 'token-broker' }),
          expect.objectContaining({ name: 'rejected', subject: 'token-broker.v1.rejected.*.*' }),
          expect.objectContaining({ name: 'sync', subject: 'token-broker.v1.sync.*' }),
          expect.objectContaining({ name: 'admin', subject: 'token-broker.v1.admin.*.*' }),
        ],
      }),
    ]);
  });

  it('shares the requests among replicas: each reaches exactly one', async () => {
    const handled = [0, 0];
    for (const replica of [0, 1])
      await serve(() => {
        handled[replica] = (handled[replica] ?? 0) + 1;
        return OK;
      });
    const orders = await login('orders');
    const subject = subjects.get('orders', 'payments');
    await Promise.all(Array.from({ length: 100 }, () => ask(orders, subject)));
    expect((handled[0] ?? 0) + (handled[1] ?? 0)).toBe(100);
    expect(Math.min(...handled)).toBeGreaterThan(0);
  });
});
