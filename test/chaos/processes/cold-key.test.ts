import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startStack, type Stack } from '../../integration/stack.js';
import { coldClients } from './callers.js';
import { startReplicas, stopReplicas, type Replica } from './replicas.js';
import { lookIntoRedis } from './stored-record.js';

// Several processes start: on a loaded machine that takes longer than what is shown.
vi.setConfig({ testTimeout: 60_000 });

const SOURCE = 'payments-api';
const BROKERS = 5;
const CALLERS = 200;
/** Beside the call of the identity provider, 200 connections answer in this very process. */
const REQUEST_TIMEOUT_MS = 15_000;

let stack: Stack;
let replicas: Replica[] = [];
const issued: string[] = [];

beforeAll(async () => {
  stack = await startStack({
    brokers: 0,
    tokenTransform: (accessToken) => {
      issued.push(accessToken);
      return accessToken;
    },
  });
  replicas = await startReplicas(stack, BROKERS);
});

afterAll(async () => {
  await stopReplicas(replicas);
  await stack.stop();
});

it('F1: 200 callers, 5 brokers, a cold key: one call of the identity provider, one generation', async () => {
  const clients = await coldClients(stack, CALLERS, REQUEST_TIMEOUT_MS);
  stack.idp.setDelay(300);
  const tokens = await Promise.all(clients.map((client) => client.source(SOURCE).get()));
  expect(tokens).toHaveLength(CALLERS);
  expect(stack.idpCalls()).toBe(1);
  expect(new Set(tokens.map(({ generation }) => generation)).size).toBe(1);
  expect([...new Set(tokens.map(({ accessToken }) => accessToken))]).toEqual(issued);
  const stored = lookIntoRedis(stack, SOURCE);
  expect((await stored.record())['generation']).toBe(String(tokens[0]?.generation));
  stored.close();
  // Every replica had its part of them: single flight held across processes, not within one.
  for (const replica of replicas) expect(await replica.metric('token_broker_requests_total')).toBeGreaterThan(0);
});
