import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreError } from '../../app/ports/store.js';
import { redisOfFile } from './fakes/redis-of-file.js';
import { address, commitOf, go, PARTITIONS } from './fakes/store-commands.js';
import { storeOn } from './fakes/store-on.js';
import type { RedisStore } from './redis-store.js';

const redis = redisOfFile();
const record = `{test:${String(address.partition)}}:record:${address.slot}`;
let store: RedisStore;

beforeEach(async () => {
  await redis.client.flushall();
  store = storeOn(redis, PARTITIONS);
});

/** Reserves and commits a token with a minute to live; resolves to the time of Redis at the reservation. */
async function commitOne(): Promise<number> {
  const reserved = await go(store, 'a1');
  expect((await store.commit(commitOf(reserved, 'a1'))).kind).toBe('ok');
  return reserved.asOf.redisMs;
}

describe('in Redis itself', () => {
  it('gives no record and no key a life longer than its token, and none without an end', async () => {
    await commitOne();
    expect(await redis.client.pttl(record)).toBeGreaterThan(0);
    expect(await redis.client.pttl(record)).toBeLessThanOrEqual(60_000);
  });

  it('does not hand out a record that is within its minimum lifetime, whatever its TTL', async () => {
    const redisMs = await commitOne();
    await redis.client.hset(record, 'usableUntil', String(redisMs - 1));
    await redis.client.persist(record);
    expect((await store.read(address, 0)).kind).toBe('miss');
  });

  it('sets a key of another type aside', async () => {
    await redis.client.set(record, 'not a hash');
    expect((await store.read(address, 0)).kind).toBe('miss');
    expect(await redis.client.get(`${record}:set-aside`)).toBe('not a hash');
  });

  it('tells a refusal of Redis from silence', async () => {
    await redis.client.set(`{test:${String(address.partition)}}:meta`, 'not a hash');
    await expect(store.read(address, 0)).rejects.toMatchObject({
      name: 'StoreError',
      outcome: 'refused',
      command: 'read',
    } satisfies Partial<StoreError>);
  });
});
