import { readFileSync } from 'node:fs';
import { createAesGcm, systemRandom } from '@token-broker/foundation';
import type { Redis } from 'ioredis';
import type { Settings } from '../../integration/stack.js';

/** What a broker of version 1 has left in Redis for one slot: it must be read for ever. */
export interface GoldenDataSet {
  readonly namespace: string;
  readonly key: { readonly id: string; readonly secret: string };
  readonly source: Settings;
  readonly token: { readonly accessToken: string; readonly tokenType: string; readonly lifeMs: number };
  readonly slot: string;
  /** What binds the sealed record to its place. */
  readonly additionalData: string;
  /** JSON of what is sealed in the record. */
  readonly plaintext: string;
  /** In base64url. */
  readonly sealed: string;
  /** The keys of the partition's own data, and of the record. */
  readonly metaKey: string;
  readonly recordKey: string;
  /** Values in base64url. */
  readonly strings: Readonly<Record<string, string>>;
  /** The record's without its field `sealed`. */
  readonly hashes: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const MIN_LIFETIME_MS = 1_000;
const aead = createAesGcm(systemRandom);

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

/** Before the sealed bytes: the version of the layout, then the id of the key behind its length. */
function headOf({ key }: GoldenDataSet): Buffer {
  return Buffer.concat([Buffer.of(1, key.id.length), Buffer.from(key.id)]);
}

/** Opens the golden record by hand, as a broker in another language would. */
export function openGolden(golden: GoldenDataSet): string {
  const [head, sealed] = [headOf(golden), Buffer.from(golden.sealed, 'base64url')];
  if (!sealed.subarray(0, head.length).equals(head)) throw new Error('the record is not in layout 1 under this key');
  const opened = aead.open(
    Buffer.from(golden.key.secret, 'base64'),
    sealed.subarray(head.length),
    Buffer.from(golden.additionalData),
  );
  return Buffer.from(opened ?? []).toString();
}

/**
 * Puts it into a server as if it had been written there a moment ago. The server's name and the expiry are made new.
 *
 * @param change what to add to the content of the record before it is sealed
 */
export async function restore(redis: Redis, golden: GoldenDataSet, change: object = {}): Promise<void> {
  for (const [key, value] of Object.entries(golden.strings)) await redis.set(key, Buffer.from(value, 'base64url'));
  for (const [key, fields] of Object.entries(golden.hashes)) await redis.hset(key, fields);
  const replid = /master_replid:(\w+)/.exec(await redis.info('replication'))?.[1] ?? '';
  await redis.hset(golden.metaKey, { replid });
  const [seconds] = await redis.time();
  const expiresAt = Number(seconds) * 1_000 + golden.token.lifeMs;
  const content = { ...(JSON.parse(golden.plaintext) as object), expiresAtMs: expiresAt, ...change };
  const bytes = Buffer.from(JSON.stringify(content));
  const secret = Buffer.from(golden.key.secret, 'base64');
  const sealed = Buffer.concat([headOf(golden), aead.seal(secret, bytes, Buffer.from(golden.additionalData))]);
  await redis.hset(golden.recordKey, { expiresAt, usableUntil: expiresAt - MIN_LIFETIME_MS, sealed });
  await redis.pexpireat(golden.recordKey, expiresAt);
}
