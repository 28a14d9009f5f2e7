import { eventually } from '@token-broker/testing';
import type { GetReply } from '@token-broker/protocol';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import { codesOf, refusalsIn, generationsOf, startGets, startRequests, stepsBack } from './load.js';
import {
  BACK_WITHIN_MS,
  COMMAND_TIMEOUT_MS,
  LEASE_MS,
  TICK_MS,
  startStoreStack,
  totalOf,
  whenAllReady,
  type StoreStack,
} from './store-stack.js';
import { clock, timed } from './timing.js';

const BROKERS = 2;
/** Requests enough to reach every replica. */
const MANY = 24;
/** So long is what is held served while Redis is away. */
const MAX_STALENESS_MS = 5_000;
/** What a loaded machine may add to a time that the configuration gives. */
const SLACK_MS = 1_500;

const HELD = subjects.get('billing', 'payments-api');
const NOT_HELD = subjects.get('billing', 'orders-api');

let stack: StoreStack;
let billing: RawCaller;

beforeEach(async () => {
  stack = await startStoreStack({ brokers: BROKERS, maxStaleness: `${String(MAX_STALENESS_MS)}ms` });
  billing = createRawCaller(await stack.connectAs('billing'), 'billing');
  await answers(HELD);
});
afterEach(() => stack.stop());

function answers(subject: string, count = MANY): Promise<GetReply[]> {
  return Promise.all(Array.from({ length: count }, () => billing.answer(subject)));
}

/** As Redis numbers them, without the test's own. */
async function connectionsOfBrokers(): Promise<string[]> {
  const own = `id=${String(await stack.direct.client('ID'))} `;
  const lines = String(await stack.direct.call('CLIENT', 'LIST', 'TYPE', 'normal'))
    .trim()
    .split('\n');
  return lines.filter((line) => !line.startsWith(own)).map((line) => line.split(' ')[0] ?? '');
}

it('F14 R3: Redis blackholed: what is held is served, the rest fails within the deadline, one try in each process', async () => {
  const calls = stack.idpCalls();
  const held = generationsOf(await answers(HELD));
  expect(held.size).toBe(1);
  const readsBefore = await totalOf(stack, 'token_broker_store_failures_total', { command: 'read' });
  stack.proxy.halfOpen();

  const refused = await timed(() => answers(NOT_HELD, 40));
  expect(refused.value).toHaveLength(40);
  expect(codesOf(refused.value)).toEqual(new Set(['STORE_UNAVAILABLE']));
  expect(generationsOf(refused.value).size).toBe(0);
  // One command without a reply, and no caller waits for a second.
  expect(refused.tookMs).toBeLessThan(COMMAND_TIMEOUT_MS + SLACK_MS);
  const reads = (await totalOf(stack, 'token_broker_store_failures_total', { command: 'read' })) - readsBefore;
  expect(reads).toBeLessThanOrEqual(BROKERS);

  const served = await answers(HELD);
  expect(generationsOf(served)).toEqual(held);
  expect(refusalsIn(served)).toEqual([]);
  expect(stack.idpCalls()).toBe(calls);

  stack.proxy.mend();
  await whenAllReady(stack);
  expect(refusalsIn(await answers(NOT_HELD))).toEqual([]);
  expect(stack.idpCalls() - calls).toBe(1);
});

it('R3: while Redis is down tokens are served, flagged when nobody reads along, and to the staleness bound only', async () => {
  const held = generationsOf(await answers(HELD));
  stack.proxy.cut();
  const cutAtMs = clock.elapsedMs();
  await eventually(
    async () => {
      const reply = await billing.token(HELD);
      return !reply.verified;
    },
    { what: 'an answer that is flagged', withinMs: LEASE_MS + SLACK_MS },
  );
  const requests = startRequests(billing, HELD, 2);
  await eventually(() => requests.seen.some((reply) => 'error' in reply), {
    what: 'the end of the service',
    withinMs: MAX_STALENESS_MS + SLACK_MS,
  });
  // The last time that a replica has read along is at most a tick before the cut.
  expect(clock.elapsedMs() - cutAtMs).toBeGreaterThan(MAX_STALENESS_MS - TICK_MS - COMMAND_TIMEOUT_MS);
  const seen = await requests.stop();
  expect(seen.length).toBeGreaterThan(100);
  expect(generationsOf(seen)).toEqual(held);
  expect(codesOf(seen)).toEqual(new Set(['STORE_UNAVAILABLE']));
});

it('R5: an outage at a high request rate writes a bounded number of lines, and counts every refusal', async () => {
  /** Of one message at most so many lines in 10 s; and so many messages there are that an outage of Redis is told by. */
  const LINES_OF_ONE_MESSAGE = 20;
  const MESSAGES = 6;
  const REFUSALS = 2_000;
  const refusalsBefore = await totalOf(stack, 'token_broker_requests_total', { outcome: 'STORE_UNAVAILABLE' });
  const linesBefore = stack.logLines.length;
  stack.proxy.cut();
  const requests = startRequests(billing, NOT_HELD, 40);
  await eventually(() => requests.seen.length >= REFUSALS, { what: 'many refusals', withinMs: 9_000 });
  const seen = await requests.stop();
  expect(codesOf(seen)).toEqual(new Set(['STORE_UNAVAILABLE']));
  const lines = stack.logLines.slice(linesBefore);
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThanOrEqual(BROKERS * LINES_OF_ONE_MESSAGE * MESSAGES);
  expect(await totalOf(stack, 'token_broker_requests_total', { outcome: 'STORE_UNAVAILABLE' })).toBe(
    refusalsBefore + seen.length,
  );
  expect(await totalOf(stack, 'token_broker_store_failures_total')).toBeGreaterThan(0);
  // What was not written is said in one line each.
  for (const { log } of stack.brokers) log.flush();
  const leftOut = stack.logLines.flatMap((line) => /"leftOut":(\d+)/.exec(line)?.slice(1, 2) ?? []);
  expect(leftOut.reduce((sum, count) => sum + Number(count), 0)).toBeGreaterThan(0);
});

it('F11: a revocation while Redis is blackholed fails loudly within the deadline, and the next one is complete', async () => {
  const operator = await stack.operator();
  stack.proxy.halfOpen();
  const { tookMs } = await timed(() =>
    expect(operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    }),
  );
  expect(tookMs).toBeLessThan(COMMAND_TIMEOUT_MS + SLACK_MS);
  expect(stack.logLines.some((line) => line.includes('admin: failed, nothing is promised'))).toBe(true);
  stack.proxy.mend();
  await whenAllReady(stack);
  expect(await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).toMatchObject({
    complete: true,
    slots: 1,
  });
});

it('connections that Redis kills under load cost no caller anything, and are opened again', async () => {
  const KILLS = 5;
  const client = await stack.client('orders');
  const gets = startGets(client.source('payments-api'));
  const requests = startRequests(billing, HELD);
  const calls = stack.idpCalls();
  for (let kill = 0; kill < KILLS; kill++) {
    const known = await connectionsOfBrokers();
    await stack.direct.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually(
      async () => {
        const now = await connectionsOfBrokers();
        return now.length === BROKERS && now.every((id) => !known.includes(id));
      },
      { what: 'every replica to connect again', withinMs: BACK_WITHIN_MS },
    );
  }
  await whenAllReady(stack);
  const [handed, replies] = [await gets.stop(), await requests.stop()];
  expect(replies.length).toBeGreaterThan(100);
  expect(refusalsIn(replies)).toEqual([]);
  expect(refusalsIn(handed)).toEqual([]);
  expect(stepsBack(handed)).toEqual([]);
  expect(generationsOf(replies).size).toBe(1);
  expect(stack.idpCalls()).toBe(calls);
});
