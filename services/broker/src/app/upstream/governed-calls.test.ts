import { Redacted } from '@token-broker/foundation';
import type { QuotaLimit, OAuth2SourceConfiguration } from '@token-broker/configuration';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, type Replica } from '../fakes/fake-cluster.js';
import { refused } from '../fakes/fake-provider.js';
import { away } from '../fakes/fake-store.js';

const MINUTE_MS = 60_000;

let clock: VirtualClock;
let cluster: FakeCluster;

beforeEach(() => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(4));
});

function perMinute(limit: number, reserve = 0): readonly QuotaLimit[] {
  return [{ limit, window: { kind: 'sliding', ms: MINUTE_MS }, reserve }];
}

/** Callers may ask for any scope, so that there are as many slots as a test wants. */
function configurationWith(change: Partial<OAuth2SourceConfiguration>): ReturnType<typeof configurationOf> {
  const grants = new Map([['payments-api', { scopes: 'any', audiences: 'any' }]] as const);
  const orders = { name: 'orders', grants, admin: false, clientIds: ['orders'] };
  return configurationOf({
    sources: new Map([['payments-api', sourceOf(change)]]),
    callers: new Map([...configurationOf().callers, ['orders', orders], ['billing', { ...orders, name: 'billing' }]]),
  });
}

async function start(change: Partial<OAuth2SourceConfiguration>): Promise<Replica> {
  return cluster.start(configurationWith(change));
}

async function startTwo(change: Partial<OAuth2SourceConfiguration>): Promise<readonly [Replica, Replica]> {
  return [await start(change), await start(change)];
}

async function ended<T>(work: Promise<T>, ms = 100): Promise<T> {
  await clock.advance(ms);
  return work;
}

describe('a call that the budget does not allow', () => {
  it('is not made: the caller is told when to try again, and then it is made at once', async () => {
    const one = await start({ quota: perMinute(2) });
    await ended(one.get({ scope: 'a' }));
    await ended(one.get({ scope: 'b' }));
    const third = await ended(one.get({ scope: 'c' }));
    expect(third.error).toMatchObject({ code: 'QUOTA_EXHAUSTED' });
    expect(cluster.idp.calls).toBe(2);
    await clock.advance(third.error?.retryAfterMs ?? 0);
    expect(await ended(one.get({ scope: 'c' }))).toMatchObject({ accessToken: 'token-3' });
  });

  it('leaves the old token to callers while it is good', async () => {
    cluster.idp.lifeMs = 40_000;
    const one = await start({ quota: perMinute(1), refresh: { ahead: { kind: 'off' }, keepWarm: false } });
    await ended(one.get());
    await clock.advance(25_000);
    // It is too short-lived for the wish, and there is no other.
    expect(await ended(one.get({ minTtlMs: 18_000 }))).toMatchObject({ accessToken: 'token-1' });
    expect(cluster.idp.calls).toBe(1);
  });

  it('is told to all who wait for it, on every replica', async () => {
    const [one, two] = await startTwo({ quota: perMinute(1) });
    await ended(one.get({ scope: 'a' }));
    const replies = await ended(Promise.all([one.get({ scope: 'b' }), two.get({ scope: 'b' })]), 2_000);
    expect(replies.map((reply) => reply.error?.code)).toEqual(['QUOTA_EXHAUSTED', 'QUOTA_EXHAUSTED']);
  });
});

describe('what is left of the budget', () => {
  it('goes to callers who wait before it goes to renewals', async () => {
    cluster.idp.lifeMs = 30_000;
    const one = await start({ quota: perMinute(5) });
    for (const scope of ['a', 'b', 'c', 'd']) await ended(one.get({ scope }));
    // All four are due for a renewal, and none is allowed the last call of the minute.
    await clock.advance(20_000);
    expect(cluster.idp.calls).toBe(4);
    expect(await ended(one.get({ scope: 'e' }))).toMatchObject({ accessToken: 'token-5' });
  });

  it('has a reserve for what was revoked', async () => {
    const one = await start({ quota: perMinute(4, 1) });
    for (const scope of ['a', 'b', 'c']) await ended(one.get({ scope }));
    expect((await ended(one.get({ scope: 'd' }))).error).toMatchObject({ code: 'QUOTA_EXHAUSTED' });
    const { slot } = await ended(one.get({ scope: 'a' }));
    await ended(
      one.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, { selector: { slot }, reason: 'leaked' }),
      10_000,
    );
    expect(await ended(one.get({ scope: 'a' }))).toMatchObject({ accessToken: 'token-4' });
  });
});

describe('what one replica learns', () => {
  it('holds for all: a 429 pauses the next call of another replica', async () => {
    const [one, two] = await startTwo({});
    cluster.idp.answer = () => refused('QUOTA_EXHAUSTED', 7_000);
    await ended(one.get({ scope: 'a' }));
    cluster.idp.answer = undefined;
    const other = await ended(two.get({ scope: 'b' }));
    expect(other.error).toMatchObject({ code: 'QUOTA_EXHAUSTED' });
    expect(other.error?.retryAfterMs).toBeGreaterThan(6_500);
    expect(cluster.idp.calls).toBe(1);
    await clock.advance(7_000);
    expect(await ended(two.get({ scope: 'b' }))).toMatchObject({ accessToken: 'token-2' });
  });

  it('is that a client is refused: no slot of it is tried, until its secret is another one', async () => {
    const [one, two] = await startTwo({});
    cluster.idp.answer = () => refused('IDP_DENIED', undefined, { refused: 'credential' });
    await ended(one.get({ scope: 'a' }));
    for (const scope of ['b', 'c', 'd'])
      expect((await ended(two.get({ scope }))).error).toMatchObject({ code: 'IDP_DENIED' });
    expect(cluster.idp.calls).toBe(1);
    cluster.idp.answer = undefined;
    const secret = { kind: 'client_secret_basic', clientSecret: new Redacted('the next one') } as const;
    two.file = configurationWith({ clientAuthentication: secret });
    await ended(two.broker.reload(), 10_000);
    expect(await ended(two.get({ scope: 'a' }))).toMatchObject({ accessToken: 'token-2' });
  });

  it('is nothing of a provider that a reload closed before the call', async () => {
    const one = await start({});
    one.file = configurationWith({ timeoutMs: 5_000 });
    let reloaded: Promise<unknown> | undefined;
    one.budgets.wire = {
      fromRedis: async (command) => {
        if (command === 'permit') await (reloaded ??= one.broker.reload());
      },
    };
    expect(await ended(one.get(), 10_000)).toMatchObject({ accessToken: 'token-1' });
    expect(one.metrics.count('idpCalled', 'payments-api', 'miss', 'IDP_UNAVAILABLE')).toBe(0);
  });

  it('is that an upstream fails: after five calls nobody calls, and good tokens are served', async () => {
    const [one, two] = await startTwo({});
    const good = await ended(two.get({ scope: 'good' }));
    cluster.idp.answer = () => refused('IDP_UNAVAILABLE');
    for (const scope of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await ended(one.get({ scope }), 10);
    expect(cluster.idp.calls).toBe(1 + 5);
    expect(await ended(two.get({ scope: 'good' }))).toMatchObject({ accessToken: good.accessToken });
    cluster.idp.answer = undefined;
    await clock.advance(2_000);
    expect(await ended(two.get({ scope: 'i' }))).toMatchObject({ accessToken: 'token-7' });
  });
});

it('refuses the caller, and calls nobody, when Redis does not say whether it may', async () => {
  const one = await start({ quota: perMinute(5) });
  one.budgets.wire = away('permit');
  expect((await ended(one.get(), 5_000)).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(cluster.idp.calls).toBe(0);
  one.budgets.wire = {};
  // The slot was given back: nobody waits for the reservation to run out.
  expect(await ended(one.get())).toMatchObject({ accessToken: 'token-1' });
});

it('says who caused each call: who asked, and of a renewal who asked last', async () => {
  cluster.idp.lifeMs = 30_000;
  const one = await start({});
  await ended(one.get());
  await ended(one.ask({ caller: 'billing' }));
  await clock.advance(26_000);
  const calls = one.metrics.calls.filter(([name]) => name === 'idpCalled').map(([, ...values]) => values);
  expect(calls.map(([source, reason, , , caller]) => [source, reason, caller])).toEqual([
    ['payments-api', 'miss', 'orders'],
    ['payments-api', 'refresh', 'billing'],
  ]);
});

it('tells operators where the budget stands', async () => {
  const one = await start({
    quota: [...perMinute(10, 1), { limit: 500, window: { kind: 'calendar', period: 'month' }, reserve: 50 }],
  });
  await ended(one.get());
  const status = await ended(one.ask({ verb: 'admin', caller: 'ops', target: 'status' }, {}));
  expect(status['sources']).toMatchObject([
    {
      budget: {
        limits: [
          { limit: 10, window: '1m', used: 1, reserve: 1, reserveUsed: 0 },
          { limit: 500, window: 'month', used: 1, reserve: 50, reserveUsed: 0 },
        ],
        ...{ open: 0, pausedMs: 0, breaker: 'closed', credentialPausedMs: 0 },
      },
    },
  ]);
});
