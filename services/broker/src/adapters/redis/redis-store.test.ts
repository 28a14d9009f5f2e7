import { createSystemClock } from '@token-broker/foundation';
import { partitionOf, slotOf } from '@token-broker/protocol';
import { eventually, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeRedis } from '../../app/fakes/fake-redis.js';
import { FakeStore } from '../../app/fakes/fake-store.js';
import type { CommitRequest, ReserveReply, SlotAddress, Store } from '../../app/ports/store.js';
import { redisOfFile } from './fakes/redis-of-file.js';
import { RedisStore } from './redis-store.js';

const PARTITIONS = 4;

/** A data set that stores of several brokers share, and what a test does to it. */
interface Bed {
  store(broker?: string): Store;
  /** Lets time go by for Redis. */
  pass(ms: number): Promise<void>;
  loseEverything(): Promise<void>;
}

const systemClock = createSystemClock();
const redis = redisOfFile();

async function realBed(): Promise<Bed> {
  await redis.client.flushall();
  const redisMs = async (): Promise<number> => {
    const [seconds = 0, micros = 0] = await redis.client.time();
    return seconds * 1_000 + micros / 1_000;
  };
  return {
    store: (broker = 'b1') =>
      new RedisStore({
        client: redis.client,
        namespace: 'test',
        partitions: PARTITIONS,
        clock: systemClock,
        durableReplicas: 0,
        commandTimeoutMs: 1_000,
        broker,
        onError: () => undefined,
      }),
    async pass(ms) {
      const untilMs = (await redisMs()) + ms;
      await eventually(async () => (await redisMs()) > untilMs, { what: 'the time of Redis to go by' });
    },
    loseEverything: async () => {
      await redis.client.flushall();
    },
  };
}

function fakeBed(): Promise<Bed> {
  const clock = new VirtualClock();
  const redis = new FakeRedis(clock, PARTITIONS);
  return Promise.resolve({
    store: (broker = 'b1') => new FakeStore(redis, broker),
    pass: (ms) => clock.advance(ms),
    loseEverything: async () => {
      redis.flush();
    },
  });
}

let bed: Bed;
const createStore = (broker?: string): Store => bed.store(broker);

function addressOf(source: string, recipe = 'recipe-1'): SlotAddress {
  const slot = slotOf(source);
  return { slot, partition: partitionOf(slot, PARTITIONS), source, provider: 'oauth2', recipe };
}

const address = addressOf('payments-api');

function reserve(
  store: Store,
  attempt: string,
  change: { floor?: number; want?: number; of?: SlotAddress; policy?: number; callMs?: number } = {},
): Promise<ReserveReply> {
  const { floor = 0, want = 0, of = address, policy = 0, callMs = 5_000 } = change;
  return store.reserve({ address: of, wantGreaterThan: want, floor, attempt, callMs, policy });
}

function commitOf(
  go: Extract<ReserveReply, { kind: 'go' }>,
  attempt: string,
  change: Partial<CommitRequest> = {},
): CommitRequest {
  return {
    address,
    attempt,
    epoch: go.asOf.epoch,
    generation: go.generation,
    expiresAtMs: go.asOf.redisMs + 60_000,
    usableUntilMs: go.asOf.redisMs + 55_000,
    sealed: Buffer.from([0, 1, 2, 255]),
    tokenHash: `hash of ${attempt}`,
    policy: 0,
    channelCandidate: Buffer.from(`channel of ${attempt}`),
    sealedBy: 'k1',
    ...change,
  };
}

async function go(
  store: Store,
  attempt: string,
  change: Parameters<typeof reserve>[2] = {},
): Promise<Extract<ReserveReply, { kind: 'go' }>> {
  const reply = await reserve(store, attempt, change);
  if (reply.kind !== 'go') throw new Error(`expected a reservation, got ${reply.kind}`);
  return reply;
}

describe.each([
  ['Redis', realBed],
  ['the fake', fakeBed],
])('the store on %s', (_, createBed) => {
  beforeEach(async () => {
    bed = await createBed();
  });

  describe('fetching', () => {
    it('reserves, commits and reads back what was committed, with its channel', async () => {
      const store = createStore();
      expect((await store.read(address, 0)).kind).toBe('miss');
      const reserved = await go(store, 'a1');
      expect((await store.commit(commitOf(reserved, 'a1'))).kind).toBe('ok');
      const read = await store.read(address, 0);
      expect(read).toMatchObject({
        kind: 'hit',
        record: { generation: reserved.generation },
        channel: { version: reserved.generation },
      });
      expect(read.kind === 'hit' && Buffer.from(read.record.sealed).equals(Buffer.from([0, 1, 2, 255]))).toBe(true);
    });

    it('tells a second replica that the slot is busy, and gives the same generation to the same attempt', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      const reserved = await go(first, 'a1');
      expect(await reserve(second, 'a2')).toMatchObject({ kind: 'busy' });
      expect(await go(first, 'a1')).toMatchObject({ generation: reserved.generation });
    });

    it('takes a repeated commit for the same commit', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      const first = await store.commit(commitOf(reserved, 'a1'));
      expect(await store.commit(commitOf(reserved, 'a1'))).toMatchObject({
        kind: 'ok',
        generation: first.kind === 'ok' ? first.generation : -1,
      });
    });

    it('lets a refresh reserve only for more than what is there', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      expect((await reserve(store, 'a2')).kind).toBe('hit');
      expect((await reserve(store, 'a2', { want: reserved.generation })).kind).toBe('go');
    });

    it('refuses the commit of a reservation that was overtaken', async () => {
      const store = createStore();
      const slow = await go(store, 'slow', { callMs: 5 });
      await bed.pass(5);
      const fast = await go(store, 'fast');
      expect((await store.commit(commitOf(fast, 'fast'))).kind).toBe('ok');
      expect((await store.commit(commitOf(slow, 'slow'))).kind).toBe('lost');
    });

    it('is a miss under another recipe, and lets that recipe reserve at once', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      const other = addressOf('payments-api', 'recipe-2');
      expect((await store.read(other, 0)).kind).toBe('miss');
      expect((await reserve(store, 'a2', { of: other })).kind).toBe('go');
    });
  });

  describe('a result that is dead when it comes', () => {
    it('leaves the token of another recipe alone', async () => {
      const [old, changed] = [createStore('b1'), createStore('b2')];
      const late = await go(old, 'a1');
      await changed.revoke({ kind: 'source', source: 'payments-api' }, address.partition, 'r1');
      const { floor } = (await changed.read(address, 0)) as { floor: number };
      const of = addressOf('payments-api', 'recipe-2');
      const winner = await go(changed, 'a2', { of, floor });
      await changed.commit(commitOf(winner, 'a2', { address: of }));
      expect((await old.commit(commitOf(late, 'a1'))).kind).toBe('dead');
      expect(await changed.read(of, 0)).toMatchObject({ kind: 'hit', record: { generation: winner.generation } });
      // And what it brought is known as dead all the same.
      const next = await go(changed, 'a3', { of, floor, want: winner.generation });
      expect((await changed.commit(commitOf(next, 'a3', { address: of, tokenHash: 'hash of a1' }))).kind).toBe(
        'replayed',
      );
    });
  });

  describe('failing', () => {
    const failure = {
      code: 'IDP_UNAVAILABLE',
      message: 'it is away',
      retryAfterMs: 0,
      backoffFirstMs: 50,
      backoffMaxMs: 8_000,
      uniform: 1,
    } as const;

    it('shows a failure to every replica until its pause is over, and pauses grow', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      await go(first, 'a1');
      expect(await first.fail({ address, attempt: 'a1', ...failure })).toBe(50);
      expect(await reserve(second, 'a2')).toMatchObject({
        kind: 'failed',
        code: 'IDP_UNAVAILABLE',
        message: 'it is away',
      });
      await bed.pass(50);
      await go(second, 'a3');
      expect(await second.fail({ address, attempt: 'a3', ...failure })).toBe(100);
    });

    it('is one failure when it is sent again after a lost reply: its pause neither grows nor begins again', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      await go(first, 'a1');
      await first.fail({ address, attempt: 'a1', ...failure });
      expect(await first.fail({ address, attempt: 'a1', ...failure })).toBeLessThanOrEqual(50);
      await bed.pass(50);
      await go(second, 'a2');
      expect(await second.fail({ address, attempt: 'a2', ...failure })).toBe(100);
    });

    it('honours a longer wish of the provider', async () => {
      const store = createStore();
      await go(store, 'a1');
      expect(await store.fail({ address, attempt: 'a1', ...failure, retryAfterMs: 20_000 })).toBe(20_000);
    });

    it('is not noted, and says so, where another replica has taken over or the slot was revoked', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      await go(first, 'a1', { callMs: 5 });
      await bed.pass(5);
      await go(second, 'a2');
      expect(await first.fail({ address, attempt: 'a1', ...failure })).toBeUndefined();
      expect((await reserve(first, 'a3')).kind).toBe('busy');
      await second.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      expect(await second.fail({ address, attempt: 'a2', ...failure })).toBeUndefined();
    });

    it('ends with another recipe at once: a corrected configuration does not wait', async () => {
      const store = createStore();
      await go(store, 'a1');
      await store.fail({ address, attempt: 'a1', ...failure });
      expect((await reserve(store, 'a2', { of: addressOf('payments-api', 'recipe-2') })).kind).toBe('go');
    });
  });

  describe('abandoning', () => {
    it('frees the slot at once, with a later generation, and notes no failure', async () => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.abandon(address, 'a1');
      expect((await store.read(address, 0)).kind).toBe('miss');
      expect((await go(store, 'a2')).generation).toBeGreaterThan(first.generation);
    });

    it('leaves the reservation of another alone, and a failure that was noted', async () => {
      const store = createStore();
      await go(store, 'a1');
      await store.abandon(address, 'a2');
      expect((await reserve(store, 'a3')).kind).toBe('busy');
      await store.fail({
        ...{ address, attempt: 'a1', code: 'IDP_DENIED', message: 'no', retryAfterMs: 5_000 },
        ...{ backoffFirstMs: 1, backoffMaxMs: 1, uniform: 0 },
      });
      await store.abandon(address, 'a1');
      expect((await reserve(store, 'a3')).kind).toBe('failed');
    });
  });

  it('says whether a fetch takes the place of a token that died before its time', async () => {
    const store = createStore();
    const first = await go(store, 'a1');
    expect(first.isRefetch).toBe(false);
    await store.commit(commitOf(first, 'a1'));
    const { floor } = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
    const second = await go(store, 'a2', { floor });
    expect([second.isRefetch, (await go(store, 'a2', { floor })).isRefetch]).toEqual([true, true]);
    await store.commit(commitOf(second, 'a2'));
    expect(await go(store, 'a3', { floor, want: second.generation })).toMatchObject({ isRefetch: false });
  });

  describe('revoking', () => {
    it('kills the record and the flight in the air, and confirms while it stands', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      const flying = await go(store, 'a2', { want: reserved.generation });
      const revoked = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      expect(revoked.floor).toBeGreaterThan(flying.generation);
      expect(await store.read(address, 0)).toMatchObject({ kind: 'miss', floor: revoked.floor });
      expect((await store.commit(commitOf(flying, 'a2'))).kind).toBe('dead');
      expect(
        await store.confirm({ kind: 'slot', slot: address.slot }, address.partition, revoked.asOf.epoch, revoked.floor),
      ).toBe(true);
    });

    it('is one revocation when it is sent twice', async () => {
      const store = createStore();
      const target = { kind: 'slot', slot: address.slot } as const;
      const first = await store.revoke(target, address.partition, 'r1');
      await store.revoke({ kind: 'all' }, address.partition, 'r2');
      const second = await store.revoke(target, address.partition, 'r1');
      expect([second.floor, second.vseq]).toEqual([first.floor, first.vseq]);
    });

    it('sends callers with an older floor back to the lock of the new one', async () => {
      const store = createStore();
      const { floor } = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      expect(await reserve(store, 'a1', { floor: 0 })).toMatchObject({ kind: 'relock', floor });
      expect((await reserve(store, 'a1', { floor })).kind).toBe('go');
    });

    it.each([
      { kind: 'source', source: 'payments-api' },
      { kind: 'provider', provider: 'oauth2' },
      { kind: 'all' },
    ] as const)('cuts off by $kind: what was is dead, what comes is not', async (target) => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      const { floor } = await store.revoke(target, address.partition, 'r1');
      expect((await store.read(address, 0)).kind).toBe('miss');
      const next = await go(store, 'a2', { floor });
      expect((await store.commit(commitOf(next, 'a2'))).kind).toBe('ok');
      expect((await store.read(address, 0)).kind).toBe('hit');
    });

    it.each([
      { kind: 'slot', slot: address.slot },
      { kind: 'source', source: 'payments-api' },
    ] as const)(
      'refuses the very token that was revoked by $kind, when the provider hands it out again',
      async (target) => {
        const store = createStore();
        const reserved = await go(store, 'a1');
        await store.commit(commitOf(reserved, 'a1', { tokenHash: 'same' }));
        const { floor } = await store.revoke(target, address.partition, 'r1');
        const next = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(next, 'a2', { tokenHash: 'same' }))).kind).toBe('replayed');
      },
    );

    describe('a token that was revoked, and outlives what takes its place,', () => {
      const shortLived = (
        { asOf: { redisMs } }: Extract<ReserveReply, { kind: 'go' }>,
        lifeMs: number,
      ): Partial<CommitRequest> => ({
        ...{ expiresAtMs: redisMs + lifeMs, usableUntilMs: redisMs + lifeMs },
      });

      it('is not taken again after a token that was on its way, and is over by now', async () => {
        const store = createStore();
        const late = await go(store, 'late', { callMs: 1 });
        await bed.pass(1);
        await store.commit(commitOf(await go(store, 'a1'), 'a1', { tokenHash: 'same' }));
        const { floor } = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
        const over = commitOf(late, 'late', { ...shortLived(late, 0), tokenHash: 'over' });
        // Sent twice, since the first reply was lost.
        expect([(await store.commit(over)).kind, (await store.commit(over)).kind]).toEqual(['dead', 'dead']);
        const next = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(next, 'a2', { tokenHash: 'same' }))).kind).toBe('replayed');
      });

      it('is not taken again after a shorter token has come and gone', async () => {
        const store = createStore();
        await store.commit(commitOf(await go(store, 'a1'), 'a1', { tokenHash: 'same' }));
        const { floor } = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
        const short = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(short, 'a2', shortLived(short, 200)))).kind).toBe('ok');
        await bed.pass(200);
        expect((await store.read(address, 0)).kind).toBe('miss');
        expect(await store.list({}, 10)).toMatchObject({ slots: [] });
        const next = await go(store, 'a3', { floor });
        expect((await store.commit(commitOf(next, 'a3', { tokenHash: 'same' }))).kind).toBe('replayed');
      });
    });

    describe.each([
      { kind: 'slot', slot: address.slot },
      { kind: 'source', source: 'payments-api' },
    ] as const)('a token that was on its way when $kind was revoked, from a provider that caches', (target) => {
      const begun = async (): Promise<{ store: Store; late: Awaited<ReturnType<typeof go>>; floor: number }> => {
        const store = createStore();
        const late = await go(store, 'a1');
        const { floor } = await store.revoke(target, address.partition, 'r1');
        return { store, late, floor };
      };

      it('is not taken by a later claim either', async () => {
        const { store, late, floor } = await begun();
        expect((await store.commit(commitOf(late, 'a1', { tokenHash: 'same' }))).kind).toBe('dead');
        const next = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(next, 'a2', { tokenHash: 'same' }))).kind).toBe('replayed');
      });

      it('is not taken by a renewal of the next token', async () => {
        const { store, late, floor } = await begun();
        expect((await store.commit(commitOf(late, 'a1', { tokenHash: 'same' }))).kind).toBe('dead');
        const next = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(next, 'a2', { tokenHash: 'other' }))).kind).toBe('ok');
        const renewal = await go(store, 'a3', { floor, want: next.generation });
        expect((await store.commit(commitOf(renewal, 'a3', { tokenHash: 'same' }))).kind).toBe('replayed');
      });

      it('is not taken by a later claim either, where another token counts already', async () => {
        const { store, late, floor } = await begun();
        const next = await go(store, 'a2', { floor });
        await store.commit(commitOf(next, 'a2', { tokenHash: 'other' }));
        expect((await store.commit(commitOf(late, 'a1', { tokenHash: 'same' }))).kind).toBe('dead');
        const renewal = await go(store, 'a3', { floor, want: next.generation });
        expect((await store.commit(commitOf(renewal, 'a3', { tokenHash: 'same' }))).kind).toBe('replayed');
      });

      it('is the token of a later claim that was given it: nobody may take it back', async () => {
        const { store, late, floor } = await begun();
        const next = await go(store, 'a2', { floor });
        await store.commit(commitOf(next, 'a2', { tokenHash: 'same' }));
        expect((await store.commit(commitOf(late, 'a1', { tokenHash: 'same' }))).kind).toBe('lost');
        expect(await store.read(address, 0)).toMatchObject({ kind: 'hit', record: { generation: next.generation } });
      });
    });

    it('lets a token that a resource server refused be fetched again, until it is revoked', async () => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.commit(commitOf(first, 'a1', { tokenHash: 'same' }));
      await store.reject(address, first.asOf.epoch, first.generation, 1_000);
      const second = await go(store, 'a2', { floor: first.generation });
      expect((await store.commit(commitOf(second, 'a2', { tokenHash: 'same' }))).kind).toBe('ok');
      const revoked = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      const third = await go(store, 'a3', { floor: revoked.floor });
      expect((await store.commit(commitOf(third, 'a3', { tokenHash: 'same' }))).kind).toBe('replayed');
    });

    it.each([
      { kind: 'slot', slot: address.slot },
      { kind: 'source', source: 'payments-api' },
    ] as const)('refuses a token that was refused by a resource server before $kind was revoked', async (target) => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.commit(commitOf(first, 'a1', { tokenHash: 'same' }));
      await store.reject(address, first.asOf.epoch, first.generation, 1_000);
      const { floor } = await store.revoke(target, address.partition, 'r1');
      const second = await go(store, 'a2', { floor });
      expect((await store.commit(commitOf(second, 'a2', { tokenHash: 'same' }))).kind).toBe('replayed');
    });

    it('makes another channel when the key that seals is another', async () => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.commit(commitOf(first, 'a1'));
      const second = await go(store, 'a2', { want: first.generation });
      const committed = await store.commit(commitOf(second, 'a2', { sealedBy: 'k2' }));
      expect(committed).toMatchObject({ kind: 'ok', channel: { version: second.generation } });
    });

    it('ends the channel, and the next commit makes another', async () => {
      const store = createStore();
      await store.commit(commitOf(await go(store, 'a1'), 'a1'));
      const { floor } = await store.revoke({ kind: 'all' }, address.partition, 'r1');
      const next = await go(store, 'a2', { floor });
      const committed = await store.commit(commitOf(next, 'a2'));
      expect(committed).toMatchObject({ kind: 'ok', channel: { version: next.generation } });
    });

    it('keeps a channel across a refresh', async () => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.commit(commitOf(first, 'a1'));
      const second = await go(store, 'a2', { want: first.generation });
      expect(await store.commit(commitOf(second, 'a2'))).toMatchObject({
        kind: 'ok',
        channel: { version: first.generation },
      });
    });
  });

  describe('policy', () => {
    it('gives replicas with one configuration one version, and a new one to a new configuration', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      const version = await first.registerPolicy('one');
      expect(await second.registerPolicy('one')).toBe(version);
      expect(await second.registerPolicy('two')).toBeGreaterThan(version);
    });

    it('neither gives a channel to a broker with an older configuration nor lets it make one', async () => {
      const store = createStore();
      const before = await store.registerPolicy('one');
      const reserved = await go(store, 'a1', { policy: before });
      expect(await store.commit(commitOf(reserved, 'a1', { policy: before }))).toMatchObject({
        kind: 'ok',
        channel: { version: reserved.generation },
      });
      const after = await store.registerPolicy('two');
      expect(await store.read(address, before)).not.toHaveProperty('channel');
      expect(await store.read(address, after)).not.toHaveProperty('channel');
      const next = await go(store, 'a2', { want: reserved.generation, policy: before });
      expect(await store.commit(commitOf(next, 'a2', { policy: before }))).not.toHaveProperty('channel');
    });

    it('keeps brokers with an older configuration from writing to a source that has changed', async () => {
      const store = createStore();
      const before = await store.registerPolicy('one');
      const reserved = await go(store, 'a1', { policy: before });
      const after = await store.registerPolicy('two');
      const { floor } = await store.revoke({ kind: 'source', source: 'payments-api' }, address.partition, 'r1', after);
      expect((await store.commit(commitOf(reserved, 'a1', { policy: before }))).kind).toBe('dead');
      expect((await reserve(store, 'a2', { floor, policy: before })).kind).toBe('policy');
      expect((await reserve(store, 'a2', { floor, policy: after })).kind).toBe('go');
    });
  });

  describe('reading along', () => {
    it('leases, names the brokers, and tells what was invalidated since', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      const [begun] = await first.lease([{ partition: address.partition, epoch: 0, applied: 0 }], 3_000);
      expect(begun).toMatchObject({ entries: undefined, brokers: ['b1'] });
      const epoch = begun?.asOf.epoch ?? 0;
      const { floor } = await second.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      const [next] = await second.lease([{ partition: address.partition, epoch, applied: 0 }], 3_000);
      expect(next?.entries).toEqual([{ vseq: 1, floor, target: { kind: 'slot', slot: address.slot } }]);
      expect(next?.brokers).toEqual(['b1', 'b2']);
      await first.leave();
      const [last] = await second.lease([{ partition: address.partition, epoch, applied: 1 }], 3_000);
      expect(last).toMatchObject({ entries: [], brokers: ['b2'] });
    });

    it('begins a greater epoch when the data is gone, and generations go on', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      await bed.loseEverything();
      const again = await go(store, 'a2');
      expect(again.asOf.epoch).toBeGreaterThan(reserved.asOf.epoch);
      expect(again.generation).toBeGreaterThan(reserved.generation);
      expect((await store.commit(commitOf(reserved, 'a1'))).kind).toBe('epoch');
    });

    it('lists live records by source, and none that is revoked', async () => {
      const store = createStore();
      await store.commit(commitOf(await go(store, 'a1'), 'a1'));
      expect((await store.list({ source: 'payments-api' }, 10)).slots).toMatchObject([
        { slot: address.slot, source: 'payments-api' },
      ]);
      expect((await store.list({ source: 'other' }, 10)).slots).toEqual([]);
      await store.revoke({ kind: 'all' }, address.partition, 'r1');
      expect((await store.list({}, 10)).slots).toEqual([]);
    });

    it.each([
      { kind: 'source', source: 'payments-api' },
      { kind: 'provider', provider: 'oauth2' },
      { kind: 'all' },
    ] as const)('lists nothing that a cutoff of $kind has killed', async (target) => {
      const store = createStore();
      await store.commit(commitOf(await go(store, 'a1'), 'a1'));
      await store.revoke({ kind: 'provider', provider: 'aws-sts' }, address.partition, 'r1');
      expect((await store.list({}, 10)).slots).toHaveLength(1);
      await store.revoke(target, address.partition, 'r2');
      expect((await store.read(address, 0)).kind).toBe('miss');
      expect((await store.list({}, 10)).slots).toEqual([]);
    });

    it('knows who is present until they leave', async () => {
      const store = createStore();
      await store.present('orders', 'i1', 60_000);
      await store.present('billing', 'i2', 60_000);
      expect((await store.presences()).map(({ caller }) => caller).sort()).toEqual(['billing', 'orders']);
      await store.present('orders', 'i1', 0);
      expect(await store.presences()).toMatchObject([{ caller: 'billing', instance: 'i2' }]);
    });
  });

  it('drops a rejected generation once, and neither an old one nor too often', async () => {
    const store = createStore();
    const first = await go(store, 'a1');
    await store.commit(commitOf(first, 'a1'));
    const { epoch } = first.asOf;
    expect((await store.reject(address, epoch, first.generation - 1, 5_000)).kind).toBe('stale');
    const dropped = await store.reject(address, epoch, first.generation, 5_000);
    expect(dropped).toMatchObject({ kind: 'dropped', floor: first.generation });
    expect((await store.reject(address, epoch, first.generation, 5_000)).kind).toBe('stale');
    const second = await go(store, 'a2', { floor: dropped.floor });
    await store.commit(commitOf(second, 'a2'));
    expect((await store.reject(address, epoch, second.generation, 5_000)).kind).toBe('limited');
  });
});
