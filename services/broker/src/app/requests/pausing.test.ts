import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, expect, it } from 'vitest';
import { FakeCluster, TICK_MS, type Replica, type Reply } from '../fakes/fake-cluster.js';
import { away } from '../fakes/fake-store.js';

let clock: VirtualClock;
let cluster: FakeCluster;
let one: Replica;
let two: Replica;

function admin(verb: string, body: object, replica = one): Promise<Reply> {
  return replica.ask({ verb: 'admin', caller: 'ops', target: verb }, body);
}

const pause = (): Promise<Reply> => admin('pause', { source: 'payments-api', reason: 'leaked' });
const resume = (): Promise<Reply> => admin('resume', { source: 'payments-api' });

async function pausedAt(replica: Replica): Promise<unknown> {
  const asked = replica.ask({ verb: 'admin', caller: 'ops', target: 'status' });
  // It asks its peers as well.
  await clock.advance(TICK_MS);
  const status = await asked;
  return (status['sources'] as { pausedSinceMs?: number }[])[0]?.pausedSinceMs;
}

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(4));
  [one, two] = [await cluster.start(), await cluster.start()];
  await clock.advance(3 * TICK_MS);
});

it('lets nobody fetch from the moment it is said, on any replica, until it is over', async () => {
  expect(await pause()).toMatchObject({ source: 'payments-api', paused: true, changed: true });
  for (const replica of [one, two]) expect((await replica.get()).error).toMatchObject({ code: 'PAUSED' });
  expect(cluster.idp.calls).toBe(0);
  expect(await resume()).toMatchObject({ paused: false, changed: true });
  for (const replica of [one, two]) expect(await replica.get()).toMatchObject({ accessToken: 'token-1' });
});

it('leaves alone what is held, and renews nothing ahead', async () => {
  cluster.idp.lifeMs = 100_000;
  await one.get();
  await pause();
  await clock.advance(90_000);
  for (const replica of [one, two]) expect(await replica.get()).toMatchObject({ accessToken: 'token-1' });
  expect(cluster.idp.calls).toBe(1);
  await clock.advance(10_000);
  expect((await one.get()).error).toMatchObject({ code: 'PAUSED' });
  expect(cluster.idp.calls).toBe(1);
});

it('renews ahead again soon after it is over', async () => {
  cluster.idp.lifeMs = 100_000;
  await one.get();
  await pause();
  await clock.advance(85_000);
  await resume();
  await clock.advance(6_000);
  expect(cluster.idp.calls).toBe(2);
  expect(await two.get()).toMatchObject({ accessToken: 'token-2' });
});

it('with a revocation leaves nothing to be had', async () => {
  await one.get();
  await pause();
  expect(await admin('revoke', { selector: { source: 'payments-api' }, reason: 'leaked' })).toMatchObject({
    complete: true,
  });
  for (const replica of [one, two]) expect((await replica.get()).error).toMatchObject({ code: 'PAUSED' });
});

it('outlives a new epoch, and is told by every replica', async () => {
  const nowMs = cluster.redis.nowMs;
  await pause();
  const sinceMs = await pausedAt(one);
  expect(sinceMs).toBe(nowMs);
  cluster.redis.promote();
  await clock.advance(2 * TICK_MS);
  expect(await pausedAt(two)).toBe(sinceMs);
  expect((await two.broker.gauges()).pausedBySource).toEqual(new Map([['payments-api', true]]));
  expect((await two.get()).error).toMatchObject({ code: 'PAUSED' });
  expect(await pause()).toMatchObject({ changed: false, sinceMs });
  await resume();
  expect(await pausedAt(one)).toBeUndefined();
  expect(await resume()).toMatchObject({ changed: false });
});

it('is refused for what is no source, and in doubt while Redis is away', async () => {
  expect((await admin('pause', { source: 'gone' })).error).toMatchObject({ code: 'UNKNOWN_SOURCE' });
  expect((await admin('resume', { source: 'gone' })).error).toMatchObject({ code: 'UNKNOWN_SOURCE' });
  expect((await admin('pause', {})).error).toMatchObject({ code: 'BAD_REQUEST' });
  one.store.wire = away('pause');
  expect((await pause()).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

it('is in the audit trail: who, what and why', async () => {
  one.audit.entries.length = 0;
  await pause();
  await resume();
  one.store.wire = away('pause');
  await pause();
  const about = { by: 'ops', source: 'payments-api' };
  expect(one.audit.entries).toEqual([
    { ...about, event: 'source.paused', reason: 'leaked', result: 'done', facts: { changed: true } },
    { ...about, event: 'source.resumed', result: 'done', facts: { changed: true } },
    expect.objectContaining({ ...about, event: 'source.paused', reason: 'leaked', result: 'failed' }),
    expect.objectContaining({ event: 'admin.failed', result: 'failed' }),
  ]);
});
