import type { Redis } from 'ioredis';

/** What Redis has of one slot. */
export interface StoredRecord {
  readonly key: string;
  readonly generation: number;
  readonly fields: Readonly<Record<string, Buffer>>;
}

/** The record of a slot; `undefined`: there is none. */
export async function storedRecord(redis: Redis, slot: string): Promise<StoredRecord | undefined> {
  const [key] = await redis.keys(`{test:*}:record:${slot}`);
  if (key === undefined) return undefined;
  const fields = await redis.hgetallBuffer(key);
  return { key, generation: Number(fields['generation']?.toString()), fields };
}

/** The last generation that was claimed in the partition of a key. */
export async function lastClaim(redis: Redis, key: string): Promise<number> {
  const [root = ''] = key.split(':record:');
  return Number(await redis.hget(`${root}:meta`, 'generation'));
}
