import { afterAll, beforeAll, expect, it } from 'vitest';
import { startStack, type Stack } from './stack.js';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.stop());

it('K6 F1: cold callers on all replicas cost one call, and all get the same token', async () => {
  const clients = await Promise.all(['orders', 'billing', 'ops'].map((caller) => stack.client(caller)));
  const before = stack.idpCalls();
  const tokens = await Promise.all(
    clients.flatMap((client) => Array.from({ length: 100 }, () => client.source('payments-api').get())),
  );
  expect(stack.idpCalls() - before).toBe(1);
  expect(new Set(tokens.map(({ accessToken }) => accessToken)).size).toBe(1);
});
