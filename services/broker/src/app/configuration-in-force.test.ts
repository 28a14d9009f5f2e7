import type { Configuration } from '@token-broker/configuration';
import { delay, Redacted } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, TICK_MS, type Replica } from './fakes/fake-cluster.js';
import { away } from './fakes/fake-store.js';

let clock: VirtualClock;

async function clusterOf(replicas: number): Promise<FakeCluster> {
  clock = new VirtualClock();
  const cluster = new FakeCluster(clock, new SeededRandom(5));
  for (let i = 0; i < replicas; i++) await cluster.start();
  await clock.advance(3 * TICK_MS);
  return cluster;
}

function withScope(scope: string): Configuration {
  return configurationOf({ sources: new Map([['payments-api', sourceOf({ scopes: [scope] })]]) });
}

function keys(...ids: string[]): Configuration {
  const made = ids.map((id) => ({ id, secret: new Redacted(new Uint8Array(32).fill(Number(id.slice(1)))) }));
  const [first, ...others] = made;
  if (first === undefined) throw new Error('a keyring without keys');
  return configurationOf({ encryption: { keys: [first, ...others] } });
}

async function reload(replica: Replica, ms = 10_000): ReturnType<Replica['broker']['reload']> {
  const reloaded = replica.broker.reload();
  await clock.advance(ms);
  return reloaded;
}

const [ONE, TWO] = [0, 1];
function replicaOf(cluster: FakeCluster, index: number): Replica {
  const replica = cluster.replicas[index];
  if (replica === undefined) throw new RangeError('no such replica');
  return replica;
}

describe('a reload', () => {
  it('ends the old tokens without waiting for the calls that are running', async () => {
    const cluster = await clusterOf(2);
    const [one, two] = [replicaOf(cluster, ONE), replicaOf(cluster, TWO)];
    await two.get();
    cluster.idp.closing = new Promise(() => undefined);
    one.file = withScope('payments:write');
    void one.broker.reload();
    await clock.advance(100);
    expect((await two.get()).error?.code).toBe('BROKER_UNAVAILABLE');
  });

  it('that is asked for while one runs reads the file again', async () => {
    const cluster = await clusterOf(1);
    const one = replicaOf(cluster, ONE);
    one.file = withScope('first');
    const first = one.broker.reload();
    await clock.settle();
    one.file = withScope('second');
    await Promise.all([first, reload(one)]);
    await one.get();
    expect(cluster.idp.requests.map(({ scopes }) => scopes)).toEqual([['second']]);
  });

  it('of a broken file changes nothing', async () => {
    const cluster = await clusterOf(1);
    const one = replicaOf(cluster, ONE);
    await one.get();
    one.file = ['line 3: no'];
    expect(await reload(one)).toEqual({ outcome: 'refused', problems: ['line 3: no'] });
    expect(await one.get()).toMatchObject({ accessToken: 'token-1' });
  });

  it('while Redis is away changes nothing, and is made up for when it is back', async () => {
    const cluster = await clusterOf(1);
    const one = replicaOf(cluster, ONE);
    await one.get();
    one.file = withScope('other');
    one.store.wire = away();
    expect(await reload(one, 0)).toMatchObject({ outcome: 'refused' });
    expect(await one.get()).toMatchObject({ accessToken: 'token-1' });
    one.store.wire = {};
    await clock.advance(5 * TICK_MS);
    await one.get();
    expect(cluster.idp.requests.at(-1)?.scopes).toEqual(['other']);
  });

  it('that loses Redis half way owes the end of the old tokens until it is written', async () => {
    const cluster = await clusterOf(1);
    const one = replicaOf(cluster, ONE);
    await one.get();
    one.file = withScope('other');
    one.store.wire = away('revoke');
    const { outcome, problems } = await reload(one, 0);
    expect(outcome).toBe('reloaded');
    expect(problems).toHaveLength(1);
    const cutoffs = (): unknown[] => cluster.redis.partitions.map((of) => of.cutoffs.get('source:payments-api'));
    expect(cutoffs()).toContain(undefined);
    one.store.wire = {};
    await clock.advance(5 * TICK_MS);
    expect(cutoffs()).not.toContain(undefined);
  });

  it('on one replica brings the others along once their files are the same, as one version', async () => {
    const cluster = await clusterOf(2);
    const [one, two] = [replicaOf(cluster, ONE), replicaOf(cluster, TWO)];
    [one.file, two.file] = [withScope('other'), withScope('other')];
    await reload(one);
    await two.get();
    expect(cluster.idp.requests.map(({ scopes }) => scopes)).toEqual([['other']]);
    const { policy, fingerprint } = cluster.redis.partitions[0] ?? {};
    await clock.advance(10 * TICK_MS);
    expect(cluster.redis.partitions[0]).toMatchObject({ policy, fingerprint });
  });

  it('does not overrule the cluster with a file that has not changed', async () => {
    const cluster = await clusterOf(2);
    const [one, two] = [replicaOf(cluster, ONE), replicaOf(cluster, TWO)];
    one.file = withScope('other');
    await reload(one);
    const { policy } = cluster.redis.partitions[0] ?? {};
    // The file of the other replica comes later.
    await clock.advance(20 * TICK_MS);
    await reload(two);
    expect(cluster.redis.partitions[0]?.policy).toBe(policy);
    expect((await two.get()).error?.code).toBe('BROKER_UNAVAILABLE');
    two.file = withScope('other');
    await reload(two);
    expect(await two.get()).toMatchObject({ verified: true });
    expect(cluster.redis.partitions[0]?.policy).toBe(policy);
  });

  it('that a heartbeat sees half way is not taken for that of a peer, and not done twice', async () => {
    const cluster = await clusterOf(1);
    const one = replicaOf(cluster, ONE);
    one.file = withScope('other');
    // The version is registered in Redis, and is not in force here for some heartbeats.
    one.store.wire = { fromRedis: (command) => (command === 'hgetall' ? delay(clock, 3 * TICK_MS) : undefined) };
    await reload(one, 10 * TICK_MS);
    expect(one.log.lines.filter(({ message }) => message.includes('a peer runs'))).toEqual([]);
    expect(one.metrics.count('reloaded')).toBe(1);
  });

  it('ends the channel of a caller whose access it takes away', async () => {
    const cluster = await clusterOf(1);
    const one = replicaOf(cluster, ONE);
    const before = await one.get();
    const { callers } = configurationOf();
    one.file = configurationOf({ callers: new Map([...callers].filter(([name]) => name !== 'orders')) });
    await reload(one);
    cluster.redis.partitions.forEach((partition) => partition.slots.forEach((slot) => (slot.record = undefined)));
    const two = await cluster.start(one.file);
    const after = await two.ask({ caller: 'ops' });
    expect(after.channel?.version).toBeGreaterThan(before.channel?.version ?? Number.POSITIVE_INFINITY);
  });
});

describe('rotating keys', () => {
  it('by reloads, one key at a time, leaves nothing sealed under the old one that is needed later', async () => {
    const cluster = await clusterOf(1);
    const one = replicaOf(cluster, ONE);
    await one.get();
    one.file = keys('k2', 'k1');
    expect(await reload(one)).toMatchObject({ problems: [] });
    const two = cluster.replica(keys('k2'));
    await two.broker.start();
    // Its record is sealed under the key that is gone: an error until it expires, never a deletion or a call.
    expect((await two.get()).error?.code).toBe('STORE_UNAVAILABLE');
    expect(await one.get()).toMatchObject({ accessToken: 'token-1' });
  });

  it('to keys that cannot read what is there is refused, and the old ones stay', async () => {
    const cluster = await clusterOf(1);
    const one = replicaOf(cluster, ONE);
    await one.get();
    one.file = keys('k9');
    expect(await reload(one)).toMatchObject({ outcome: 'refused' });
    const two = await cluster.start();
    expect(await two.get()).toMatchObject({ accessToken: 'token-1' });
  });
});

it('says again what the cluster runs when Redis has lost everything', async () => {
  const cluster = await clusterOf(2);
  const [one, two] = [replicaOf(cluster, ONE), replicaOf(cluster, TWO)];
  const before = await one.get();
  cluster.redis.flush();
  await clock.advance(5 * TICK_MS);
  const [first, second] = [await one.get(), await two.get()];
  expect(first).toMatchObject({ accessToken: 'token-2', verified: true });
  expect(second.generation).toBe(first.generation);
  expect(first.generation).toBeGreaterThan(before.generation ?? Number.POSITIVE_INFINITY);
  expect(first.epoch).toBeGreaterThan(before.epoch ?? Number.POSITIVE_INFINITY);
  expect(cluster.redis.partitions[0]?.fingerprint).not.toBe('');
  const three = await cluster.start();
  expect((await three.get()).generation).toBe(first.generation);
});
