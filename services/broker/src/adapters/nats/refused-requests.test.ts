import { LIMITS } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { ask, failureOf, OK, serviceBedOfFile, subjects } from './fakes/service-bed.js';

const { audit, dropped, login, serve } = serviceBedOfFile();

describe('a request that no handler may see', () => {
  it.each([
    ["another caller's inbox", '_INBOX.billing.abc'],
    ['an inbox whose name begins the same', '_INBOX.orders2.abc'],
    ['an event subject', 'token-broker.v1.event.payments.abc'],
    ['another request', 'token-broker.v1.admin.orders.revoke'],
  ])('drops, counts and audits a request whose reply would go to %s', async (_, reply) => {
    let handled = 0;
    await serve(() => {
      handled += 1;
      return OK;
    });
    const root = await login('root');
    const heard: string[] = [];
    root.subscribe(reply, { callback: (error, message) => heard.push(String(error ?? message.subject)) });
    const orders = await login('orders');
    orders.publish(subjects.get('orders', 'payments'), 'forged', { reply });
    await eventually(() => dropped.length > 0, { what: 'the drop' });
    expect(dropped).toEqual(['reply-subject']);
    expect(handled).toBe(0);
    const facts = { requests: 1, subject: subjects.get('orders', 'payments'), lastReply: reply };
    expect(audit.entries).toEqual([{ event: 'reply-subject.forged', by: 'orders', result: 'refused', facts }]);
    // What was published before a round trip of both sides would have arrived by now.
    expect(await ask(orders, subjects.get('orders', 'payments'))).toBe('{"v":1}');
    await root.flush();
    expect(heard).toEqual([]);
  });

  it('writes a flood of forged reply subjects to the audit trail as a first line and a count', async () => {
    const { service } = await serve(() => OK);
    const orders = await login('orders');
    for (let i = 0; i < 1_000; i += 1)
      orders.publish(subjects.get('orders', 'payments'), '', { reply: `_INBOX.billing.${String(i)}` });
    await eventually(() => dropped.length === 1_000, { what: 'all drops' });
    await service.drain(1_000);
    expect(audit.entries.map(({ by }) => by)).toEqual(['orders', 'orders']);
    expect(audit.entries[1]?.facts).toEqual({ requests: 999, lastReply: '_INBOX.billing.999' });
  });

  it('drops and counts a request that has no reply subject', async () => {
    let handled = 0;
    await serve(() => {
      handled += 1;
      return OK;
    });
    const orders = await login('orders');
    orders.publish(subjects.get('orders', 'payments'));
    await eventually(() => dropped.length > 0, { what: 'the drop' });
    expect(dropped).toEqual(['no-reply-subject']);
    expect(handled).toBe(0);
  });

  it.each(['*', '>', 'or$ders', 'a'.repeat(65)])('drops a request of the impossible caller %j', async (name) => {
    let handled = 0;
    await serve(() => {
      handled += 1;
      return OK;
    });
    const root = await login('root');
    root.publish(subjects.get(name, 'payments'), '', { reply: `_INBOX.${name}.x` });
    await root.flush();
    root.publish(subjects.get('orders', 'payments'));
    await eventually(() => dropped.includes('no-reply-subject'), { what: 'the request that was sent after it' });
    expect(handled).toBe(0);
    // A server may refuse wildcards in a published subject by itself; where it passes them on, they end here.
    expect(dropped.filter((why) => why === 'reply-subject').length).toBe(audit.entries.length);
    if (!['*', '>'].includes(name)) expect(dropped).toContain('reply-subject');
  });

  it('refuses a source that is no identifier', async () => {
    await serve(() => OK);
    const orders = await login('orders');
    const { code, message } = failureOf(await ask(orders, subjects.get('orders', 'pay$ments')));
    expect(code).toBe('BAD_REQUEST');
    expect(message).toContain('the source in the subject must match');
  });

  it('refuses an oversize body without giving it to the handler; one at the limit passes', async () => {
    let handled = 0;
    await serve(() => {
      handled += 1;
      return OK;
    });
    const orders = await login('orders');
    const subject = subjects.get('orders', 'payments');
    expect(failureOf(await ask(orders, subject, new Uint8Array(LIMITS.requestBytes + 1))).code).toBe('BAD_REQUEST');
    expect(handled).toBe(0);
    expect(await ask(orders, subject, new Uint8Array(LIMITS.requestBytes))).toBe('{"v":1}');
  });
});
