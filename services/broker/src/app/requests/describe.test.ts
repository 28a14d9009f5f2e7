import { slotOf, type DescribeReply } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCluster, type Replica, type Reply } from '../fakes/fake-cluster.js';
import { refused } from '../fakes/fake-provider.js';
import { away } from '../fakes/fake-store.js';

const SLOT = slotOf('payments-api', {});
let clock: VirtualClock;
let cluster: FakeCluster;
let one: Replica;
let two: Replica;

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(13));
  one = await cluster.start();
  two = await cluster.start();
  await clock.advance(2_000);
});

async function ended<T>(work: Promise<T>, ms = 100): Promise<T> {
  await clock.advance(ms);
  return work;
}

async function described(by: Replica, body: object): Promise<DescribeReply & Reply> {
  return (await ended(by.ask({ verb: 'admin', caller: 'ops', target: 'describe' }, body))) as DescribeReply & Reply;
}

describe('a source', () => {
  it('is told with its settings, who may use it, and what Redis holds', async () => {
    await ended(one.get());
    const reply = await described(two, { source: 'payments-api' });
    expect(reply).toMatchObject({
      source: 'payments-api',
      provider: 'oauth2',
      grant: 'client_credentials',
      endpoint: 'https://login.example.com',
      clientId: 'payments',
      scopes: ['payments:read'],
      allowed: ['orders', 'ops'],
      tokens: [{ slot: SLOT }],
      truncated: false,
      silent: [],
    });
    expect(reply.slot).toBeUndefined();
    expect(JSON.stringify(reply)).not.toContain('token-1');
  });

  it('is told by each replica: what it holds, when it renews, who asked it', async () => {
    await ended(one.get());
    await one.get();
    const { replicas } = await described(two, { source: 'payments-api' });
    const [b2, b1] = replicas;
    expect(b1).toMatchObject({
      broker: 'b1',
      held: 1,
      inDemand: 1,
      callers: [{ caller: 'orders', requests: 2 }],
      lastFetch: { reason: 'miss' },
    });
    // At 80 % of ten minutes, or up to a quarter of the margin earlier.
    expect(b1?.nextRefreshInMs).toBeGreaterThan(440_000);
    expect(b1?.nextRefreshInMs).toBeLessThan(482_000);
    expect(b2).toMatchObject({ broker: 'b2', held: 0, callers: [] });
    expect(b2?.nextRefreshInMs).toBeUndefined();
  });

  it('is told with near caches that report to use it', async () => {
    await ended(one.get());
    const sync = { v: 1, instance: 'a1', holds: [{ source: 'payments-api', slots: [[SLOT, 1]] }] };
    await ended(one.ask({ verb: 'sync', target: '' }, sync));
    const { replicas } = await described(one, { source: 'payments-api' });
    expect(replicas[0]?.nearCaches).toEqual([
      { caller: 'orders', instance: 'a1', seenMs: expect.any(Number) as number },
    ]);
  });

  it('is told with its last failure, and how long none is tried', async () => {
    cluster.idp.answer = () => refused('IDP_UNAVAILABLE');
    await ended(one.get());
    const { failure, replicas } = await described(two, { source: 'payments-api' });
    expect(failure).toMatchObject({ code: 'IDP_UNAVAILABLE' });
    expect(replicas.find(({ broker }) => broker === 'b1')?.lastFailure).toMatchObject({ code: 'IDP_UNAVAILABLE' });
  });

  it('is told from memory where Redis is away', async () => {
    await ended(one.get());
    one.store.wire = away();
    const reply = await described(one, { source: 'payments-api' });
    expect(reply.tokens).toBeNull();
    expect(reply.replicas[0]).toMatchObject({ broker: 'b1', held: 1 });
  });
});

describe('a slot', () => {
  it('is told by each replica with the life of its token, and who wanted it last', async () => {
    await ended(one.get());
    const reply = await described(two, { slot: SLOT });
    expect(reply).toMatchObject({ slot: SLOT, source: 'payments-api', tokens: [{ slot: SLOT }] });
    const holder = reply.replicas.find(({ broker }) => broker === 'b1');
    expect(holder?.token).toMatchObject({ lifeMs: 600_000, wantedBy: 'orders' });
    expect(holder?.token?.expiresInMs).toBeLessThan(600_000);
    expect(holder?.nextRefreshInMs).toBeGreaterThan(0);
  });

  it('has a source also where it is held nowhere, if it is one without parameters', async () => {
    expect(await described(one, { slot: SLOT })).toMatchObject({ source: 'payments-api', tokens: [] });
  });

  it('that nobody holds is unknown', async () => {
    const reply = await described(one, { slot: slotOf('payments-api', { audience: 'nobody' }) });
    expect(reply.error).toMatchObject({ code: 'UNKNOWN_SOURCE' });
  });
});

it.each([{}, { source: 'payments-api', slot: SLOT }, { source: 'a.b' }, { slot: 'short' }])(
  'is refused unless one of the two is named well: %j',
  async (body) => {
    expect((await described(one, body)).error).toMatchObject({ code: 'BAD_REQUEST' });
  },
);

it('is for operators', async () => {
  const reply = await ended(one.ask({ verb: 'admin', target: 'describe' }, { source: 'payments-api' }));
  expect(reply.error).toMatchObject({ code: 'FORBIDDEN' });
});
