import { createSystemClock } from '@token-broker/foundation';
import { partitionOf, slotOf } from '@token-broker/protocol';

import { beforeEach, describe, expect, it } from 'vitest';
import type { SlotAddress, StoreError } from '../../app/ports/store.js';
import { redisOfFile } from './fakes/redis-of-file.js';
import { RedisStore } from './redis-store.js';

const PARTITIONS = 4;

const redis = redisOfFile();
let store: RedisStore;

beforeEach(async () => {
  await redis.client.flushall();
  store = new RedisStore({
    client: redis.client,
    namespace: 'test',
    partitions: PARTITIONS,
    clock: createSystemClock(),
    durableReplicas: 0,
    commandTimeoutMs: 1_000,
    broker: 'b1',
    onError: () => undefined,
  });
});

const slot = slotOf('payments-api');
const address: SlotAddress = {
  slot,
  partition: partitionOf(slot, PARTITIONS),
  source: 'payments-api',
  provider: 'oauth2',
  recipe: 'recipe-1',
};
const record = `{test:${String(address.partition)}}:record:${slot}`;

/** Reserves and commits a token with a minute to live; resolves to the time of Redis at the reservation. */
async function commitOne(): Promise<number> {
  const of = { address, attempt: 'a1', policy: 0 };
  const reply = await store.reserve({ ...of, wantGreaterThan: 0, floor: 0, callMs: 5_000 });
  if (reply.kind !== 'go') throw new Error(`expected a reservation, got ${reply.kind}`);
  const { redisMs, epoch } = reply.asOf;
  const committed = await store.commit({
    ...of,
    epoch,
    generation: reply.generation,
    expiresAtMs: redisMs + 60_000,
    usableUntilMs: redisMs + 55_000,
    sealed: Buffer.from('sealed'),
    tokenHash: 'hash',
    channelCandidate: Buffer.from('channel'),
    sealedBy: 'k1',
  });
  expect(committed.kind).toBe('ok');
  return redisMs;
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
