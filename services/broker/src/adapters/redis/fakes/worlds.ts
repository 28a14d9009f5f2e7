import { delay, type Clock } from '@token-broker/foundation';
import { VirtualClock } from '@token-broker/testing';
import { FakeRedis } from '../../../app/fakes/fake-redis.js';
import { FakeStore } from '../../../app/fakes/fake-store.js';
import type { Store } from '../../../app/ports/store.js';
import type { RedisOfFile } from './redis-of-file.js';
import { storeOn } from './store-on.js';

/** A data set that stores of several brokers share, and what a story does to it. */
export interface World {
  store(broker: string): Store;
  /** Everything is lost: `FLUSHALL`. */
  lose(): Promise<unknown>;
  /** Another server answers from now on, with the same data. */
  promote(): Promise<unknown>;
  /** Time passes. */
  pass(ms: number): Promise<unknown>;
}

/** On a real Redis. */
export function worldOf(redis: RedisOfFile, partitions: number, clock: Clock): World {
  return {
    store: (broker) => storeOn(redis, partitions, broker),
    lose: () => redis.client.flushall(),
    // A replica that becomes a master goes on under another id. It never finds the master that it is told to follow.
    promote: async () => [await redis.client.replicaof('127.0.0.1', 1), await redis.client.replicaof('NO', 'ONE')],
    pass: (ms) => delay(clock, ms),
  };
}

/** In this process, on a clock that stands still until time passes. */
export function fakeWorldOf(partitions: number): World {
  const virtual = new VirtualClock();
  const redis = new FakeRedis(virtual, partitions);
  return {
    store: (broker) => new FakeStore(redis, broker),
    lose: () => {
      redis.flush();
      return virtual.advance(1);
    },
    promote: () => {
      redis.promote();
      return virtual.advance(1);
    },
    pass: (ms) => virtual.advance(ms),
  };
}
