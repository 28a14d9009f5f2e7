import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import type { Settings } from '../../integration/stack.js';

/** What a broker of the wire's version 1 has left in Redis: it must be read for ever. */
export interface GoldenDataSet {
  readonly namespace: string;
  readonly key: { readonly id: string; readonly secret: string };
  readonly source: Settings;
  readonly token: { readonly accessToken: string; readonly tokenType: string; readonly lifeMs: number };
  readonly slot: string;
  readonly epoch: number;
  readonly generation: number;
  readonly recipe: string;
  /** The key of the partition's own data, and of the record. */
  readonly metaKey: string;
  readonly recordKey: string;
  /** Values in base64url. */
  readonly strings: Readonly<Record<string, string>>;
  readonly hashes: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export function goldenDataSet(): GoldenDataSet {
  const url = new URL('../../golden/v1/vectors/data-set.json', import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as GoldenDataSet;
}

/** The settings under which the data set was written. */
export function goldenSettings(golden: GoldenDataSet, settings: Settings): Settings {
  return {
    ...settings,
    namespace: golden.namespace,
    encryption: { keys: [golden.key] },
    sources: { 'payments-api': golden.source },
    callers: { orders: { sources: ['payments-api'] }, ops: { sources: ['*'], admin: true } },
  };
}

/** Puts it into a server as if it had been written there a moment ago: times and the server's name are its own. */
export async function restore(redis: Redis, golden: GoldenDataSet): Promise<void> {
  for (const [key, value] of Object.entries(golden.strings)) await redis.set(key, Buffer.from(value, 'base64url'));
  for (const [key, fields] of Object.entries(golden.hashes)) {
    for (const [field, value] of Object.entries(fields)) await redis.hset(key, field, Buffer.from(value, 'base64url'));
  }
  const replid = /master_replid:(\w+)/.exec(await redis.info('replication'))?.[1] ?? '';
  await redis.hset(golden.metaKey, { replid });
  const [seconds] = await redis.time();
  const expiresAt = Number(seconds) * 1_000 + golden.token.lifeMs;
  await redis.hset(golden.recordKey, { expiresAt, usableUntil: expiresAt - 1_000 });
  await redis.pexpireat(golden.recordKey, expiresAt);
}
