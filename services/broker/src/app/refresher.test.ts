import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf } from './fakes/fake-cluster.js';
import { refused } from './fakes/fake-provider.js';

const LIFE_MS = 600_000;
let clock: VirtualClock;

function createCluster(): FakeCluster {
  clock = new VirtualClock();
  return new FakeCluster(clock, new SeededRandom(4));
}

function configurationWith(
  refresh: ReturnType<typeof sourceOf>['refresh'],
  demandMs = 3_600_000,
): ReturnType<typeof configurationOf> {
  const { cluster } = configurationOf();
  return configurationOf({
    cluster: { ...cluster, demandMs },
    sources: new Map([['payments-api', sourceOf({ refresh })]]),
  });
}

const AHEAD = { kind: 'fraction', fraction: 0.2 } as const;

it('renews ahead of the expiry, once in the whole cluster, while callers are given the old token', async () => {
  const cluster = createCluster();
  for (let i = 0; i < 3; i++) await cluster.start(configurationWith({ ahead: AHEAD, keepWarm: false }));
  for (const replica of cluster.replicas) await replica.get();
  await clock.advance(0.7 * LIFE_MS);
  expect(cluster.idp.calls).toBe(1);
  cluster.idp.tookMs = 8_000;
  while (cluster.idp.calls === 1) await clock.advance(1_000);
  for (const replica of cluster.replicas)
    expect(await replica.get()).toMatchObject({ accessToken: 'token-1', heldMs: 0 });
  await clock.advance(20_000);
  expect(cluster.idp.calls).toBe(2);
  expect(cluster.idp.mostAtOnce).toBe(1);
  for (const replica of cluster.replicas)
    expect(await replica.get()).toMatchObject({ accessToken: 'token-2', heldMs: 0 });
});

it('renews nothing ahead where it is off', async () => {
  const cluster = createCluster();
  const one = await cluster.start(configurationWith({ ahead: { kind: 'off' }, keepWarm: false }));
  await one.get();
  await clock.advance(LIFE_MS);
  expect(cluster.idp.calls).toBe(1);
});

it('leaves a token that nobody wants to expire, unless its source is kept warm', async () => {
  const cluster = createCluster();
  const one = await cluster.start(configurationWith({ ahead: AHEAD, keepWarm: false }, 10_000));
  await one.get();
  await clock.advance(3 * LIFE_MS);
  expect(cluster.idp.calls).toBe(1);

  const warm = createCluster();
  await warm.start(configurationWith({ ahead: AHEAD, keepWarm: true }, 10_000));
  await clock.advance(3 * LIFE_MS);
  expect(warm.idp.calls).toBeGreaterThanOrEqual(4);
  expect(warm.idp.calls).toBeLessThanOrEqual(5);
});

it('renews a token that is wanted again after its renewal was due', async () => {
  const cluster = createCluster();
  const one = await cluster.start(configurationWith({ ahead: AHEAD, keepWarm: false }, 100_000));
  await one.get();
  await clock.advance(0.85 * LIFE_MS);
  expect(cluster.idp.calls).toBe(1);
  expect(await one.get()).toMatchObject({ accessToken: 'token-1' });
  await clock.advance(0.1 * LIFE_MS);
  expect(cluster.idp.calls).toBe(2);
  expect(await one.get()).toMatchObject({ accessToken: 'token-2', heldMs: 0 });
});

it('is patient with a provider that fails, and serves the old token to its minimum lifetime', async () => {
  const cluster = createCluster();
  const one = await cluster.start(configurationWith({ ahead: AHEAD, keepWarm: false }));
  await one.get();
  cluster.idp.answer = () => refused('IDP_UNAVAILABLE');
  await clock.advance(LIFE_MS - 5_001);
  expect(await one.get()).toMatchObject({ accessToken: 'token-1' });
  // Pauses of up to 30 s in the last 120 to 150 s of the life, which begin with half a second.
  expect(cluster.idp.calls).toBeLessThan(20);
  await clock.advance(2);
  expect((await one.get()).error?.code).toBe('IDP_UNAVAILABLE');
});

it('tells how late a renewal was: from when it was due, with the tries that failed', async () => {
  const cluster = createCluster();
  const one = await cluster.start(configurationWith({ ahead: AHEAD, keepWarm: false }));
  await one.get();
  cluster.idp.answer = () => refused('IDP_UNAVAILABLE');
  while (cluster.idp.calls === 1) await clock.advance(100);
  await clock.advance(20_000);
  cluster.idp.answer = undefined;
  while (one.metrics.count('refreshed') === 0) await clock.advance(100);
  const lagMs = one.metrics.calls.find(([name]) => name === 'refreshed')?.[2];
  expect(lagMs).toBeGreaterThan(20_000);
  expect(lagMs).toBeLessThan(60_000);
});

it('makes no tight loop of lives that are shorter than the margin', async () => {
  const cluster = createCluster();
  cluster.idp.lifeMs = 2_000;
  const one = await cluster.start(configurationWith({ ahead: { kind: 'ms', ms: 300_000 }, keepWarm: true }));
  await clock.advance(60_000);
  expect(cluster.idp.calls).toBeLessThanOrEqual(60_000 / 500);
  expect((await one.get()).accessToken).toMatch(/^token-/);
});

it('stops with its source', async () => {
  const cluster = createCluster();
  const one = await cluster.start(configurationWith({ ahead: AHEAD, keepWarm: true }));
  await one.get();
  one.file = configurationOf({ sources: new Map() });
  const reloaded = one.broker.reload();
  await clock.advance(10_000);
  await reloaded;
  await clock.advance(3 * LIFE_MS);
  expect(cluster.idp.calls).toBe(1);
});

it('plans once for a slot, however often it is evicted and read again', async () => {
  const cluster = createCluster();
  const started = await cluster.start({
    ...configurationWith({ ahead: AHEAD, keepWarm: false }),
    memory: { maxEntries: 1, maxBytes: 1_000_000 },
  });
  for (let i = 0; i < 200; i++) await started.ask({ caller: 'ops' }, { scope: [`scope-${String(i % 2)}`] });
  expect(cluster.idp.calls).toBe(2);
  cluster.idp.answer = () => refused('IDP_UNAVAILABLE', 10_000);
  let reads = 0;
  started.store.wire = {
    toRedis: (command) => {
      if (command === 'read') reads++;
    },
  };
  await clock.advance(LIFE_MS);
  // One try each 10 s in the last quarter of the life, where a hundred plans would make a hundred.
  expect(reads).toBeGreaterThan(5);
  expect(reads).toBeLessThan(20);
});
