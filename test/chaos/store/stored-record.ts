import type { Redis } from 'ioredis';

/** What Redis has of one slot. */
export interface StoredRecord {
  readonly key: string;
  readonly generation: number;
  /** The token, sealed; empty where it was revoked. */
  readonly sealed: Buffer;
  readonly fields: Readonly<Record<string, Buffer>>;
}

/** The record of a slot; `undefined`: there is none. */
export async function storedRecord(redis: Redis, slot: string): Promise<StoredRecord | undefined> {
  const [key] = await redis.keys(`{test:*}:record:${slot}`);
  if (key === undefined || (await redis.type(key)) !== 'hash') return undefined;
  const fields = await redis.hgetallBuffer(key);
  const { generation, sealed = Buffer.alloc(0) } = fields;
  return { key, generation: Number(generation?.toString()), sealed, fields };
}

/** The last generation that was claimed in the partition of a key. */
export async function lastClaim(redis: Redis, key: string): Promise<number> {
  const [root = ''] = key.split(':record:');
  return Number(await redis.hget(`${root}:meta`, 'generation'));
}
