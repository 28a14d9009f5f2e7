import { eventually, startRedis, type RedisServer } from '@token-broker/testing';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import { sourceSettings, startStack, type Stack } from '../../integration/stack.js';
import { refusalsIn, generationsOf, startGets, stepsBack } from './load.js';
import { startShiftedClock, type ShiftedClock } from './shifted-clock.js';
import { connectTo, totalOf } from './store-stack.js';
import { storedRecord } from './stored-record.js';

const MINUTES_MS = 60_000;
/** Far longer than the jumps: no token dies of one. */
const LIFE_SECONDS = 7_200;
/** An event between two replicas of a loaded machine. */
const AGREED_WITHIN_MS = 2_000;
const HELD = subjects.get('billing', 'payments-api');

let redis: RedisServer;
let shifted: ShiftedClock;
let direct: Redis;
let stack: Stack;
let billing: RawCaller;

beforeEach(async () => {
  redis = await startRedis();
  direct = connectTo(redis);
  shifted = await startShiftedClock(redis, direct);
  stack = await startStack({
    brokers: 2,
    tokenLifeSeconds: LIFE_SECONDS,
    configure: (settings, idp) => ({
      ...settings,
      redis: { url: `redis://${shifted.host}:${String(shifted.port)}`, commandTimeout: '1s' },
      sources: { 'payments-api': sourceSettings(idp), 'orders-api': sourceSettings(idp) },
    }),
  });
  billing = createRawCaller(await stack.connectAs('billing'), 'billing');
});
afterEach(async () => {
  direct.disconnect();
  await stack.stop();
  await shifted.stop();
  await redis.stop();
});

/** Asks so often that every replica has answered. */
const answers = (): Promise<Awaited<ReturnType<RawCaller['answer']>>[]> =>
  Promise.all(Array.from({ length: 16 }, () => billing.answer(HELD)));

it.each([
  ['ahead', 10 * MINUTES_MS],
  ['back', -10 * MINUTES_MS],
])(
  'F32: the clock of Redis jumps %s: nothing is fetched for it, revocations end, and generations go on',
  async (_, jumpMs) => {
    const handle = (await stack.client('orders')).source('payments-api');
    const before = await handle.get();
    await answers();
    const calls = stack.idpCalls();
    const gets = startGets(handle);
    const operator = await stack.operator();
    for (const aheadMs of [jumpMs, 0]) {
      await shifted.jumpTo(aheadMs);
      const held = await answers();
      expect(refusalsIn(held)).toEqual([]);
      expect(generationsOf(held).size).toBe(1);
      expect(await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).toMatchObject({
        complete: true,
        slots: 1,
      });
      const after = await answers();
      expect(refusalsIn(after)).toEqual([]);
      expect(Math.min(...generationsOf(after))).toBeGreaterThan(Math.max(...generationsOf(held)));
    }
    const handed = await gets.stop();
    expect(stepsBack([before, ...handed])).toEqual([]);
    expect(refusalsIn(handed)).toEqual([]);
    // One after each of the two revocations.
    expect(stack.idpCalls() - calls).toBe(2);
  },
);

it('F32: the clock jumps over the end of a flight: a second call at most, and one token for each generation', async () => {
  await answers();
  await (await stack.operator()).revoke({ selector: { source: 'payments-api' }, reason: 'a test' });
  const calls = stack.idpCalls();
  stack.idp.setHanging(true);
  const first = answers();
  await eventually(() => stack.idpCalls() - calls === 1, { what: 'the call' });
  await shifted.jumpTo(10 * MINUTES_MS);
  // The lock's own time is Redis's, which has jumped too.
  for (const key of await direct.keys('{test:*}:lock:*')) await direct.del(key);
  await eventually(() => stack.idpCalls() - calls === 2, { what: 'the second call' });
  stack.idp.setHanging(false);
  const replies = await first;
  expect(refusalsIn(replies)).toEqual([]);
  const tokens = new Map<number, Set<string>>();
  for (const reply of [...replies, ...(await answers())]) {
    if ('error' in reply) throw new Error(reply.error.code);
    tokens.set(reply.generation, (tokens.get(reply.generation) ?? new Set()).add(reply.accessToken));
  }
  expect([...tokens.values()].map(({ size }) => size)).toEqual([...tokens.values()].map(() => 1));
  expect(stack.idpCalls() - calls).toBe(2);
  const { slot } = (await stack.client('billing')).source('payments-api');
  expect((await storedRecord(direct, slot))?.generation).toBe(Math.max(...tokens.keys()));
  // Both are good. A replica that holds the earlier one hears of the later one by its event.
  const latest = Math.max(...tokens.keys());
  await eventually(async () => [...generationsOf(await answers())].every((generation) => generation === latest), {
    what: 'every replica to answer with the later one',
    withinMs: AGREED_WITHIN_MS,
  });
  expect(await totalOf(stack, 'token_broker_idp_calls_total', { outcome: 'ok' })).toBe(stack.idpCalls());
});
