import type { Token } from '@token-broker/client';
import type { CacheKey } from './cache-place.js';

/** The longest entry that is read: a token of the longest kind, and all that stands beside it. */
export const MAX_ENTRY_BYTES = 256 * 1024;

/** A token with less life than this is asked for again: whoever has it printed needs a moment to use it. */
const LEAST_LIFE_MS = 30_000;

/** A token on disk. Times are of the wall clock, which all processes share. */
export interface CacheEntry extends CacheKey {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  readonly accessToken: string;
  readonly tokenType: string;
  readonly scope: string | undefined;
  readonly username: string | undefined;
  readonly epoch: number;
  readonly generation: number;
}

/** What makes an entry of use to this run. */
export interface Freshness {
  readonly wallMs: number;
  /** How long an entry counts. */
  readonly ttlMs: number;
  /** The least remaining life that is asked for. */
  readonly minTtlMs: number | undefined;
}

export function entryOf(key: CacheKey, token: Token, wallMs: number): CacheEntry {
  const { accessToken, tokenType, scope, username, epoch, generation, expiresInMs } = token;
  const held = { accessToken, tokenType, scope, username, epoch, generation };
  return { ...key, storedAtMs: wallMs, expiresAtMs: wallMs + expiresInMs, ...held };
}

/** An entry that was stored in the future tells of a clock that was set back: nothing is known of its life. */
export function isFresh(entry: CacheEntry, { wallMs, ttlMs, minTtlMs = 0 }: Freshness): boolean {
  const ageMs = wallMs - entry.storedAtMs;
  return ageMs >= 0 && ageMs < ttlMs && entry.expiresAtMs - wallMs >= Math.max(LEAST_LIFE_MS, minTtlMs);
}

/** Nothing unverified is kept (`verified` of the token), so that what was kept is. */
export function tokenOf(entry: CacheEntry, wallMs: number): Token {
  const { accessToken, tokenType, scope, username, epoch, generation, expiresAtMs } = entry;
  const identity = { accessToken, tokenType, scope, username, epoch, generation };
  return { ...identity, verified: true, expiresInMs: expiresAtMs - wallMs };
}

export function writeEntry(entry: CacheEntry): string {
  return `${JSON.stringify({ v: 1, ...entry })}\n`;
}

/** Reads what {@link writeEntry} wrote for this key; anything else is `undefined`. */
export function readEntry(text: string, key: CacheKey): CacheEntry | undefined {
  const fields = objectIn(text);
  if (fields?.['v'] !== 1) return undefined;
  for (const [name, value] of Object.entries(key)) if (fields[name] !== value) return undefined;
  const { storedAtMs, expiresAtMs, accessToken, tokenType, scope, username, epoch, generation } = fields;
  if (![storedAtMs, expiresAtMs, epoch, generation].every(isCount)) return undefined;
  if (!isWord(accessToken) || !isWord(tokenType)) return undefined;
  if (scope !== undefined && typeof scope !== 'string') return undefined;
  if (username !== undefined && typeof username !== 'string') return undefined;
  const times = { storedAtMs: Number(storedAtMs), expiresAtMs: Number(expiresAtMs) };
  const identity = { epoch: Number(epoch), generation: Number(generation) };
  return { ...key, ...times, ...identity, accessToken, tokenType, scope, username };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Both go into a header, one after the other. */
function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

function objectIn(text: string): Partial<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
