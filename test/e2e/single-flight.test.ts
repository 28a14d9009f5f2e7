import { createSystemClock } from '@token-broker/foundation';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask } from '../integration/asking.js';
import {
  CLIENT_ID,
  CLIENT_SECRET,
  sourceSettings,
  startStack,
  type Settings,
  type Stack,
} from '../integration/stack.js';
import { startBrokerProcess, type BrokerProcess } from './broker-process.js';

const ROUNDS = 7;
const CALLERS = 300;
const IDP_MS = 200;
const clock = createSystemClock();

let stack: Stack;
let brokers: BrokerProcess[];

beforeAll(async () => {
  stack = await startStack({
    brokers: 0,
    configure: (settings, idp) => {
      const names = Array.from({ length: ROUNDS + 1 }, (_, round) => `cold-${String(round)}`);
      const sources = Object.fromEntries(names.map((name) => [name, sourceSettings(idp)]));
      return {
        ...settings,
        sources,
        callers: { ...(settings['callers'] as Settings), orders: { sources: ['*'] }, billing: { sources: ['*'] } },
      };
    },
  });
  brokers = await Promise.all([0, 1, 2].map(() => startBrokerProcess(stack.configurationPath)));
});

afterAll(async () => {
  await Promise.all(brokers.map(({ program }) => program.stop()));
  await stack.stop();
});

async function directCallMs(): Promise<number> {
  const startedAtMs = clock.elapsedMs();
  const reply = await fetch(stack.idp.tokenEndpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'payments:read payments:write' }),
  });
  await reply.text();
  expect(reply.status).toBe(200);
  return clock.elapsedMs() - startedAtMs;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

it('K6 G1: 3 replica processes, 300 cold callers, an identity provider of 200 ms: 1 call, and nobody waits 1.1 times a direct call', async () => {
  const connection = await stack.connectAs('orders');
  stack.idp.setDelay(IDP_MS);
  // Discovery and connections are of the first round, which does not count.
  await ask(connection, 'orders', `cold-${String(ROUNDS)}`);
  const direct: number[] = [];
  const slowest: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    direct.push(await directCallMs());
    const before = stack.idp.counts().tokenRequests;
    const startedAtMs = clock.elapsedMs();
    const replies = await Promise.all(
      Array.from({ length: CALLERS }, () => ask(connection, 'orders', `cold-${String(round)}`)),
    );
    slowest.push(clock.elapsedMs() - startedAtMs);
    expect(stack.idp.counts().tokenRequests - before).toBe(1);
    expect(new Set(replies.map(({ accessToken }) => accessToken)).size).toBe(1);
  }
  const ratio = median(slowest) / median(direct);
  console.log(
    `slowest of ${String(CALLERS)} callers: ${median(slowest).toFixed(1)} ms, direct call: ${median(direct).toFixed(1)} ms, ratio ${ratio.toFixed(3)}`,
  );
  expect(ratio).toBeLessThanOrEqual(1.1);
});
