import { createSystemClock } from '@token-broker/foundation';
import { partitionOf, slotOf } from '@token-broker/protocol';
import { eventually, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe } from 'vitest';
import { FakeRedis } from '../../../app/fakes/fake-redis.js';
import { FakeStore } from '../../../app/fakes/fake-store.js';
import type { CommitRequest, ReserveReply, SlotAddress, Store } from '../../../app/ports/store.js';
import { redisOfFile } from './redis-of-file.js';
import { RedisStore } from '../redis-store.js';

const PARTITIONS = 4;

/** A data set that stores of several brokers share, and what a test does to it. */
export interface Bed {
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
    loseEverything: () => {
      redis.flush();
      return Promise.resolve();
    },
  });
}

let current: Bed | undefined;

/** The data set of the test that runs. */
export function bedOfTest(): Bed {
  if (current === undefined) throw new Error('there is a data set within tests alone');
  return current;
}

export const createStore = (broker?: string): Store => bedOfTest().store(broker);

/** The same tests of the store on a real Redis and of the fake. */
export function onBothStores(tests: () => void): void {
  describe.each([
    ['Redis', realBed],
    ['the fake', fakeBed],
  ])('the store on %s', (_, createBed) => {
    beforeEach(async () => {
      current = await createBed();
    });
    tests();
  });
}

export function addressOf(source: string, recipe = 'recipe-1'): SlotAddress {
  const slot = slotOf(source);
  return { slot, partition: partitionOf(slot, PARTITIONS), source, provider: 'oauth2', recipe };
}

export const address = addressOf('payments-api');

export function reserve(
  store: Store,
  attempt: string,
  change: { floor?: number; want?: number; of?: SlotAddress; policy?: number; callMs?: number } = {},
): Promise<ReserveReply> {
  const { floor = 0, want = 0, of = address, policy = 0, callMs = 5_000 } = change;
  return store.reserve({ address: of, wantGreaterThan: want, floor, attempt, callMs, policy });
}

export function commitOf(
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

export async function go(
  store: Store,
  attempt: string,
  change: Parameters<typeof reserve>[2] = {},
): Promise<Extract<ReserveReply, { kind: 'go' }>> {
  const reply = await reserve(store, attempt, change);
  if (reply.kind !== 'go') throw new Error(`expected a reservation, got ${reply.kind}`);
  return reply;
}
