import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { delay } from '@token-broker/foundation';
import { describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, TICK_MS, type Replica } from '../fakes/fake-cluster.js';
import { refused } from '../fakes/fake-provider.js';
import { away } from '../fakes/fake-store.js';
import { StoreError } from '../ports/store.js';

const LEASE_MS = 3 * TICK_MS;
let clock: VirtualClock;

function createCluster(): FakeCluster {
  clock = new VirtualClock();
  return new FakeCluster(clock, new SeededRandom(1));
}

/** Lets time go by until `work` has ended. */
async function ended<T>(work: Promise<T>, ms = 60_000): Promise<T> {
  await clock.advance(ms);
  return work;
}

function cut(replica: Replica, ...commands: string[]): void {
  replica.store.wire = away(...commands);
}

function revoke(replica: Replica): Promise<unknown> {
  return replica.ask(
    { verb: 'admin', caller: 'ops', target: 'revoke' },
    { selector: { source: 'payments-api' }, reason: 'a test' },
  );
}

describe('one call for all', () => {
  it('joins concurrent callers of one replica, and those of another by the lock', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.tookMs = 200;
    const replies = await ended(
      Promise.all([one, two].flatMap((replica) => Array.from({ length: 50 }, () => replica.get()))),
    );
    expect(new Set(replies.map(({ accessToken }) => accessToken))).toEqual(new Set(['token-1']));
    expect(cluster.idp.calls).toBe(1);
  });

  it('abandons only the wait of a caller whose deadline is over', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    cluster.idp.tookMs = 2_000;
    const [hasty, patient] = [one.get({ deadlineMs: 500 }), one.get()];
    await clock.advance(500);
    expect((await hasty).error?.code).toBe('DEADLINE');
    expect(await ended(patient)).toMatchObject({ accessToken: 'token-1', heldMs: 2_000, verified: true });
    expect(cluster.idp.calls).toBe(1);
  });

  it('asks for scopes sorted and once, however they were named', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    await one.ask({ caller: 'ops' }, { scope: ['b', 'a', 'b'] });
    expect(cluster.idp.requests[0]?.scopes).toEqual(['a', 'b']);
  });
});

describe('after a revocation', () => {
  it('lets nobody join the flight from before it', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    await clock.advance(LEASE_MS);
    cluster.idp.tookMs = 1_000;
    const before = one.get();
    await clock.advance(500);
    await revoke(one);
    const after = one.get();
    await clock.advance(1_000);
    expect(await after).toMatchObject({ accessToken: 'token-2' });
    // The caller from before is not given what was revoked under it either.
    expect(await ended(before)).toMatchObject({ accessToken: 'token-2' });
    expect(cluster.idp.takenBack).toEqual(['token-1']);
  });

  it('does not vouch for what was read before it by a replica whose lease had run out', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    await two.get();
    await clock.advance(LEASE_MS);
    // A replica that stops for a while in the middle of a read: nothing reaches it, and it renews nothing.
    one.bus.link(false);
    one.store.wire = {
      toRedis: (command) => {
        if (command === 'lease') throw new StoreError(command, 'unknown', 'suspended');
      },
      fromRedis: async (command) => {
        if (command === 'read') await delay(cluster.clock, 10_000);
      },
    };
    const late = one.get();
    await clock.settle();
    const revoked = await ended(revoke(two), LEASE_MS);
    expect(revoked).toMatchObject({ complete: true });
    const reply = await ended(late, 10_000);
    expect(reply).toMatchObject({ verified: false });
  });

  it('renews a lease that has run out before it answers', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    await two.get();
    await clock.advance(LEASE_MS);
    cut(one, 'lease');
    await clock.advance(LEASE_MS);
    one.store.wire = {};
    expect(await one.get()).toMatchObject({ accessToken: 'token-1', verified: true });
  });

  it('gives a caller that knows of it nothing older, also out of a flight that was in the air', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    const first = await two.get();
    await clock.advance(LEASE_MS);
    one.bus.link(false);
    let slow = true;
    one.store.wire = {
      fromRedis: async (command) => {
        if (command === 'read' && slow) await delay(cluster.clock, 100);
      },
    };
    const joined = one.get();
    await clock.settle();
    slow = false;
    void revoke(two);
    await clock.settle();
    const view = cluster.redis.partitions[first.partition ?? -1];
    const informed = one.get({ after: { epoch: view?.epoch, vseq: view?.vseq } });
    expect(await ended(informed)).toMatchObject({ accessToken: 'token-2', asOf: view?.vseq });
    await joined;
  });
});

describe('a wish for more life', () => {
  it('fetches a newer token, and gives the old one where there is none to be had', async () => {
    const cluster = createCluster();
    const one = await cluster.start(configurationOf({ sources: sourcesWith({ refresh: OFF }) }));
    await one.get();
    await clock.advance(400_000);
    cluster.idp.answer = () => refused('IDP_UNAVAILABLE');
    expect(await ended(one.get({ minTtlMs: 250_000 }))).toMatchObject({ accessToken: 'token-1' });
    cluster.idp.answer = undefined;
    await clock.advance(60_000);
    expect(await ended(one.get({ minTtlMs: 250_000 }))).toMatchObject({ accessToken: 'token-3' });
  });

  it('is capped at half of the life, or it would call each time', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    await one.get();
    await clock.advance(TICK_MS);
    expect(await one.get({ minTtlMs: 10_000_000 })).toMatchObject({ accessToken: 'token-1' });
    expect(cluster.idp.calls).toBe(1);
  });
});

describe('while Redis is away', () => {
  it.each(['read', 'reserve', 'commit'])('says so when nothing is held: %s', async (command) => {
    const cluster = createCluster();
    const one = await cluster.start();
    cut(one, command);
    const reply = await ended(one.get());
    expect(reply.error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(reply.accessToken).toBeUndefined();
  });

  it('serves what is held, flagged, to the staleness bound and to the minimum lifetime, no further', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    await one.get();
    cut(one);
    await clock.advance(LEASE_MS - 1);
    expect(await one.get()).toMatchObject({ verified: true });
    await clock.advance(TICK_MS);
    expect(await one.get()).toMatchObject({ accessToken: 'token-1', verified: false });
    await clock.advance(60_000);
    expect((await one.get()).error?.code).toBe('STORE_UNAVAILABLE');
  });

  it('sends callers to its peers for as long as those read Redis, and no longer', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cut(one);
    await clock.advance(LEASE_MS);
    expect((await ended(one.get())).error).toMatchObject({ code: 'BROKER_UNAVAILABLE', retryAfterMs: 0 });
    expect(await two.get()).toMatchObject({ accessToken: 'token-1' });
    cut(two);
    await clock.advance(LEASE_MS);
    expect((await ended(one.get())).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('gives nothing older than a caller knows of', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    const { epoch, asOf } = await one.get();
    cut(one);
    await clock.advance(LEASE_MS);
    expect((await one.get({ after: { epoch, vseq: (asOf ?? 0) + 1 } })).error?.code).toBe('STORE_UNAVAILABLE');
    expect(await one.get({ after: { epoch, vseq: asOf } })).toMatchObject({ verified: false });
  });
});

describe('a failure of the identity provider', () => {
  it('is not repeated before its pause is over, by any replica, and is gone with a revocation of the slot', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    await clock.advance(LEASE_MS);
    cluster.idp.answer = () => refused('IDP_DENIED', 20_000);
    expect((await one.get()).error).toMatchObject({ code: 'IDP_DENIED', retryAfterMs: 20_000 });
    await clock.advance(10_000);
    expect((await two.get()).error).toMatchObject({ code: 'IDP_DENIED', retryAfterMs: 10_000 });
    expect(cluster.idp.calls).toBe(1);
    cluster.idp.answer = undefined;
    const [slot] = [...(cluster.redis.partitions.find(({ slots }) => slots.size > 0)?.slots.keys() ?? [])];
    await one.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, { selector: { slot }, reason: 'a test' });
    expect(await two.get()).toMatchObject({ accessToken: 'token-2' });
  });
});

describe('over a reload', () => {
  it('answers nobody whose access was taken away while the token was fetched', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    await clock.advance(LEASE_MS);
    cluster.idp.tookMs = 1_000;
    const waiting = one.get();
    await clock.settle();
    const { callers } = configurationOf();
    one.file = configurationOf({ callers: new Map([...callers].filter(([name]) => name !== 'orders')) });
    await one.broker.reload();
    expect((await ended(waiting)).error?.code).toBe('FORBIDDEN');
  });

  it('gives a caller that waited the token of the source as it is now', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    await clock.advance(LEASE_MS);
    cluster.idp.tookMs = 1_000;
    const waiting = one.get();
    await clock.settle();
    one.file = configurationOf({ sources: sourcesWith({ scopes: ['payments:write'] }) });
    await one.broker.reload();
    expect(await ended(waiting)).toMatchObject({ accessToken: 'token-2', verified: true });
    expect(cluster.idp.requests.map(({ scopes }) => scopes)).toEqual([['payments:read'], ['payments:write']]);
  });
});

const OFF = { ahead: { kind: 'off' }, keepWarm: false } as const;

function sourcesWith(change: Parameters<typeof sourceOf>[0]): ReturnType<typeof configurationOf>['sources'] {
  return new Map([['payments-api', sourceOf(change)]]);
}
