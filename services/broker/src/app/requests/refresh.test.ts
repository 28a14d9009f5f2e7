import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { slotOf, type RefreshReply } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, type Replica, type Reply } from '../fakes/fake-cluster.js';
import { refused } from '../fakes/fake-provider.js';
import { away } from '../fakes/fake-store.js';

const SLOT = slotOf('payments-api', {});
let clock: VirtualClock;
let cluster: FakeCluster;

beforeEach(() => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(14));
});

/** Replicas whose caller may ask for any scope, so that there are as many slots as a test wants. */
async function start(count = 1, change: Partial<OAuth2SourceConfiguration> = {}): Promise<Replica> {
  const grants = new Map([['payments-api', { scopes: 'any', audiences: 'any' } as const]]);
  const { callers } = configurationOf();
  const configuration = configurationOf({
    sources: new Map([['payments-api', sourceOf(change)]]),
    callers: new Map([...callers, ['orders', { name: 'orders', grants, admin: false, clientIds: ['orders'] }]]),
  });
  for (let i = 0; i < count; i++) await cluster.start(configuration);
  const [first] = cluster.replicas;
  if (first === undefined) throw new Error('no replica');
  return first;
}

async function ended<T>(work: Promise<T>, ms = 100): Promise<T> {
  await clock.advance(ms);
  return work;
}

async function refreshed(by: Replica, body: object, ms?: number): Promise<RefreshReply & Reply> {
  return (await ended(by.ask({ verb: 'admin', caller: 'ops', target: 'refresh' }, body), ms)) as RefreshReply & Reply;
}

it('renews every token of a source, also those that another replica has fetched', async () => {
  const one = await start(2);
  const [, two] = cluster.replicas;
  await ended(one.get());
  await ended(one.get({ scope: 'a' }));
  const reply = await refreshed(two ?? one, { source: 'payments-api' });
  expect(reply).toEqual({
    ...{ v: 1, tokens: 2, refreshed: 2, elsewhere: 0, needsCaller: 0, failed: 0, underWay: 0 },
    failures: [],
    truncated: false,
  });
  expect(cluster.idp.calls).toBe(4);
  expect((await ended(one.get())).accessToken).not.toBe('token-1');
});

it('renews one slot, and no other', async () => {
  const one = await start();
  await ended(one.get());
  await ended(one.get({ scope: 'a' }));
  expect(await refreshed(one, { slot: SLOT })).toMatchObject({ tokens: 1, refreshed: 1 });
  expect(cluster.idp.calls).toBe(3);
});

it('leaves the old token good while the new one is fetched, and where none can be had', async () => {
  const one = await start();
  await ended(one.get());
  cluster.idp.tookMs = 1_000;
  const asked = one.ask({ verb: 'admin', caller: 'ops', target: 'refresh' }, { source: 'payments-api' });
  await clock.advance(500);
  expect(await one.get()).toMatchObject({ accessToken: 'token-1', heldMs: 0 });
  cluster.idp.answer = () => refused('IDP_UNAVAILABLE');
  expect(await ended(asked, 1_000)).toMatchObject({
    refreshed: 0,
    failed: 1,
    failures: [{ code: 'IDP_UNAVAILABLE', count: 1 }],
  });
  expect(await one.get()).toMatchObject({ accessToken: 'token-1' });
});

it('gives way to callers who wait: it has what refresh-ahead has of the quota', async () => {
  const quota = [{ limit: 5, window: { kind: 'sliding', ms: 60_000 }, reserve: 0 }] as const;
  const one = await start(1, { quota, refresh: { ahead: { kind: 'off' }, keepWarm: false } });
  for (const scope of ['a', 'b', 'c', 'd']) await ended(one.get({ scope }));
  expect(await refreshed(one, { source: 'payments-api' })).toMatchObject({
    tokens: 4,
    refreshed: 0,
    failed: 4,
    failures: [{ code: 'QUOTA_EXHAUSTED', count: 4 }],
  });
  expect(cluster.idp.calls).toBe(4);
  expect((await ended(one.get({ scope: 'e' }))).error).toBeUndefined();
});

it('says what has not ended in time, and lets it go on', async () => {
  const one = await start();
  await ended(one.get());
  cluster.idp.tookMs = 2_000;
  const reply = await refreshed(one, { source: 'payments-api', timeoutMs: 1_000 }, 1_000);
  expect(reply).toMatchObject({ tokens: 1, refreshed: 0, underWay: 1 });
  await clock.advance(1_500);
  expect(await one.get()).toMatchObject({ accessToken: 'token-2' });
});

it('leaves to another replica what that one is at', async () => {
  const one = await start(2);
  const [, two] = cluster.replicas;
  await ended(one.get());
  cluster.idp.tookMs = 2_000;
  const first = one.ask({ verb: 'admin', caller: 'ops', target: 'refresh' }, { source: 'payments-api' });
  await clock.advance(100);
  expect(await refreshed(two ?? one, { source: 'payments-api' })).toMatchObject({ tokens: 1, elsewhere: 1 });
  expect(await ended(first, 2_000)).toMatchObject({ refreshed: 1 });
  expect(cluster.idp.calls).toBe(2);
});

it('finds nothing where nothing is held, and calls nobody', async () => {
  const one = await start();
  expect(await refreshed(one, { source: 'payments-api' })).toMatchObject({ tokens: 0, truncated: false });
  expect(cluster.idp.calls).toBe(0);
});

it('promises nothing without Redis', async () => {
  const one = await start();
  await ended(one.get());
  one.store.wire = away('list');
  expect((await refreshed(one, { source: 'payments-api' })).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

it('is audited, and for operators only', async () => {
  const one = await start();
  await ended(one.get());
  await refreshed(one, { slot: SLOT });
  expect(one.audit.of('refresh.ordered')).toEqual([
    { event: 'refresh.ordered', by: 'ops', slot: SLOT, facts: { tokens: 1 } },
  ]);
  const reply = await ended(one.ask({ verb: 'admin', target: 'refresh' }, { slot: SLOT }));
  expect(reply.error).toMatchObject({ code: 'FORBIDDEN' });
});

it.each([
  {},
  { source: 'no-such' },
  { slot: slotOf('payments-api', { audience: 'x' }) },
  { source: 'a', timeoutMs: 0 },
])('is refused where it names nothing that is there: %j', async (body) => {
  const one = await start();
  expect((await refreshed(one, body)).error?.code).toMatch(/BAD_REQUEST|UNKNOWN_SOURCE/);
});
