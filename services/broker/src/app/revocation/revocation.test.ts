import { delay } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { FakeCluster, TICK_MS, type Replica, type Reply } from '../fakes/fake-cluster.js';
import { away } from '../fakes/fake-store.js';

const LEASE_MS = 3 * TICK_MS;
let clock: VirtualClock;

/** Replicas that hold the token, in an epoch that is old enough to revoke in. */
async function clusterOf(replicas: number): Promise<FakeCluster> {
  clock = new VirtualClock();
  const cluster = new FakeCluster(clock, new SeededRandom(3));
  for (let i = 0; i < replicas; i++) await cluster.start();
  await clock.advance(LEASE_MS);
  for (const replica of cluster.replicas) await replica.get();
  return cluster;
}

const ORDER = { selector: { source: 'payments-api' }, reason: 'a test' };

function revoke(replica: Replica, body: object = ORDER): Promise<Reply> {
  return replica.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, body);
}

function first(cluster: FakeCluster): Replica {
  const [replica] = cluster.replicas;
  if (replica === undefined) throw new Error('a cluster without replicas');
  return replica;
}

it('returns at once when everybody has confirmed, and then nobody answers with what was revoked', async () => {
  const cluster = await clusterOf(3);
  const reply = await revoke(first(cluster));
  expect(reply).toMatchObject({
    complete: true,
    broadcast: true,
    durable: true,
    brokers: { expected: 3, acked: 3 },
    tookMs: 0,
    slots: 1,
  });
  const answers = await Promise.all(cluster.replicas.map((replica) => replica.get()));
  expect(new Set(answers.map(({ accessToken }) => accessToken))).toEqual(new Set(['token-2']));
});

it('counts what a source had when it is dead, and no token of later', async () => {
  const cluster = await clusterOf(2);
  const one = first(cluster);
  const commands: string[] = [];
  one.store.wire = {
    toRedis: async (name) => {
      commands.push(name);
      // Somebody fetches anew while the revocation is still at work.
      if (name === 'confirm') await cluster.replicas[1]?.get();
    },
  };
  expect(await revoke(one)).toMatchObject({ slots: 1, sources: [{ name: 'payments-api', slots: 1 }] });
  expect(commands).not.toContain('list');
  expect(commands.indexOf('count')).toBeGreaterThan(commands.lastIndexOf('confirm'));
  one.store.wire = {};
  expect(await revoke(one)).toMatchObject({ slots: 1 });
  expect(await revoke(one)).toMatchObject({ slots: 0, sources: [] });
});

it('has revoked where what went cannot be counted, and names no number', async () => {
  const cluster = await clusterOf(1);
  const one = first(cluster);
  one.store.wire = away('count');
  const reply = await revoke(one);
  expect(reply).toMatchObject({ complete: true });
  expect(reply).not.toHaveProperty('slots');
  expect(one.log.lines.at(-1)).toMatchObject({
    level: 'warn',
    message: expect.stringContaining('could not be counted') as string,
  });
});

it('ends the token also where Redis cannot tell who is connected, and says that nothing is promised', async () => {
  const cluster = await clusterOf(2);
  const one = first(cluster);
  one.store.wire = away('presence');
  expect((await revoke(one)).error?.code).toBe('STORE_UNAVAILABLE');
  const answers = await Promise.all(cluster.replicas.map((replica) => replica.get()));
  expect(new Set(answers.map(({ accessToken }) => accessToken))).toEqual(new Set(['token-2']));
});

it.each<[string, object, object?]>([
  ['slot', { slot: 'abcdefghijklmnopqrstuv' }],
  ['source', { source: 'payments-api' }],
  ['source', { source: 'payments-api' }, { graceful: true }],
  ['source', { source: 'payments-api' }, { atProvider: true }],
  ['all', { all: true }],
  ['provider', { provider: 'oauth2' }],
  ['caller', { caller: 'orders' }],
  ['token', { tokenSha256: '0f'.repeat(32) }],
  ['subject', { subject: 'jane' }],
  ['issued-before', { issuedBeforeMs: 1 }],
])('counts one that fails before anything is revoked: %s %o', async (selectedBy, selector, more = {}) => {
  const cluster = await clusterOf(1);
  const one = first(cluster);
  one.store.wire = away();
  expect((await revoke(one, { selector, dryRun: true })).error?.code).toBe('STORE_UNAVAILABLE');
  expect(one.metrics.count('revocationDone')).toBe(0);
  expect((await revoke(one, { selector, reason: 'a test', ...more })).error?.code).toBe('STORE_UNAVAILABLE');
  expect(one.metrics.count('revocationDone', selectedBy, 'failed')).toBe(1);
});

it('waits for one lease, and no longer, for a replica that does not confirm', async () => {
  const cluster = await clusterOf(2);
  const [one, two] = cluster.replicas;
  two?.bus.link(false);
  if (two !== undefined) two.store.wire = away();
  const reply = revoke(first(cluster));
  await clock.advance(LEASE_MS - 1);
  // Until then the silent one may answer, and does.
  expect(await two?.get()).toMatchObject({ accessToken: 'token-1', verified: true });
  await clock.advance(1);
  expect(await reply).toMatchObject({ complete: true, brokers: { expected: 2, acked: 1 }, tookMs: LEASE_MS });
  expect(await two?.get()).toMatchObject({ verified: false });
  expect(await one?.get()).toMatchObject({ accessToken: 'token-2' });
});

it('waits for nobody who has left', async () => {
  const cluster = await clusterOf(2);
  const stopped = cluster.replicas[1]?.broker.stop(1_000);
  await clock.settle();
  await stopped;
  expect(await revoke(first(cluster))).toMatchObject({ brokers: { expected: 1, acked: 1 }, tookMs: 0 });
});

it('waits until the epoch is older than a lease: a replica of the epoch before may not know of it', async () => {
  const cluster = await clusterOf(1);
  cluster.redis.promote();
  const reply = revoke(first(cluster));
  await clock.advance(LEASE_MS);
  expect(await reply).toMatchObject({ complete: true, tookMs: LEASE_MS });
});

it('is made again when the epoch changes under it', async () => {
  const cluster = await clusterOf(2);
  const [one] = cluster.replicas;
  cluster.replicas[1]?.bus.link(false);
  let lost = false;
  if (one !== undefined)
    one.store.wire = {
      toRedis: (command) => {
        if (command !== 'confirm' || lost) return;
        lost = true;
        cluster.redis.flush();
      },
    };
  const reply = revoke(first(cluster));
  await clock.advance(4 * LEASE_MS);
  expect(await reply).toMatchObject({ complete: true });
  const cutoffs = cluster.redis.partitions.map(({ cutoffs: made }) => made.has('source:payments-api'));
  expect(cutoffs).not.toContain(false);
});

it('says that it is not complete when the epoch does not stand still', async () => {
  const cluster = await clusterOf(1);
  const one = first(cluster);
  one.store.wire = {
    toRedis: (command) => {
      if (command === 'confirm') cluster.redis.promote();
    },
  };
  const reply = revoke(one);
  await clock.advance(20 * LEASE_MS);
  expect(await reply).toMatchObject({ complete: false });
});

it.each(['presence', 'revoke', 'confirm'])('promises nothing when Redis is away: %s', async (command) => {
  const cluster = await clusterOf(1);
  const one = first(cluster);
  one.store.wire = away(command);
  const reply = await revoke(one);
  expect(reply.error?.code).toBe('STORE_UNAVAILABLE');
  expect(reply).not.toHaveProperty('complete');
  expect(one.metrics.count('revocationDone', 'source', 'failed')).toBe(1);
});

it('says that nothing was broadcast while NATS is away; the others learn of it from Redis', async () => {
  const cluster = await clusterOf(2);
  first(cluster).bus.link(false);
  const reply = revoke(first(cluster));
  await clock.advance(LEASE_MS);
  expect(await reply).toMatchObject({ complete: true, broadcast: false, brokers: { expected: 2, acked: 1 } });
  expect(await cluster.replicas[1]?.get()).toMatchObject({ accessToken: 'token-2' });
});

it('says that nothing was broadcast when the event got nowhere, although the link seemed to stand', async () => {
  const cluster = await clusterOf(1);
  first(cluster).bus.deadLink = true;
  expect(await revoke(first(cluster))).toMatchObject({ complete: true, broadcast: false });
});

describe('events', () => {
  it('are counted once, whether they came by an event, from the log, or were made here', async () => {
    const cluster = await clusterOf(3);
    const [one, two, three] = cluster.replicas;
    // The first reads its own revocation in the log before it has the reply; the second is answered what an event has told it.
    let isHeldUp = false;
    if (one !== undefined)
      one.store.wire = { fromRedis: (name) => (name === 'revoke' ? delay(clock, 2 * TICK_MS) : undefined) };
    if (two !== undefined)
      two.store.wire = {
        toRedis: (name) => {
          if (name !== 'lease' || isHeldUp) return;
          isHeldUp = true;
          return delay(clock, 2.5 * TICK_MS);
        },
      };
    const reply = revoke(first(cluster));
    await clock.advance(2 * LEASE_MS);
    expect(await reply).toMatchObject({ complete: true });
    const partitions = cluster.redis.partitions.length;
    const counts = [one, two, three].map((replica) => [
      replica?.metrics.count('invalidationApplied'),
      replica?.metrics.calls.flatMap(([name, to, count]) =>
        name === 'eventsReplayed' && to === 'broker' ? [count] : [],
      ),
    ]);
    const ones = Array.from({ length: partitions }, () => 1);
    expect(counts).toEqual([
      [partitions, ones],
      [partitions, []],
      [partitions, ones],
    ]);
  });

  it('that come twice or not at all change nothing', async () => {
    const cluster = await clusterOf(3);
    cluster.nats.fate = (_, to) => (to === 'b2' ? 'twice' : 'lose');
    const reply = revoke(first(cluster));
    await clock.advance(LEASE_MS);
    expect(await reply).toMatchObject({ complete: true });
    const answers = Promise.all(cluster.replicas.map((replica) => replica.get()));
    await clock.advance(2_000);
    expect(new Set((await answers).map(({ accessToken }) => accessToken))).toEqual(new Set(['token-2']));
  });
});

it('waits for near caches when it is told to, names those that are silent, and takes no stranger for one of them', async () => {
  const cluster = await clusterOf(1);
  const one = first(cluster);
  await one.ask({ verb: 'sync', target: '' }, { instance: 'near' });
  await one.ask({ verb: 'sync', target: '' }, { instance: 'far' });
  const reply = revoke(one, { selector: { all: true }, wait: true, timeoutMs: 500, reason: 'a test' });
  await clock.settle();
  const id = one.audit.of('revocation.ordered').at(-1)?.revocation;
  const receipt = Buffer.from(JSON.stringify({ v: 1, id, instance: 'near' }));
  await clock.advance(100);
  one.bus.publish('token-broker.v1.ack.orders', receipt);
  one.bus.publish('token-broker.v1.ack.billing', Buffer.from(JSON.stringify({ v: 1, id, instance: 'far' })));
  await clock.advance(500);
  expect((await reply)['receipts']).toMatchObject({
    expected: 2,
    stragglers: [{ caller: 'orders', instance: 'far' }],
    counts: { confirmed: 1, stragglers: 1 },
    maxStalenessMs: 60_000,
  });
});

it('counts what would go, and changes nothing, in a dry run', async () => {
  const cluster = await clusterOf(2);
  expect(await revoke(first(cluster), { selector: { all: true }, dryRun: true })).toMatchObject({
    dryRun: true,
    slots: 1,
    sources: [{ name: 'payments-api', slots: 1 }],
    brokers: { expected: 2 },
  });
  expect(await first(cluster).get()).toMatchObject({ accessToken: 'token-1' });
});
