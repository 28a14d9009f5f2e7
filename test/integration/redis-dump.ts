import type { Redis } from 'ioredis';
import type { Seen } from './spellings.js';

/** All of Redis: each key's name, type and every value in it. */
export async function dumpRedis(redis: Redis): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (const key of await redis.keysBuffer('*')) {
    const name = key.toString('latin1');
    seen.push({ where: `the name of the key ${name}`, bytes: key });
    seen.push(...bytesIn(await valueOf(redis, key)).map((bytes) => ({ where: `the key ${name}`, bytes })));
  }
  return seen;
}

async function valueOf(redis: Redis, key: Buffer): Promise<unknown> {
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return redis.getBuffer(key);
    case 'hash':
      return redis.callBuffer('HGETALL', key);
    case 'zset':
      return redis.callBuffer('ZRANGE', key, '0', '-1', 'WITHSCORES');
    case 'set':
      return redis.callBuffer('SMEMBERS', key);
    case 'list':
      return redis.callBuffer('LRANGE', key, '0', '-1');
    case 'stream':
      return redis.callBuffer('XRANGE', key, '-', '+');
    case 'none':
      // It has run out since its name was read.
      return undefined;
    default:
      throw new Error(`a key of the type ${type} is not searched`);
  }
}

function bytesIn(value: unknown): Buffer[] {
  if (Buffer.isBuffer(value)) return [value];
  return Array.isArray(value) ? value.flatMap(bytesIn) : [];
}
