import { delay, Redacted } from '@token-broker/foundation';
import { encode } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, TICK_MS, type Replica } from '../fakes/fake-cluster.js';
import { issued, refused, type Issue } from '../fakes/fake-provider.js';
import { away, repliesLost } from '../fakes/fake-store.js';

let clock: VirtualClock;

function createCluster(): FakeCluster {
  clock = new VirtualClock();
  return new FakeCluster(clock, new SeededRandom(2));
}

async function ended<T>(work: Promise<T>, ms = 60_000): Promise<T> {
  await clock.advance(ms);
  return work;
}

function countReads(replica: Replica): () => number {
  let count = 0;
  replica.store.wire = {
    toRedis: (command) => {
      if (command === 'read') count++;
    },
  };
  return () => count;
}

describe('waiting for another replica', () => {
  it('is over as soon as that one has committed', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.tookMs = 130;
    const first = one.get();
    await clock.advance(10);
    const second = two.get();
    await clock.advance(120);
    expect(await second).toMatchObject({ accessToken: 'token-1', heldMs: 120 });
    await first;
    expect(cluster.idp.mostAtOnce).toBe(1);
  });

  it('ends with the error of that one, at once', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.tookMs = 130;
    cluster.idp.answer = () => refused('IDP_UNAVAILABLE', 5_000);
    const first = one.get();
    await clock.advance(10);
    const second = two.get();
    await clock.advance(120);
    expect((await second).error).toMatchObject({ code: 'IDP_UNAVAILABLE', retryAfterMs: 5_000 });
    await first;
    expect(cluster.idp.calls).toBe(1);
  });

  it('goes on without a word: a lost notice costs a moment', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.nats.fate = () => 'lose';
    cluster.idp.tookMs = 130;
    const replies = await ended(Promise.all([one.get(), two.get()]), 2_000);
    expect(replies.map(({ accessToken }) => accessToken)).toEqual(['token-1', 'token-1']);
    expect(cluster.idp.calls).toBe(1);
  });

  it('heard of a later token before its own came back: the later one is the answer, and is held', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.lifeMs = 24_000;
    one.store.wire = { fromRedis: (command) => (command === 'commit' ? delay(clock, 14_000) : undefined) };
    const first = one.get();
    await clock.advance(13_000);
    expect(await ended(two.get({ minTtlMs: 11_900 }), 100)).toMatchObject({ accessToken: 'token-2' });
    expect(await ended(first, 1_000)).toMatchObject({ accessToken: 'token-2' });
    expect(await one.get()).toMatchObject({ accessToken: 'token-2' });
    expect(cluster.idp.calls).toBe(2);
  });

  it('takes over when the holder is gone, after its time and not before', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.tookMs = 1_000_000;
    void one.get();
    await clock.advance(10);
    cluster.idp.tookMs = 0;
    const second = two.get();
    await clock.advance(11_000);
    expect(cluster.idp.calls).toBe(1);
    expect(await ended(second, 4_000)).toMatchObject({ accessToken: 'token-2' });
  });

  it('is kept by the reservation alone when the lock is lost or its master is away', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.tookMs = 500;
    const first = one.get();
    await clock.advance(10);
    cluster.locks.forget();
    const second = two.get();
    await clock.advance(10);
    cluster.locks.away = true;
    await ended(Promise.all([first, second]));
    expect(cluster.idp.calls).toBe(1);
  });
});

describe('a lost reply', () => {
  it('to the commit: the same commit is sent again, and makes one generation', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    one.store.wire = repliesLost('commit', 2);
    const reply = await ended(one.get());
    expect(reply).toMatchObject({ accessToken: 'token-1' });
    expect(cluster.idp.calls).toBe(1);
    const two = await cluster.start();
    expect((await two.get()).generation).toBe(reply.generation);
  });

  it('to the reservation: the same is sent again, so that it keeps nobody out', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    // One that is left behind keeps everybody out for the lock's time, which is seconds.
    one.store.wire = repliesLost('reserve', 3);
    expect(await ended(one.get(), 700)).toMatchObject({ accessToken: 'token-1' });
  });

  it('to every commit: an error, and nothing is taken back whose fate is unknown', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    one.store.wire = away('commit');
    expect((await ended(one.get())).error?.code).toBe('STORE_UNAVAILABLE');
    expect(cluster.idp.takenBack).toEqual([]);
  });
});

describe('a refused commit', () => {
  it('dead: the token is taken back, and the caller gets one from after the revocation', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    cluster.idp.tookMs = 1_000;
    cluster.idp.answer = (call) =>
      call === 1 ? issued('token-1', 600_000, { revocationHandle: new Redacted('lease-1') }) : undefined;
    const reply = one.get();
    await clock.advance(500);
    await one.store.revoke({ kind: 'all' }, 0, 'r');
    for (const partition of [1, 2, 3]) await one.store.revoke({ kind: 'all' }, partition, 'r');
    expect(await ended(reply)).toMatchObject({ accessToken: 'token-2' });
    expect(cluster.idp.takenBack).toEqual(['token-1']);
    expect(cluster.idp.handles).toEqual(['lease-1']);
    expect(one.metrics.count('commitRefused', 'dead')).toBe(1);
  });

  it('lost: the winner’s token is the answer, and nothing is taken back', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.tookMs = 14_000;
    const slow = one.get();
    await clock.advance(12_500);
    cluster.locks.forget();
    cluster.idp.tookMs = 0;
    expect(await two.get()).toMatchObject({ accessToken: 'token-2' });
    expect(await ended(slow)).toMatchObject({ accessToken: 'token-2' });
    expect(one.metrics.count('commitRefused', 'lost')).toBe(1);
    expect(cluster.idp.takenBack).toEqual([]);
  });

  it.each([
    ['everything is lost', (cluster: FakeCluster) => cluster.redis.flush()],
    ['another server answers', (cluster: FakeCluster) => cluster.redis.promote()],
  ])('epoch, since %s: fetched again', async (_, happen) => {
    const cluster = createCluster();
    const one = await cluster.start();
    cluster.idp.tookMs = 500;
    const reply = one.get();
    await clock.advance(100);
    happen(cluster);
    expect(await ended(reply)).toMatchObject({ accessToken: 'token-2', verified: true });
    expect(cluster.idp.takenBack).toEqual([]);
  });

  it('replayed: an error with a pause, never the token that was revoked', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    cluster.idp.answer = () => issued('always the same', 600_000);
    await one.get();
    await clock.advance(3 * TICK_MS);
    await one.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, { selector: { all: true }, reason: 'a test' });
    const reply = await ended(one.get(), 0);
    expect(reply.error?.code).toBe('REVOKED');
    expect(reply.error?.retryAfterMs).toBeGreaterThan(0);
    expect((await one.get()).error?.code).toBe('REVOKED');
    expect(cluster.idp.calls).toBe(2);
  });

  it('replayed by a provider that signs by the second: asked again in the next one', async () => {
    const cluster = createCluster();
    cluster.providers.set('payments-api', () => cluster.idp.provider({ repeatsWithinMs: 1_000 }));
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.answer = () => issued(`signed at ${String(Math.floor(clock.elapsedMs() / 1_000))}`, 600_000);
    await clock.advance(3 * TICK_MS + 300);
    expect(await one.get()).toMatchObject({ accessToken: 'signed at 3' });
    await one.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, { selector: { all: true }, reason: 'a test' });
    const replies = [one.get(), two.get()];
    await clock.advance(1_500);
    for (const reply of await Promise.all(replies)) expect(reply).toMatchObject({ accessToken: 'signed at 4' });
    expect(cluster.idp.calls).toBe(3);
  });

  it('expired: an error for everybody, at once, with a pause', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.tookMs = 2_000;
    cluster.idp.lifeMs = 1_500;
    const [first, second] = [one.get(), two.get()];
    await clock.advance(2_000);
    expect((await first).error?.code).toBe('IDP_PROTOCOL');
    expect((await second).error?.code).toBe('IDP_PROTOCOL');
    expect(cluster.idp.calls).toBe(1);
  });

  it('policy: a replica with an older configuration of the source writes nothing, and says so', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    await clock.advance(3 * TICK_MS);
    two.store.wire = away('lease');
    two.bus.link(false);
    one.file = configurationOf({ sources: new Map([['payments-api', sourceOf({ scopes: ['payments:write'] })]]) });
    await ended(one.broker.reload());
    expect((await two.get()).error?.code).toBe('BROKER_UNAVAILABLE');
    expect(cluster.idp.calls).toBe(0);
  });
});

describe('a failure that comes too late, when another replica has taken over', () => {
  const onlyTheFirstFails = (call: number): Issue | undefined => (call === 1 ? refused('IDP_TIMEOUT') : undefined);

  it('is not the answer where that one has won: its token is', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    cluster.idp.answer = onlyTheFirstFails;
    cluster.idp.tookMs = 14_000;
    const late = one.get();
    await clock.advance(12_500);
    cluster.locks.forget();
    cluster.idp.tookMs = 0;
    expect(await two.get()).toMatchObject({ accessToken: 'token-2' });
    expect(await ended(late)).toMatchObject({ accessToken: 'token-2' });
    expect(cluster.idp.calls).toBe(2);
  });

  it('nor is a refused commit that comes when the flight’s own time is over', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    // Suspended for longer than anybody waits.
    cluster.idp.tookMs = 31_000;
    const late = one.ask({}, { deadlineMs: 60_000 });
    await clock.advance(12_500);
    cluster.idp.tookMs = 0;
    expect(await two.get()).toMatchObject({ accessToken: 'token-2' });
    expect(await ended(late)).toMatchObject({ accessToken: 'token-2' });
    expect(one.metrics.count('commitRefused', 'lost')).toBe(1);
  });

  it('is not told to those who wait for that one', async () => {
    const cluster = createCluster();
    const [one, two, three] = [await cluster.start(), await cluster.start(), await cluster.start()];
    cluster.idp.answer = onlyTheFirstFails;
    cluster.idp.tookMs = 14_000;
    const late = one.get();
    await clock.advance(12_500);
    cluster.locks.forget();
    cluster.idp.tookMs = 3_000;
    const [second, waiting] = [two.get(), three.get()];
    await clock.advance(1_600);
    expect((await late).error?.code).toBe('IDP_TIMEOUT');
    expect(await ended(Promise.all([second, waiting]))).toMatchObject([
      { accessToken: 'token-2' },
      { accessToken: 'token-2' },
    ]);
    expect(cluster.idp.calls).toBe(2);
  });
});

describe('a flight', () => {
  it('that a reload overtakes does not write for the old source with the right of the new configuration', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    await clock.advance(3 * TICK_MS);
    const changed = configurationOf({ sources: new Map([['payments-api', sourceOf({ scopes: ['payments:write'] })]]) });
    // The other replica was first: the end of the old tokens is written already.
    two.file = changed;
    one.store.wire = away('lease');
    one.bus.link(false);
    await ended(two.broker.reload(), 10_000);
    // This one reloads between its read and its claim.
    one.file = changed;
    let reloaded: Promise<unknown> | undefined;
    one.store.wire = {
      fromRedis: async (command) => {
        if (command === 'read') await (reloaded ??= one.broker.reload());
      },
    };
    expect(await ended(one.get())).toMatchObject({ verified: true });
    expect(cluster.idp.requests.map(({ scopes }) => scopes)).toEqual([['payments:write']]);
  });

  it('does not ask in a tight loop while an older data set answers', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    const first = await two.get();
    const ahead = { partition: first.partition, epoch: (first.epoch ?? 0) * 2, vseq: 1, floor: 1 };
    two.bus.publish('token-broker.v1.invalidation.all', encode({ v: 1, id: 'x', changes: [ahead] }));
    await clock.settle();
    const reads = countReads(one);
    const reply = one.get();
    // Many turns of the event loop, and no time at all.
    for (let i = 0; i < 100; i++) await clock.settle();
    expect(reads()).toBeLessThan(10);
    expect((await ended(reply)).error?.code).toBe('DEADLINE');
    expect(reads()).toBeLessThan(150);
  });

  it('does not call when it was suspended until its reservation was over', async () => {
    const cluster = createCluster();
    const [one, two] = [await cluster.start(), await cluster.start()];
    let suspend = true;
    one.store.wire = {
      fromRedis: (command) => {
        if (command !== 'reserve' || !suspend) return;
        suspend = false;
        return clock.advance(12_500);
      },
    };
    cluster.idp.tookMs = 3_000;
    const suspended = one.get();
    await clock.advance(12_400);
    cluster.locks.forget();
    const other = two.get();
    await ended(Promise.all([suspended, other]));
    expect(cluster.idp.mostAtOnce).toBe(1);
  });

  it('that fails by a fault of the broker ends with an error, and takes nothing with it', async () => {
    const cluster = createCluster();
    const one = await cluster.start();
    cluster.idp.answer = () => {
      throw new TypeError('a bug');
    };
    expect((await one.get()).error?.code).toBe('INTERNAL');
    expect(one.log.lines.some(({ level, message }) => level === 'error' && message.startsWith('flight:'))).toBe(true);
  });
});
