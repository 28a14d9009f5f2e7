import { delay } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { ask, clock, failureOf, holdAnswer, OK, serviceBedOfFile, subjects } from './fakes/service-bed.js';

const { dropped, login, serve } = serviceBedOfFile();

describe('draining', () => {
  it('loses no request under load: each is answered by the one that leaves or by the one that stays', async () => {
    const answer = (from: string) => async (): Promise<Uint8Array> => {
      await delay(clock, 2);
      return Buffer.from(from);
    };
    const { service: leaving } = await serve(answer('leaving'));
    await serve(answer('staying'));
    const orders = await login('orders');
    const subject = subjects.get('orders', 'payments');
    const replies: string[] = [];
    let load = true;
    const worker = async (): Promise<void> => {
      while (load) replies.push(await ask(orders, subject));
    };
    const workers = Array.from({ length: 50 }, worker);
    await eventually(() => replies.filter((reply) => reply === 'leaving').length > 50, { what: 'load on both' });
    await leaving.drain(5_000);
    expect(leaving.isConnected()).toBe(false);
    const after = replies.length;
    await eventually(() => replies.length > after + 200, { what: 'load on the one that stays' });
    load = false;
    await Promise.all(workers);
    expect(new Set(replies)).toEqual(new Set(['leaving', 'staying']));
    expect(new Set(replies.slice(after + 50))).toEqual(new Set(['staying']));
    expect(dropped).toEqual([]);
  });

  it('tells those it leaves at the limit to try elsewhere at once, and counts them', async () => {
    const late = holdAnswer();
    let handled = 0;
    const { service, connection } = await serve(() => {
      handled += 1;
      return late.promise;
    });
    const orders = await login('orders');
    const replies: string[] = [];
    orders.subscribe('_INBOX.orders.once', { callback: (_, message) => replies.push(message.string()) });
    orders.publish(subjects.get('orders', 'payments'), '', { reply: '_INBOX.orders.once' });
    await eventually(() => handled === 1, { what: 'the request' });
    await service.drain(50);
    await eventually(() => replies.length === 1, { what: 'the reply' });
    expect(failureOf(replies[0] ?? '')).toMatchObject({ code: 'BROKER_UNAVAILABLE', retryAfterMs: 0 });
    expect(dropped).toEqual(['draining']);

    // An answer that comes after all is a second one: it must not be sent. The next broker's answer comes after it.
    late.give(Buffer.from('"late"'));
    await connection.close();
    await serve(() => OK);
    expect(await ask(orders, subjects.get('orders', 'payments'))).toBe('{"v":1}');
    expect(replies).toHaveLength(1);
  });
});
