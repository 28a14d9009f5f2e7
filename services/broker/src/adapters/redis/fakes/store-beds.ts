import { VirtualClock } from '@token-broker/testing';
import { beforeEach, describe } from 'vitest';
import { FakeRedis } from '../../../app/fakes/fake-redis.js';
import { FakeStore } from '../../../app/fakes/fake-store.js';
import type { Store } from '../../../app/ports/store.js';
import { redisOfFile, redisTimePasses } from './redis-of-file.js';
import { PARTITIONS } from './store-commands.js';
import { storeOn } from './store-on.js';

/** A data set that stores of several brokers share, and what a test does to it. */
export interface Bed {
  store(broker?: string): Store;
  /** Lets time go by for Redis. */
  pass(ms: number): Promise<void>;
  loseEverything(): Promise<void>;
}

const redis = redisOfFile();

async function realBed(partitions: number): Promise<Bed> {
  await redis.client.flushall();
  return {
    store: (broker) => storeOn(redis, partitions, broker),
    pass: (ms) => redisTimePasses(redis, ms),
    loseEverything: async () => {
      await redis.client.flushall();
    },
  };
}

function fakeBed(partitions: number): Promise<Bed> {
  const clock = new VirtualClock();
  const redis = new FakeRedis(clock, partitions);
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
export function onBothStores(tests: () => void, partitions = PARTITIONS): void {
  describe.each([
    ['Redis', realBed],
    ['the fake', fakeBed],
  ])('the store on %s', (_, createBed) => {
    beforeEach(async () => {
      current = await createBed(partitions);
    });
    tests();
  });
}
