import { eventually, startRedisCluster, type RedisCluster, type RedisServer } from '@token-broker/testing';
import { partitionOf, slotOf } from '@token-broker/protocol';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import { startStack, type Settings, type Stack } from '../../integration/stack.js';
import { refusalsIn, generationsOf, startGets, startRequests, stepsBack } from './load.js';
import { BACK_WITHIN_MS, COMMAND_TIMEOUT_MS, connectTo, whenAllReady } from './store-stack.js';

const PARTITIONS = 16;
/** Silence after which a node of the cluster counts as failed. */
const NODE_TIMEOUT_MS = 1_000;
/** Then the others agree, and the replica is elected and takes over: within a few node timeouts. */
const FAILED_OVER_WITHIN_MS = 6 * NODE_TIMEOUT_MS + 2 * COMMAND_TIMEOUT_MS + BACK_WITHIN_MS;
/** Enough that every master serves some of their partitions. */
const SOURCES = Array.from({ length: 8 }, (_, index) => `source-${String(index)}`);
const BROKERS = 2;

let cluster: RedisCluster;
let stack: Stack;
let ops: RawCaller;

beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: 1, nodeTimeoutMs: NODE_TIMEOUT_MS });
  stack = await startStack({
    brokers: BROKERS,
    configure: (settings) => {
      const sources = settings['sources'] as Record<string, Settings>;
      const source = { ...sources['payments-api'] };
      return {
        ...settings,
        // Longer than any failover here.
        cluster: { ...(settings['cluster'] as Settings), maxStaleness: '60s' },
        redis: {
          cluster: { nodes: cluster.masters.map(({ host, port }) => `${host}:${String(port)}`) },
          commandTimeout: `${String(COMMAND_TIMEOUT_MS)}ms`,
        },
        sources: { ...sources, ...Object.fromEntries(SOURCES.map((name) => [name, source])) },
      };
    },
  });
  ops = createRawCaller(await stack.connectAs('ops'), 'ops');
});
afterAll(async () => {
  await stack.stop();
  await cluster.stop();
});

/** The key that all data of a source's slot is beside. */
const metaOf = (source: string): string => `{test:${String(partitionOf(slotOf(source), PARTITIONS))}}:meta`;
const get = (source: string): string => subjects.get('ops', source);

/** Asks for every source, so often that every replica has answered each. */
const answersOfAll = async (): Promise<Awaited<ReturnType<RawCaller['answer']>>[][]> =>
  Promise.all(SOURCES.map((source) => Promise.all(Array.from({ length: 20 }, () => ops.answer(get(source))))));

it('the whole flow: one call for each source on whichever node it lies, hits, and a cutoff across all partitions', async () => {
  expect(new Set(await Promise.all(SOURCES.map((source) => cluster.masterOf(metaOf(source))))).size).toBe(3);
  const calls = stack.idpCalls();
  const first = await answersOfAll();
  expect(refusalsIn(first.flat())).toEqual([]);
  expect(stack.idpCalls() - calls).toBe(SOURCES.length);
  expect((await answersOfAll()).map((replies) => generationsOf(replies))).toEqual(
    first.map((replies) => generationsOf(replies)),
  );

  const operator = await stack.operator();
  const one = await operator.revoke({ selector: { source: 'source-0' }, reason: 'a test' });
  expect(one).toMatchObject({ complete: true, slots: 1, brokers: { expected: BROKERS, acked: BROKERS } });
  // A Cluster's client cannot tell which replica took the write.
  expect(one.durable).toBe(false);
  const all = await operator.revoke({ selector: { all: true }, wait: true, timeoutMs: 5_000, reason: 'a test' });
  expect(all).toMatchObject({ complete: true, slots: SOURCES.length - 1 });
  const second = await answersOfAll();
  for (const [index, replies] of second.entries()) {
    expect(Math.min(...generationsOf(replies))).toBeGreaterThan(Math.max(...generationsOf(first[index] ?? [])));
  }
  expect(stack.idpCalls() - calls).toBe(2 * SOURCES.length);
});

it('a hash slot that moves to another node under load: no caller notices, and brokers follow, at the price of one call at most', async () => {
  const source = 'source-1';
  await answersOfAll();
  const calls = stack.idpCalls();
  const before = await ops.token(get(source));
  const from = await cluster.masterOf(metaOf(source));
  const to = cluster.masters.find((master) => master !== from);
  if (to === undefined) throw new Error('there is one master alone');
  const requests = startRequests(ops, get(source), 4);
  await moveHashSlot(metaOf(source), from, to);
  expect(await cluster.masterOf(metaOf(source))).toBe(to);
  const operator = await stack.operator();
  // Also the brokers' writes follow: MOVED leads them.
  const revoked = await eventually(() => operator.revoke({ selector: { source }, reason: 'a test' }), {
    what: 'a revocation on the new node',
    withinMs: BACK_WITHIN_MS,
  });
  expect(revoked.complete).toBe(true);
  const after = await ops.token(get(source));
  const replies = await requests.stop();
  expect(refusalsIn(replies)).toEqual([]);
  expect(after.generation).toBeGreaterThan(before.generation);
  expect([...generationsOf(replies)].every((generation) => generation >= before.generation)).toBe(true);
  // Another server is another epoch; and there is the call after the revocation.
  expect(stack.idpCalls() - calls).toBeLessThanOrEqual(2);
});

it('a node is lost under load: what is held is served, its replica takes over, and only its partitions are fetched again', async () => {
  await whenAllReady(stack, FAILED_OVER_WITHIN_MS);
  const client = await stack.client('ops');
  const handles = SOURCES.map((source) => client.source(source));
  const before = await Promise.all(handles.map((handle) => handle.get()));
  await answersOfAll();
  const lost = await cluster.masterOf(metaOf('source-0'));
  const hit = await Promise.all(SOURCES.map(async (source) => (await cluster.masterOf(metaOf(source))) === lost));
  const left = [...cluster.masters, ...cluster.replicas.flat()].filter((server) => server !== lost);
  const calls = stack.idpCalls();
  const gets = handles.map(startGets);
  const requests = startRequests(ops, get('source-0'), 4);
  await lost.kill('SIGKILL');
  await cluster.takenOver(metaOf('source-0'), lost, left);
  await eventually(
    () =>
      handles.every(({ current }, index) => hit[index] !== true || (current?.epoch ?? 0) > (before[index]?.epoch ?? 0)),
    {
      what: 'the near cache to be in the new epoch where the node was lost',
      withinMs: FAILED_OVER_WITHIN_MS,
    },
  );
  await whenAllReady(stack, FAILED_OVER_WITHIN_MS);
  const [handed, replies] = [await Promise.all(gets.map((load) => load.stop())), await requests.stop()];
  expect(refusalsIn([...handed.flat(), ...replies])).toEqual([]);
  expect(handed.flatMap(stepsBack)).toEqual([]);
  for (const [index, handle] of handles.entries()) {
    if (hit[index] !== true) expect(handle.current?.generation).toBe(before[index]?.generation);
  }
  expect(stack.idpCalls() - calls).toBe(hit.filter(Boolean).length);
  const operator = await stack.operator();
  expect(await operator.revoke({ selector: { all: true }, reason: 'a test' })).toMatchObject({
    complete: true,
    brokers: { expected: BROKERS, acked: BROKERS },
  });
});

it('one node of the cluster that evicts keys is enough: a broker refuses to start', async () => {
  const evicting = connectTo(await cluster.masterOf(metaOf('source-1'), cluster.replicas[0]?.[0]));
  await evicting.config('SET', 'maxmemory', '64mb');
  await evicting.config('SET', 'maxmemory-policy', 'allkeys-lru');
  evicting.disconnect();
  await expect(stack.addBroker()).rejects.toThrow('maxmemory-policy allkeys-lru');
});

/** Moves the hash slot of a key with all that is in it, as `redis-cli --cluster reshard` does. */
async function moveHashSlot(key: string, from: RedisServer, to: RedisServer): Promise<void> {
  const [source, target] = [connectTo(from), connectTo(to)];
  try {
    const hashSlot = String(await source.call('CLUSTER', 'KEYSLOT', key));
    const [sourceId, targetId] = [
      String(await source.call('CLUSTER', 'MYID')),
      String(await target.call('CLUSTER', 'MYID')),
    ];
    await target.call('CLUSTER', 'SETSLOT', hashSlot, 'IMPORTING', sourceId);
    await source.call('CLUSTER', 'SETSLOT', hashSlot, 'MIGRATING', targetId);
    for (;;) {
      const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', hashSlot, '100')) as string[];
      if (keys.length === 0) break;
      await source.call('MIGRATE', to.host, String(to.port), '', '0', '2000', 'KEYS', ...keys);
    }
    for (const node of [target, source]) await node.call('CLUSTER', 'SETSLOT', hashSlot, 'NODE', targetId);
  } finally {
    source.disconnect();
    target.disconnect();
  }
}
