import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, TICK_MS, type Replica, type Reply } from '../fakes/fake-cluster.js';
import { refused } from '../fakes/fake-provider.js';
import { away } from '../fakes/fake-store.js';

const MINUTE_MS = 60_000;

let clock: VirtualClock;
let cluster: FakeCluster;

beforeEach(() => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(6));
});

function configurationWith(change: Partial<OAuth2SourceConfiguration>): ReturnType<typeof configurationOf> {
  const grants = new Map([['payments-api', { scopes: 'any', audiences: 'any' }]] as const);
  const orders = { name: 'orders', grants, admin: false, clientIds: ['orders'] };
  return configurationOf({
    sources: new Map([['payments-api', sourceOf({ withoutRedis: 'fetch', ...change })]]),
    callers: new Map([...configurationOf().callers, ['orders', orders]]),
  });
}

async function start(change: Partial<OAuth2SourceConfiguration> = {}): Promise<Replica> {
  return cluster.start(configurationWith(change));
}

async function startTwo(change: Partial<OAuth2SourceConfiguration> = {}): Promise<readonly [Replica, Replica]> {
  return [await start(change), await start(change)];
}

/** Nothing of these replicas reaches Redis any more, and they have noticed. */
async function cutOff(...replicas: readonly Replica[]): Promise<void> {
  for (const replica of replicas) {
    replica.store.wire = away();
    replica.budgets.wire = away();
  }
  await clock.advance(3 * TICK_MS);
}

function mend(replica: Replica): void {
  replica.store.wire = {};
  replica.budgets.wire = {};
}

async function get(replica: Replica, body?: object): Promise<Reply> {
  const got = replica.get(body);
  await clock.advance(5_000);
  return got;
}

describe('a source that may be fetched without Redis', () => {
  it('gives a caller a token that is flagged, and fetches it once for all callers of this replica', async () => {
    const one = await start();
    await cutOff(one);
    const replies = await Promise.all(Array.from({ length: 20 }, () => get(one)));
    expect(new Set(replies.map(({ accessToken, verified }) => `${String(accessToken)} ${String(verified)}`))).toEqual(
      new Set(['token-1 false']),
    );
    expect(cluster.idp.calls).toBe(1);
    expect(one.metrics.count('idpCalled', 'payments-api', 'miss', 'ok')).toBe(1);
  });

  it('is refused while a command fails, and Redis is there all the same', async () => {
    const one = await start();
    one.store.wire = away('read');
    expect((await get(one)).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(cluster.idp.calls).toBe(0);
  });

  it('is refused to callers where the configuration does not say so', async () => {
    const one = await cluster.start();
    await cutOff(one);
    expect((await get(one)).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(cluster.idp.calls).toBe(0);
  });

  it('serves what is held while that may be served, and only then fetches', async () => {
    const one = await start();
    await get(one);
    await cutOff(one);
    await clock.advance(20_000);
    expect(await get(one)).toMatchObject({ accessToken: 'token-1', verified: false });
    await clock.advance(40_000);
    expect(await get(one)).toMatchObject({ accessToken: 'token-2', verified: false });
  });

  it('gives tokens a number above those of before, and below those of after', async () => {
    const one = await start();
    const before = await get(one);
    await clock.advance(1_000);
    await cutOff(one);
    await clock.advance(MINUTE_MS);
    const during = await get(one, { minGeneration: before.generation });
    mend(one);
    await clock.advance(5_000);
    const after = await get(one, { scope: 'payments:read' });
    expect(during.generation).toBeGreaterThan(before.generation ?? 0);
    expect(after.verified).toBe(true);
    expect(after.generation).toBeGreaterThan(during.generation ?? 0);
  });

  it('keeps a token of an outage no longer than the staleness bound, and not beyond the end of the outage', async () => {
    const one = await start();
    await cutOff(one);
    await get(one);
    await clock.advance(MINUTE_MS);
    expect(await get(one)).toMatchObject({ accessToken: 'token-2' });
    mend(one);
    await clock.advance(5_000);
    expect(await get(one)).toMatchObject({ accessToken: 'token-3', verified: true });
  });

  it('drops it when a revocation is heard of, and does not take what was in the air', async () => {
    const [one, two] = await startTwo();
    await cutOff(one);
    await get(one);
    const revoked = two.ask(
      { verb: 'admin', caller: 'ops', target: 'revoke' },
      { selector: { source: 'payments-api' }, reason: 'leaked' },
    );
    await clock.advance(10_000);
    expect(await revoked).toMatchObject({ complete: true });
    expect(await get(one)).toMatchObject({ accessToken: 'token-2' });
  });

  it('gives nobody what was in the air when a revocation was heard of, also where another fetch began since', async () => {
    const [one, two] = await startTwo();
    await cutOff(one);
    cluster.idp.tookMs = 4_000;
    const before = one.get();
    await clock.advance(3_000);
    void two.ask(
      { verb: 'admin', caller: 'ops', target: 'revoke' },
      { selector: { source: 'payments-api' }, reason: 'leaked' },
    );
    await clock.advance(10);
    const during = one.get();
    await clock.advance(3_000);
    expect(await before).toMatchObject({ accessToken: 'token-1' });
    const after = one.get();
    await clock.advance(10_000);
    expect([await during, await after]).toMatchObject([{ accessToken: 'token-2' }, { accessToken: 'token-2' }]);
  });

  it('is not asked for again and again of a provider that refuses it, and callers are told why', async () => {
    const one = await start();
    await cutOff(one);
    cluster.idp.answer = () => refused('IDP_DENIED');
    for (let i = 0; i < 20; i++) expect((await get(one)).error).toMatchObject({ code: 'IDP_DENIED' });
    // A hundred seconds, with pauses that grow to half a minute.
    expect(cluster.idp.calls).toBeLessThan(12);
    cluster.idp.answer = undefined;
    await clock.advance(30_000);
    expect(await get(one)).toMatchObject({ verified: false });
  });

  it('is no answer to a caller that knows of more revocations than this replica', async () => {
    const one = await start();
    const { epoch = 0, asOf = 0 } = await get(one);
    await cutOff(one);
    await clock.advance(2 * MINUTE_MS);
    expect((await get(one, { after: { epoch, vseq: asOf + 1 } })).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});

describe('each replica, while Redis is away', () => {
  const quota = [{ limit: 10, window: { kind: 'sliding', ms: MINUTE_MS }, reserve: 1 }] as const;

  it('keeps to its share of the budget, its calls of before included', async () => {
    const replicas = await startTwo({ quota });
    for (const scope of ['a', 'b']) await get(replicas[0], { scope });
    await cutOff(...replicas);
    const called = cluster.idp.calls;
    for (const replica of replicas) {
      const gets = Array.from({ length: 12 }, (_, index) => replica.get({ scope: `without-${String(index)}` }));
      await clock.advance(5_000);
      const replies = await Promise.all(gets);
      expect(replies.some(({ error }) => error?.code === 'QUOTA_EXHAUSTED')).toBe(true);
    }
    // Nine without the reserve: five of one, four of the other, less the two that one has made already.
    expect(cluster.idp.calls - called).toBe(9 - 2);
  });

  it('has its share again when a window has passed', async () => {
    const one = await start({ quota: [{ limit: 1, window: { kind: 'sliding', ms: MINUTE_MS }, reserve: 0 }] });
    await cutOff(one);
    await get(one, { scope: 'a' });
    const second = await get(one, { scope: 'b' });
    expect(second.error).toMatchObject({ code: 'QUOTA_EXHAUSTED' });
    await clock.advance(second.error?.retryAfterMs ?? 0);
    expect(await get(one, { scope: 'b' })).toMatchObject({ accessToken: 'token-2' });
  });

  it('tells Redis of its calls when it is back: they count for all', async () => {
    const [one, two] = await startTwo({
      quota: [{ limit: 3, window: { kind: 'sliding', ms: MINUTE_MS }, reserve: 0 }],
    });
    await cutOff(one);
    for (const scope of ['a', 'b']) await get(one, { scope });
    expect(cluster.idp.calls).toBe(2);
    mend(one);
    await clock.advance(2_000);
    await get(two, { scope: 'c' });
    expect((await get(two, { scope: 'd' })).error).toMatchObject({ code: 'QUOTA_EXHAUSTED' });
    expect(cluster.idp.calls).toBe(3);
  });

  it('owes Redis no call whose window has passed: it would count where it does no more', async () => {
    const [one, two] = await startTwo({
      quota: [{ limit: 2, window: { kind: 'sliding', ms: MINUTE_MS }, reserve: 0 }],
    });
    await cutOff(one);
    await get(one, { scope: 'a' });
    await clock.advance(MINUTE_MS + 5_000);
    mend(one);
    await clock.advance(2_000);
    for (const scope of ['b', 'c']) expect(await get(two, { scope })).toMatchObject({ verified: true });
  });

  it('names the trouble of the provider that it pauses for', async () => {
    const one = await start();
    await cutOff(one);
    cluster.idp.answer = () => refused('IDP_UNAVAILABLE', 20_000);
    await get(one, { scope: 'a' });
    expect((await get(one, { scope: 'b' })).error).toMatchObject({ code: 'IDP_UNAVAILABLE', message: 'no token' });
  });

  it('makes the pauses that the provider asks for', async () => {
    const one = await start();
    await cutOff(one);
    cluster.idp.answer = () => refused('QUOTA_EXHAUSTED', 30_000);
    await get(one, { scope: 'a' });
    cluster.idp.answer = undefined;
    expect((await get(one, { scope: 'b' })).error).toMatchObject({ code: 'QUOTA_EXHAUSTED' });
    expect(cluster.idp.calls).toBe(1);
    await clock.advance(30_000);
    expect(await get(one, { scope: 'b' })).toMatchObject({ accessToken: 'token-2' });
  });
});
