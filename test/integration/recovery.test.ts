import { eventually } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask } from './asking.js';
import { startStack, type Stack } from './stack.js';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.stop());

it('F13: an emptied Redis begins a new epoch: one more call, and no generation goes backwards at a client', async () => {
  const client = await stack.client('orders');
  const handle = client.source('payments-api');
  const before = await handle.get();
  const calls = stack.idpCalls();
  const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  await redis.flushall();
  redis.disconnect();
  const after = await eventually(
    async () => {
      const token = await handle.get();
      return token.epoch > before.epoch ? token : undefined;
    },
    { what: 'a token of the new epoch', withinMs: 10_000 },
  );
  expect(after.generation).toBeGreaterThan(before.generation);
  expect(stack.idpCalls() - calls).toBe(1);
  await client.close();
});

it('F15: a Redis that restarts, with nothing kept, is found again, and everything works', async () => {
  await stack.redis.restart({ keepData: false });
  const orders = await stack.connectAs('orders');
  await eventually(() => ask(orders, 'orders', 'payments-api'), { what: 'a token', withinMs: 15_000, everyMs: 100 });
  const operator = await stack.operator();
  // Replicas are back one after the other: a revocation waits for those that hold a lease again.
  await eventually(
    async () => {
      const { complete, brokers } = await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' });
      return complete && brokers.expected === 3 && brokers.acked === 3;
    },
    { what: 'a revocation that all three brokers confirm', withinMs: 10_000 },
  );
});

it('F26: a NATS that restarts is found again by brokers and near caches, and revocations arrive', async () => {
  const client = await stack.client('billing', { refetchOnRevoke: false });
  const handle = client.source('payments-api');
  const before = await handle.get();
  await stack.nats.restart();
  const operator = await stack.operator();
  await eventually(() => operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' }), {
    what: 'a revocation',
    withinMs: 15_000,
    everyMs: 100,
  });
  await eventually(() => handle.current?.generation !== before.generation, {
    what: 'the near cache to drop the token',
    withinMs: 10_000,
  });
  const after = await eventually(() => handle.get(), { what: 'a new token', withinMs: 15_000, everyMs: 100 });
  expect(after.generation).toBeGreaterThan(before.generation);
});

it('F17: a near cache that is cut off fails closed at its bound, and serves again when it is back', async () => {
  const client = await stack.client('orders', { refetchOnRevoke: false });
  const handle = client.source('payments-api');
  const before = await handle.get();
  await stack.nats.kill('SIGSTOP');
  try {
    await eventually(() => handle.current === undefined, { what: 'the near cache to fail closed', withinMs: 10_000 });
    await expect(handle.get({ timeoutMs: 500 })).rejects.toMatchObject({ name: 'TokenBrokerError' });
  } finally {
    await stack.nats.kill('SIGCONT');
  }
  const after = await eventually(() => handle.get(), { what: 'a token', withinMs: 15_000, everyMs: 100 });
  expect(after.generation).toBeGreaterThanOrEqual(before.generation);
});
