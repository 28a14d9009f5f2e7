import {
  eventually,
  startFaultProxy,
  startRedis,
  startRedisReplica,
  startSentinel,
  type RedisReplica,
  type RedisServer,
} from '@token-broker/testing';
import type { GetReply } from '@token-broker/protocol';
import type { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { ask } from '../../integration/asking.js';
import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import type { Settings } from '../../integration/stack.js';
import { refusalsIn, generationsOf, startGets, startRequests, stepsBack, tokensOf } from './load.js';
import {
  BACK_WITHIN_MS,
  COMMAND_TIMEOUT_MS,
  NEAR_CACHE_NOTICES_WITHIN_MS,
  connectTo,
  startStoreStack,
  totalOf,
  whenAllReady,
  type StoreStack,
} from './store-stack.js';
import { storedRecord } from './stored-record.js';

/** Silence after which Sentinel takes the master for down. */
const DOWN_AFTER_MS = 1_000;
/** Sentinel's own election and promotion take one to three seconds more; then brokers must find the new master. */
const FAILED_OVER_WITHIN_MS = DOWN_AFTER_MS + 5_000 + 2 * COMMAND_TIMEOUT_MS + BACK_WITHIN_MS;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
function ending<T extends { stop(): Promise<unknown> }>(one: T): T {
  ends.push(() => one.stop());
  return one;
}

/** A master, its replica, and who watches them. */
async function startWatchedPair(): Promise<{
  readonly stack: StoreStack;
  readonly master: RedisServer;
  readonly replica: RedisReplica;
}> {
  const master = ending(await startRedis());
  const replica = ending(await startRedisReplica({ of: master }));
  const sentinel = ending(await startSentinel({ name: 'main', master, downAfterMs: DOWN_AFTER_MS }));
  const watcher = connectTo(sentinel);
  ends.push(() => {
    watcher.disconnect();
  });
  await eventually(async () => ((await watcher.call('SENTINEL', 'REPLICAS', 'main')) as unknown[]).length === 1, {
    what: 'Sentinel to know the replica',
    withinMs: 15_000,
  });
  const stack = ending(
    await startStoreStack({
      brokers: 2,
      redis: master,
      configure: (settings) => ({
        ...settings,
        redis: {
          ...without(settings['redis'] as Settings, 'url'),
          sentinel: { name: 'main', nodes: [`${sentinel.host}:${String(sentinel.port)}`] },
        },
      }),
    }),
  );
  return { stack, master, replica };
}

function without(settings: Settings, name: string): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => key !== name));
}

/** Asks so often that every replica has answered, and holds the token. */
function heldEverywhere(billing: RawCaller): Promise<GetReply[]> {
  return Promise.all(Array.from({ length: 24 }, () => billing.answer(subjects.get('billing', 'payments-api'))));
}

describe('Sentinel', () => {
  it.each([
    ['ends', 'SIGKILL'],
    // No reset, no end, connections are taken: brokers must give it up by themselves.
    ['falls silent', 'SIGSTOP'],
  ] as const)(
    'a failover under load, where the master %s: what is held is served, one more call, and nobody steps back',
    async (_, signal) => {
      const { stack, master, replica } = await startWatchedPair();
      const billing = createRawCaller(await stack.connectAs('billing'), 'billing');
      const handle = (await stack.client('orders')).source('payments-api');
      const before = await handle.get();
      await heldEverywhere(billing);
      await replica.synchronised();
      const calls = stack.idpCalls();
      const gets = startGets(handle);
      const requests = startRequests(billing, subjects.get('billing', 'payments-api'), 4);
      await master.kill(signal);
      await eventually(
        async () => (await billing.token(subjects.get('billing', 'payments-api'))).epoch > before.epoch,
        {
          what: 'a token of the new master',
          withinMs: FAILED_OVER_WITHIN_MS,
        },
      );
      await whenAllReady(stack, FAILED_OVER_WITHIN_MS);
      const after = await eventually(() => (handle.current?.epoch ?? 0) > before.epoch && handle.current, {
        what: 'the near cache to be on the new master',
        withinMs: BACK_WITHIN_MS,
      });
      expect(after.generation).toBeGreaterThan(before.generation);
      const [handed, replies] = [await gets.stop(), await requests.stop()];
      expect(stepsBack(handed)).toEqual([]);
      expect(refusalsIn(handed)).toEqual([]);
      expect(refusalsIn(replies)).toEqual([]);
      expect(stack.idpCalls() - calls).toBe(1);
      const operator = await stack.operator();
      expect(await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).toMatchObject({
        complete: true,
        brokers: { expected: 2, acked: 2 },
      });
    },
    30_000,
  );
});

describe('a replica that takes over, and has not heard of the last writes', () => {
  async function startPausedPair(): Promise<{
    readonly stack: StoreStack;
    readonly replica: RedisReplica;
    readonly behind: Redis;
    /** From here on the replica hears nothing. */
    readonly pause: () => Promise<void>;
    readonly failOver: () => Promise<void>;
  }> {
    const master = ending(await startRedis());
    const link = ending(await startFaultProxy({ host: master.host, port: master.port }));
    const replica = ending(await startRedisReplica({ of: link }));
    const behind = connectTo(replica.server);
    ends.push(() => {
      behind.disconnect();
    });
    const stack = ending(await startStoreStack({ brokers: 2, redis: master }));
    return {
      stack,
      replica,
      behind,
      async pause() {
        // The lock of the last flight is released after its answer: on a replica that misses this it would be held for its time.
        await eventually(async () => (await stack.direct.keys('{test:*}:lock:*')).length === 0, {
          what: 'locks to be released',
        });
        await replica.synchronised();
        link.faults.toClient.hold = true;
      },
      async failOver() {
        await replica.promote();
        stack.leadTo(replica.server);
      },
    };
  }

  it('F12: a failover that loses a revocation: a new epoch, all is revalidated, and what was revoked never returns', async () => {
    const { stack, behind, pause, failOver } = await startPausedPair();
    const client = await stack.client('orders', { refetchOnRevoke: false });
    const handle = client.source('payments-api');
    const revoked = await handle.get();
    await pause();
    const operator = await stack.operator();
    const reply = await operator.revoke({
      selector: { source: 'payments-api' },
      wait: true,
      timeoutMs: 5_000,
      reason: 'a test',
    });
    // No promise that a failover keeps it: nothing is on a disk or on a replica.
    expect(reply).toMatchObject({ complete: true, durable: false });
    const billing = createRawCaller(await stack.connectAs('billing'), 'billing');
    const [gets, requests] = [startGets(handle), startRequests(billing, subjects.get('billing', 'payments-api'))];
    const before = await handle.get();
    await heldEverywhere(billing);
    const calls = stack.idpCalls();
    const askedBefore = client.stats();
    // The replica knows the token, and nothing of its end.
    expect((await storedRecord(behind, handle.slot))?.generation).toBe(revoked.generation);
    expect(await behind.keys('{test:*}:floor:*')).toEqual([]);

    await failOver();
    const after = await eventually(() => (handle.current?.epoch ?? 0) > before.epoch && handle.current, {
      what: 'the near cache to be in the new epoch',
      withinMs: BACK_WITHIN_MS + NEAR_CACHE_NOTICES_WITHIN_MS,
    });
    await whenAllReady(stack);
    const [handed, replies] = [await gets.stop(), await requests.stop()];
    expect(refusalsIn(handed)).toEqual([]);
    expect(refusalsIn(replies)).toEqual([]);
    expect(stepsBack([revoked, ...handed])).toEqual([]);
    expect([...generationsOf(replies)].sort()).toEqual([before.generation, after.generation]);
    expect(tokensOf(replies)).not.toContain(revoked.accessToken);
    expect(after.accessToken).not.toBe(revoked.accessToken);
    expect(stack.idpCalls() - calls).toBe(1);
    // The near cache did not go on with what it had.
    const { requests: asked, syncs } = client.stats();
    expect(asked + syncs).toBeGreaterThan(askedBefore.requests + askedBefore.syncs);
  });

  it('F12: a token that was being fetched during a failover is not committed: its epoch is past', async () => {
    const { stack, pause, failOver } = await startPausedPair();
    const orders = await stack.connectAs('orders');
    const first = await ask(orders, 'orders', 'payments-api');
    await pause();
    await (await stack.operator()).revoke({ selector: { source: 'payments-api' }, reason: 'a test' });
    const calls = stack.idpCalls();
    stack.idp.setHanging(true);
    const asked = ask(orders, 'orders', 'payments-api');
    await eventually(() => stack.idpCalls() > calls, { what: 'the call' });
    await failOver();
    await whenAllReady(stack);
    stack.idp.setHanging(false);
    const token = await asked;
    expect(token.epoch).toBeGreaterThan(first.epoch);
    expect(token.generation).toBeGreaterThan(first.generation);
    expect(stack.idpCalls() - calls).toBe(2);
    expect(await totalOf(stack, 'token_broker_commits_refused_total', { reason: 'epoch' })).toBe(1);
  });
});

it('F15: a master that becomes a read-only replica: a clear error, held tokens go on, and it is found again as a master', async () => {
  const stack = ending(await startStoreStack({ brokers: 2 }));
  const raw = createRawCaller(await stack.connectAs('billing'), 'billing');
  const [held, notHeld] = [subjects.get('billing', 'payments-api'), subjects.get('billing', 'orders-api')];
  const before = await heldEverywhere(raw);
  const warnings: string[] = [];
  const note = (warning: Error): number => warnings.push(warning.message);
  process.on('warning', note);
  ends.push(() => process.off('warning', note));
  const calls = stack.idpCalls();
  // Of a master that is not there: it keeps what it has, and takes no writes.
  await stack.direct.replicaof('127.0.0.1', 1);
  const operator = await stack.operator();
  await expect(operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  });
  expect(await raw.refusal(notHeld)).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  const during = await heldEverywhere(raw);
  expect(refusalsIn(during)).toEqual([]);
  expect(generationsOf(during)).toEqual(generationsOf(before));
  expect(stack.idpCalls()).toBe(calls);
  await eventually(() => stack.logLines.some((line) => line.includes('READONLY')), { what: 'the reason in the log' });

  await stack.direct.replicaof('NO', 'ONE');
  await whenAllReady(stack);
  expect(await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).toMatchObject({
    complete: true,
  });
  expect(refusalsIn([await raw.answer(notHeld), await raw.answer(held)])).toEqual([]);
  expect(warnings).toEqual([]);
});
