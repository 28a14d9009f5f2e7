import { eventually, startRedis } from '@token-broker/testing';
import { afterEach, expect, it } from 'vitest';
import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import { codesOf, refusalsIn, generationsOf, startGets, startRequests, stepsBack, tokensOf } from './load.js';
import {
  BACK_WITHIN_MS,
  NEAR_CACHE_NOTICES_WITHIN_MS,
  startStoreStack,
  whenAllReady,
  type StoreStack,
  type StoreStackOptions,
} from './store-stack.js';
import { storedRecord } from './stored-record.js';

const BROKERS = 2;
const HELD = subjects.get('billing', 'payments-api');
const NOT_HELD = subjects.get('billing', 'orders-api');

let stack: StoreStack;
let billing: RawCaller;
afterEach(() => stack.stop());

async function start(options: StoreStackOptions = {}): Promise<void> {
  stack = await startStoreStack({ brokers: BROKERS, ...options });
  billing = createRawCaller(await stack.connectAs('billing'), 'billing');
}

/** Asks so often that every replica has answered. */
const answers = (subject: string): Promise<Awaited<ReturnType<RawCaller['answer']>>[]> =>
  Promise.all(Array.from({ length: 24 }, () => billing.answer(subject)));

it('F13: FLUSHALL under load, again and again: one call for each, and no caller is handed anything older than before', async () => {
  const FLUSHES = 3;
  await start();
  const clients = await Promise.all(['orders', 'billing', 'ops'].map((caller) => stack.client(caller)));
  const handles = clients.map((client) => client.source('payments-api'));
  await Promise.all(handles.map((handle) => handle.get()));
  const gets = handles.map(startGets);
  const calls = stack.idpCalls();
  for (let flush = 0; flush < FLUSHES; flush++) {
    const before = Math.max(...handles.map(({ current }) => current?.epoch ?? 0));
    await stack.direct.flushall();
    await eventually(() => handles.every(({ current }) => (current?.epoch ?? 0) > before), {
      what: 'every near cache to be in the new epoch',
      withinMs: BACK_WITHIN_MS + NEAR_CACHE_NOTICES_WITHIN_MS,
    });
  }
  const all = await Promise.all(gets.map((load) => load.stop()));
  for (const handed of all) {
    expect(handed.length).toBeGreaterThan(50);
    expect(stepsBack(handed)).toEqual([]);
    expect(refusalsIn(handed)).toEqual([]);
  }
  expect(stack.idpCalls() - calls).toBe(FLUSHES);
});

it('F16: Redis out of memory: an error without a call, what is held is served, revocations are taken', async () => {
  await start();
  const [held] = await Promise.all([answers(HELD)]);
  const calls = stack.idpCalls();
  await stack.direct.config('SET', 'maxmemory', '100kb');

  expect(codesOf(await answers(NOT_HELD))).toEqual(new Set(['STORE_UNAVAILABLE']));
  expect(stack.idpCalls()).toBe(calls);
  const during = await answers(HELD);
  expect(generationsOf(during)).toEqual(generationsOf(held));
  expect(stack.logLines.some((line) => line.includes('OOM'))).toBe(true);
  // What takes tokens back must not depend on room for new ones.
  const operator = await stack.operator();
  expect(await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).toMatchObject({
    complete: true,
    slots: 1,
  });
  expect(codesOf(await answers(HELD))).toEqual(new Set(['STORE_UNAVAILABLE']));

  await stack.direct.config('SET', 'maxmemory', '0');
  expect(refusalsIn([...(await answers(HELD)), ...(await answers(NOT_HELD))])).toEqual([]);
  expect(stack.idpCalls() - calls).toBe(2);
});

it('F16: memory that runs out during the call: never a token without its record', async () => {
  await start();
  await answers(NOT_HELD);
  const calls = stack.idpCalls();
  stack.idp.setHanging(true);
  const asked = billing.answer(HELD);
  await eventually(() => stack.idpCalls() > calls, { what: 'the call' });
  await stack.direct.config('SET', 'maxmemory', '100kb');
  stack.idp.setHanging(false);
  const reply = await asked;
  const { slot } = (await stack.client('billing')).source('payments-api');
  const record = await storedRecord(stack.direct, slot);
  expect('error' in reply ? undefined : reply.generation).toBe(record?.generation);
  if ('error' in reply) expect(reply.error.code).toBe('STORE_UNAVAILABLE');
  await stack.direct.config('SET', 'maxmemory', '0');
});

it.each([
  ['with its data', true],
  ['without its data', false],
])(
  'a restart %s under load: held tokens are served meanwhile, one call in the new epoch, nothing that was revoked returns',
  async (_, keepData) => {
    const redis = await startRedis({ persistence: true });
    await start({ redis });
    const client = await stack.client('orders');
    const handle = client.source('payments-api');
    const revoked = await handle.get();
    const operator = await stack.operator();
    // Each write is on disk before it is answered: this is durable.
    expect(
      await operator.revoke({ selector: { source: 'payments-api' }, wait: true, timeoutMs: 5_000, reason: 'a test' }),
    ).toMatchObject({
      complete: true,
      durable: true,
    });
    const before = await handle.get();
    await answers(HELD);
    const calls = stack.idpCalls();
    const [gets, requests] = [startGets(handle), startRequests(billing, HELD, 4)];
    await redis.restart({ keepData });
    const after = await eventually(() => (handle.current?.epoch ?? 0) > before.epoch && handle.current, {
      what: 'the near cache to be in the new epoch',
      withinMs: BACK_WITHIN_MS + NEAR_CACHE_NOTICES_WITHIN_MS,
    });
    await whenAllReady(stack);
    const [handed, replies] = [await gets.stop(), await requests.stop()];
    expect(refusalsIn(handed)).toEqual([]);
    expect(refusalsIn(replies)).toEqual([]);
    expect(stepsBack(handed)).toEqual([]);
    expect(tokensOf(replies)).not.toContain(revoked.accessToken);
    expect([...generationsOf(replies)].sort()).toEqual([before.generation, after.generation]);
    expect(stack.idpCalls() - calls).toBe(1);
    // A replica counts when it holds a lease of the new epoch.
    await eventually(
      async () => {
        const { complete, brokers } = await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' });
        return complete && brokers.expected === BROKERS && brokers.acked === BROKERS;
      },
      { what: 'a revocation that every replica confirms', withinMs: BACK_WITHIN_MS },
    );
  },
);
