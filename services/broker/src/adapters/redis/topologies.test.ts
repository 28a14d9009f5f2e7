import { createSystemClock } from '@token-broker/foundation';
import type { RedisConfiguration, RedisTopology } from '@token-broker/configuration';
import { partitionOf, slotOf } from '@token-broker/protocol';
import { eventually, startRedis, startSentinel, type RedisServer } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../../app/ports/telemetry.js';
import { connectLockMaster, connectRedis } from './redis-connection.js';
import { RedisStore } from './redis-store.js';
import { RedlockLocks } from './redlock-locks.js';
import type { RedisClient } from './scripts.js';

const PARTITIONS = 16;
const clock = createSystemClock();
const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function configurationOf(topology: RedisTopology, lockMasters: readonly RedisServer[] = []): RedisConfiguration {
  return {
    topology,
    commandTimeoutMs: 1_000,
    durableReplicas: 0,
    lockMasters: lockMasters.map(({ host, port }) => ({ host, port, tls: false })),
  };
}

async function server(args: readonly string[] = []): Promise<RedisServer> {
  const started = await startRedis({ args });
  ends.push(() => started.stop());
  return started;
}

function connect(configuration: RedisConfiguration): RedisClient {
  const client = connectRedis(configuration, 'test', silent);
  ends.push(() => {
    client.disconnect();
  });
  return client;
}

function client(of: RedisServer): Redis {
  const redis = new Redis({ host: of.host, port: of.port });
  ends.push(() => {
    redis.disconnect();
  });
  return redis;
}

async function fetchAndRevoke(connection: RedisClient): Promise<void> {
  const options = {
    client: connection,
    namespace: 'test',
    broker: 'b1',
    partitions: PARTITIONS,
    clock,
    durableReplicas: 0,
    commandTimeoutMs: 1_000,
  };
  const store = new RedisStore({ ...options, onError: () => undefined });
  await store.registerPolicy('one');
  expect(
    await store.lease(
      Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, epoch: 0, applied: 0 })),
      3_000,
    ),
  ).toHaveLength(PARTITIONS);
  for (const source of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const slot = slotOf(source);
    const address = { slot, partition: partitionOf(slot, PARTITIONS), source, provider: 'oauth2', recipe: 'r' };
    const reply = await store.reserve({
      address,
      wantGreaterThan: 0,
      floor: 0,
      attempt: source,
      callMs: 1_000,
      policy: 0,
    });
    if (reply.kind !== 'go') throw new Error(reply.kind);
    const { epoch, redisMs } = reply.asOf;
    const bytes = Buffer.from('sealed');
    const times = { expiresAtMs: redisMs + 60_000, usableUntilMs: redisMs + 55_000 };
    const commit = {
      address,
      attempt: source,
      epoch,
      generation: reply.generation,
      ...times,
      sealed: bytes,
      tokenHash: source,
      policy: 0,
      channelCandidate: bytes,
      sealedBy: 'k1',
    };
    expect((await store.commit(commit)).kind).toBe('ok');
    expect((await store.read(address, 0)).kind).toBe('hit');
    await store.revoke({ kind: 'slot', slot }, address.partition, `revoke-${source}`);
    expect((await store.read(address, 0)).kind).toBe('miss');
  }
  await store.present('orders', 'i1', 1_000);
  expect(await store.presences()).toHaveLength(1);
}

describe('topologies', () => {
  it('works on a Cluster of three nodes', async () => {
    const nodes = await Promise.all([0, 1, 2].map(() => server(['--cluster-enabled', 'yes'])));
    const clients = nodes.map(client);
    const [first] = nodes;
    if (first === undefined) throw new Error('there is no node');
    for (const [index, node] of clients.entries()) {
      const from = Math.floor((16_384 * index) / 3);
      const to = Math.floor((16_384 * (index + 1)) / 3) - 1;
      await node.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
      await node.call('CLUSTER', 'MEET', first.host, String(first.port));
    }
    await eventually(
      async () =>
        (await Promise.all(clients.map((node) => node.cluster('INFO')))).every(
          (info) => info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3'),
        ),
      { what: 'the cluster to form', withinMs: 15_000 },
    );
    const connection = connect(
      configurationOf({ kind: 'cluster', nodes: nodes.map(({ host, port }) => ({ host, port })) }),
    );
    await eventually(() => connection.status === 'ready', { what: 'the connection' });
    await fetchAndRevoke(connection);
    const locks = new RedlockLocks({ masters: [connection], namespace: 'test', clock, acquireTimeoutMs: 1_000 });
    expect((await locks.acquire('a:0', 3, 1_000)).kind).toBe('acquired');
    expect((await locks.acquire('a:0', 3, 1_000)).kind).toBe('held');
  });

  it('finds the master through Sentinel', async () => {
    const master = await server();
    const sentinel = await startSentinel({ name: 'main', master });
    ends.push(() => sentinel.stop());
    const connection = connect(
      configurationOf({
        kind: 'sentinel',
        sentinels: [{ host: sentinel.host, port: sentinel.port }],
        name: 'main',
        database: 0,
      }),
    );
    await eventually(() => connection.status === 'ready', { what: 'the connection' });
    await fetchAndRevoke(connection);
  });
});

describe('locks', () => {
  async function threeMasters(): Promise<{ readonly servers: RedisServer[]; readonly locks: RedlockLocks }> {
    const servers = await Promise.all([0, 1, 2].map(() => server()));
    const [first] = servers;
    if (first === undefined) throw new Error('there is no master');
    const configuration = configurationOf(
      { kind: 'standalone', host: first.host, port: first.port, database: 0 },
      servers,
    );
    const masters = configuration.lockMasters.map((master) => connectLockMaster(configuration, master, 'test', silent));
    ends.push(() => {
      for (const master of masters) master.disconnect();
    });
    await eventually(() => masters.every(({ status }) => status === 'ready'), { what: 'the lock masters' });
    return { servers, locks: new RedlockLocks({ masters, namespace: 'test', clock, acquireTimeoutMs: 1_500 }) };
  }

  it('are held by one of two, and free again after the release', async () => {
    const { locks } = await threeMasters();
    const first = await locks.acquire('slot:0', 0, 5_000);
    expect(first.kind).toBe('acquired');
    expect((await locks.acquire('slot:0', 0, 5_000)).kind).toBe('held');
    if (first.kind === 'acquired') await first.lock.release();
    expect((await locks.acquire('slot:0', 0, 5_000)).kind).toBe('acquired');
  });

  it('do without one master of three, and tell two that are away from a lock that is held', async () => {
    const { servers, locks } = await threeMasters();
    await servers[0]?.kill('SIGKILL');
    expect((await locks.acquire('one-away:0', 0, 5_000)).kind).toBe('acquired');
    await servers[1]?.kill('SIGKILL');
    expect((await locks.acquire('two-away:0', 0, 5_000)).kind).toBe('error');
  });

  it('say no more of their validity than redlock does', async () => {
    const { locks } = await threeMasters();
    const before = clock.elapsedMs();
    const reply = await locks.acquire('slot:1', 1, 1_000);
    expect(reply.kind === 'acquired' && reply.lock.validUntilMs).toBeLessThanOrEqual(clock.elapsedMs() + 988);
    expect(reply.kind === 'acquired' && reply.lock.validUntilMs).toBeGreaterThanOrEqual(before + 988);
  });
});
