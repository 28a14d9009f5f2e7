import { decode, encode, LIMITS, rejectedReplySchema, type RejectedReply } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { ask } from './asking.js';
import { metricValue, startStack, type Stack } from './stack.js';

let stack: Stack;
let orders: NatsConnection;

beforeAll(async () => {
  stack = await startStack();
  orders = await stack.connectAs('orders');
});
afterAll(() => stack.stop());
afterEach(() => {
  stack.idp.setDelay(0);
});

it.each([
  ['a slot', (slot: string) => ({ slot })],
  ['a source', () => ({ source: 'payments-api' })],
  ['everything', () => ({ all: true as const })],
])(
  'I1: after %s is revoked every near cache has dropped it, and the next use gets a new token',
  async (_, selectorOf) => {
    const clients = await Promise.all(
      ['orders', 'billing', 'ops'].map((caller) => stack.client(caller, { refetchOnRevoke: false })),
    );
    const handles = clients.map((client) => client.source('payments-api'));
    const old = await Promise.all(handles.map((handle) => handle.get()));
    const operator = await stack.operator();
    const reply = await operator.revoke({
      selector: selectorOf(handles[0]?.slot ?? ''),
      wait: true,
      timeoutMs: 5_000,
      reason: 'a test',
    });
    expect(reply).toMatchObject({ complete: true, broadcast: true, slots: 1, brokers: { expected: 3, acked: 3 } });
    // Receipts are confirmed truth: nobody still holds it when they are in.
    expect(reply.receipts?.stragglers).toEqual([]);
    expect(reply.receipts?.confirmed.length).toBeGreaterThanOrEqual(3);
    expect(handles.map(({ current }) => current)).toEqual([undefined, undefined, undefined]);
    const before = stack.idpCalls();
    const fresh = await Promise.all(handles.map((handle) => handle.get()));
    expect(stack.idpCalls() - before).toBe(1);
    expect(new Set(fresh.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(fresh[0]?.accessToken).not.toBe(old[0]?.accessToken);
    for (const client of clients) await client.close();
  },
);

it('I2: a dry run says what would go and changes nothing', async () => {
  const before = await ask(orders, 'orders', 'payments-api');
  const operator = await stack.operator();
  expect(await operator.revoke({ selector: { source: 'payments-api' }, dryRun: true })).toMatchObject({
    dryRun: true,
    slots: 1,
    complete: false,
  });
  expect((await ask(orders, 'orders', 'payments-api')).accessToken).toBe(before.accessToken);
});

it('I2: revoking what is not there is no error', async () => {
  const operator = await stack.operator();
  expect(await operator.revoke({ selector: { source: 'orders-api' }, reason: 'a test' })).toMatchObject({
    slots: 0,
    complete: true,
  });
});

it('I4: a reported 401 drops the token everywhere and costs one call', async () => {
  const reporter = await stack.client('orders');
  const other = await stack.client('billing', { refetchOnRevoke: false });
  const token = await reporter.source('payments-api').get();
  await other.source('payments-api').get();
  const before = stack.idpCalls();
  expect(await reporter.source('payments-api').reportRejected(token)).toBe('dropped');
  const fresh = await reporter.source('payments-api').get();
  expect(fresh.generation).toBeGreaterThan(token.generation);
  await eventually(() => other.source('payments-api').current?.generation !== token.generation, {
    what: 'the other near cache to drop the refused token',
  });
  expect(stack.idpCalls() - before).toBe(1);
  // A near cache that is still there fetches anew after each revocation.
  for (const client of [reporter, other]) await client.close();
});

it('I5: 10,000 reports of one generation cost at most one call, and reports of an old one none', async () => {
  const { epoch, generation } = await ask(orders, 'orders', 'payments-api');
  const report = async (of: number): Promise<RejectedReply['outcome']> => {
    const reply = await orders.request(
      'token-broker.v1.rejected.orders.payments-api',
      encode({ epoch, generation: of }),
      { timeout: 20_000 },
    );
    const decoded = decode(rejectedReplySchema, reply.data, LIMITS.replyBytes);
    if (!decoded.ok) throw new Error(decoded.error);
    return decoded.value.outcome;
  };
  const before = stack.idpCalls();
  const outcomes = new Map<string, number>();
  for (let batch = 0; batch < 20; batch++) {
    for (const outcome of await Promise.all(Array.from({ length: 500 }, () => report(generation))))
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  await ask(orders, 'orders', 'payments-api');
  expect(outcomes.get('dropped') ?? 0).toBeLessThanOrEqual(1);
  expect(stack.idpCalls() - before).toBeLessThanOrEqual(1);

  const settled = stack.idpCalls();
  expect(await report(generation - 1)).not.toBe('dropped');
  await ask(orders, 'orders', 'payments-api');
  expect(stack.idpCalls()).toBe(settled);
});

it('I6 F8 F9: a token that was being fetched when it was revoked is neither served nor stored', async () => {
  const operator = await stack.operator();
  await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' });
  stack.idp.setDelay(600);
  const { tokensIssued: issuedBefore, tokenRequests: requestsBefore } = stack.idp.counts();
  const flying = ask(orders, 'orders', 'payments-api');
  await eventually(() => stack.idp.counts().tokenRequests > requestsBefore, { what: 'the call to be under way' });
  const revoked = await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' });
  expect(revoked.complete).toBe(true);
  stack.idp.setDelay(0);
  const [afterAck, waited] = await Promise.all([ask(orders, 'orders', 'payments-api'), flying]);
  // Two were issued: the one of the flight before the revocation is with nobody.
  await eventually(() => stack.idp.counts().tokensIssued - issuedBefore >= 2, { what: 'the answers of the provider' });
  expect(stack.idp.counts().tokensIssued - issuedBefore).toBe(2);
  expect(waited.accessToken).toBe(afterAck.accessToken);
  // The provider has answered before the broker commits, and whoever waited may have its successor before that.
  const refused = { reason: 'dead' };
  await eventually(
    async () => {
      const texts = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
      return texts.some((text) => metricValue(text, 'token_broker_commits_refused_total', refused) > 0);
    },
    { what: 'the commit of the first to be refused' },
  );
});

it('G7: revoke fails loudly when Redis is away, and promises nothing', async () => {
  const alone = await startStack({ brokers: 1 });
  try {
    const operator = await alone.operator();
    await alone.redis.kill('SIGKILL');
    await expect(operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
  } finally {
    await alone.stop();
  }
});
