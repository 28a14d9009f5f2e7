import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, TICK_MS, type Replica } from './fakes/fake-cluster.js';
import { refused } from './fakes/fake-provider.js';
import type { BudgetGauges, Gauges } from './ports/telemetry.js';

const MINUTE_MS = 60_000;

let clock: VirtualClock;
let cluster: FakeCluster;

beforeEach(() => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(7));
});

async function ended<T>(work: Promise<T>, ms = 100): Promise<T> {
  await clock.advance(ms);
  return work;
}

/** Scopes of callers' choice, so that there are as many slots as a test wants. */
function start(...sources: Partial<OAuth2SourceConfiguration>[]): Promise<Replica> {
  const all = sources.map((change) => sourceOf({ refresh: { ahead: { kind: 'off' }, keepWarm: false }, ...change }));
  const grants = new Map(all.map(({ name }) => [name, { scopes: 'any', audiences: 'any' }] as const));
  const orders = { name: 'orders', grants, admin: false, clientIds: ['orders'] };
  return cluster.start(
    configurationOf({
      sources: new Map(all.map((source) => [source.name, source])),
      callers: new Map([['orders', orders]]),
    }),
  );
}

const quota = (limit: number, reserve = 0): Pick<OAuth2SourceConfiguration, 'quota'> => ({
  quota: [{ limit, window: { kind: 'sliding', ms: MINUTE_MS }, reserve }],
});

/** The gauges of a scrape after the last one's reading is no longer fresh. */
async function scraped(replica: Replica): Promise<Gauges> {
  await clock.advance(1_000);
  return ended(replica.broker.gauges(), 0);
}

async function budgetOf(replica: Replica): Promise<BudgetGauges | undefined> {
  return (await scraped(replica)).budgets[0];
}

describe('where a budget stands', () => {
  it('is the same at every replica, also at one that has made no call', async () => {
    const [one, two] = [await start(quota(10, 3)), await start(quota(10, 3))];
    await ended(one.get({ scope: 'a' }));
    await ended(one.get({ scope: 'b' }));
    const expected = {
      limits: [
        { window: '1m', limit: 10, used: 2, reserve: 3, reserveUsed: 0, remaining: 5, exhaustedInMs: undefined },
      ],
      open: 0,
      pausedMs: 0,
      credentialPausedMs: 0,
      breaker: 'closed',
    };
    expect(await budgetOf(one)).toMatchObject(expected);
    expect(await budgetOf(two)).toMatchObject(expected);
  });

  it('is told once for each source, and read once for all sources of one upstream', async () => {
    const one = await start(quota(10), { name: 'orders-api', ...quota(10) }, { name: 'other', clientId: 'another' });
    let reads = 0;
    one.budgets.wire = { toRedis: (command) => void (reads += Number(command === 'budgetState')) };
    await ended(one.get({ scope: 'a' }));
    const { budgets } = await scraped(one);
    expect(reads).toBe(2);
    expect(budgets.map(({ source, limits }) => [source, limits[0]?.used])).toEqual([
      ['payments-api', 1],
      ['orders-api', 1],
      ['other', undefined],
    ]);
    expect(budgets[0]?.upstream).toBe(budgets[1]?.upstream);
    expect(budgets[0]?.upstream).not.toBe(budgets[2]?.upstream);
  });

  it('tells a pause that the upstream asked for, counted down between two readings', async () => {
    const one = await start(quota(10));
    cluster.idp.answer = () => refused('QUOTA_EXHAUSTED', 20_000);
    await ended(one.get(), 0);
    const first = (await scraped(one)).budgets[0];
    await clock.advance(500);
    const second = (await ended(one.broker.gauges(), 0)).budgets[0];
    expect(first?.pausedMs).toBeGreaterThan(15_000);
    expect((first?.pausedMs ?? 0) - (second?.pausedMs ?? 0)).toBe(500);
  });

  it('forecasts when nothing remains, by how fast calls were made since the scrapes before', async () => {
    const one = await start(quota(40));
    await budgetOf(one);
    for (const scope of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await ended(one.get({ scope }), 1_000);
    const limit = (await budgetOf(one))?.limits[0];
    // Eight calls in nine seconds, and 32 are left.
    expect(limit).toMatchObject({ used: 8, remaining: 32, exhaustedInMs: 36_000 });
    await clock.advance(2 * MINUTE_MS);
    expect((await budgetOf(one))?.limits[0]).toMatchObject({ used: 0, exhaustedInMs: undefined });
  });

  it('is read once a second at most, however often it is asked for', async () => {
    const one = await start(quota(10));
    let reads = 0;
    one.budgets.wire = { toRedis: (command) => void (reads += Number(command === 'budgetState')) };
    for (let scrape = 0; scrape < 20; scrape += 1) await ended(one.broker.gauges(), 100);
    expect(reads).toBe(2);
  });

  it('does not hold up a scrape when Redis hangs, and is told no more once it is ten seconds old', async () => {
    const one = await start(quota(10));
    expect((await scraped(one)).budgets).toHaveLength(1);
    one.budgets.wire = { toRedis: () => new Promise<never>(() => undefined) };
    await clock.advance(1_000);
    let isDone = false;
    const scrape = one.broker.gauges().then((gauges) => {
      isDone = true;
      return gauges;
    });
    await clock.advance(249);
    expect(isDone).toBe(false);
    await clock.advance(1);
    expect(isDone).toBe(true);
    expect((await scrape).budgets).toHaveLength(1);
    await clock.advance(10_000);
    expect((await ended(one.broker.gauges(), 250)).budgets).toEqual([]);
  });
});

describe('what is held', () => {
  it('is told by remaining life, and by whether somebody still wants it', async () => {
    const one = await start({});
    const bands = async (): Promise<unknown> => (await scraped(one)).holdingsBySource.get('payments-api');
    cluster.idp.lifeMs = 2 * MINUTE_MS;
    await ended(one.get({ scope: 'short' }));
    cluster.idp.lifeMs = 120 * MINUTE_MS;
    await ended(one.get({ scope: 'long' }));
    expect(await bands()).toEqual({ held: 2, inDemand: 2, byRemainingLife: [0, 0, 1, 0, 0, 1, 0, 0] });
    await clock.advance(70_000);
    expect(await bands()).toEqual({ held: 2, inDemand: 2, byRemainingLife: [0, 1, 0, 0, 0, 1, 0, 0] });
    await clock.advance(600_000);
    expect(await bands()).toEqual({ held: 1, inDemand: 0, byRemainingLife: [0, 0, 0, 0, 0, 1, 0, 0] });
  });
});

describe('the age of the heartbeat', () => {
  it('is that of anybody’s, and grows when the connection of events is away', async () => {
    const [one, two] = [await start({}), await start({})];
    await clock.advance(3 * TICK_MS);
    for (const replica of [one, two]) expect((await scraped(replica)).heartbeatAgeMs).toBeLessThanOrEqual(TICK_MS);
    expect((await scraped(one)).brokers).toBe(2);
    two.bus.connected = false;
    await clock.advance(5 * TICK_MS);
    expect((await scraped(two)).heartbeatAgeMs).toBeGreaterThan(5 * TICK_MS);
    expect((await scraped(one)).heartbeatAgeMs).toBeLessThanOrEqual(TICK_MS);
  });
});

describe('a lock', () => {
  it('counts as lost where its master has forgotten it by the end of the flight', async () => {
    const one = await start({});
    cluster.idp.tookMs = 1_000;
    const asked = one.get();
    await clock.advance(500);
    cluster.locks.forget();
    await ended(asked, 1_000);
    expect(one.metrics.count('lockLost', 'payments-api')).toBe(1);
    await ended(one.get({ scope: 'kept' }), 2_000);
    expect(one.metrics.count('lockLost')).toBe(1);
  });
});

describe('an invalidation whose event was lost', () => {
  it('is read from the log, and counted as replayed at the broker that had missed it', async () => {
    const [one, two] = [await start({}), await start({})];
    cluster.nats.fate = (subject, to) => (subject.includes('invalidation') && to === two.name ? 'lose' : 'deliver');
    await ended(one.get());
    const { epoch, generation } = await ended(two.get());
    await ended(one.ask({ verb: 'rejected' }, { epoch, generation }), 10 * TICK_MS);
    expect(two.metrics.count('eventsReplayed', 'broker', 1)).toBe(1);
    expect(one.metrics.count('eventsReplayed')).toBe(0);
  });
});
