import type { Clock } from '@token-broker/foundation';
import { createToken, type Token, type TokenContent } from '../token.js';
import { leastLifetimeMs, nextRefreshAtMs, refreshAtMs } from './lifetime.js';

/** A token on its way into the near cache. */
export interface Arrival {
  readonly content: TokenContent;
  readonly asOf: number;
  readonly lifeMs: number;
  /** Until when it is trusted for what brought it, on `clock.elapsedMs()`. */
  readonly trustedUntilMs: number;
}

/** What a token goes by beside its age: no generation up to the floor counts, and none longer than its partition is trusted. */
interface Judge {
  readonly floor: number;
  readonly partition: Trusted;
}

interface Trusted {
  readonly trustedUntilMs: number;
}

/** A token that is held, with the moments that decide whether it may be handed out. All on `clock.elapsedMs()`. */
export interface Entry {
  token: Token;
  /** `token`, for those who await it; made by the first of them. */
  answer: Promise<Token> | undefined;
  epoch: number;
  readonly generation: number;
  /** The number of the last invalidation that is known not to have hit it. */
  asOf: number;
  /** Its slot's, which decides whether it counts. Read on the hot path. */
  readonly cohort: Judge;
  /** Its cohort's: to go there by the cohort takes a hit a tenth longer. */
  readonly partition: Trusted;
  expiresAtMs: number;
  readonly lifeMs: number;
  /** From here on it has less than the minimum lifetime left. */
  usableUntilMs: number;
  /** From here on it is renewed in the background when it is used. */
  refreshAtMs: number;
  /** The lesser of the two: before it, nothing is to be done. Read on the hot path. */
  freshUntilMs: number;
  /** The reply that brought it verified it until here, whatever its partition says. */
  trustedUntilMs: number;
  readonly bytes: number;
}

/** @param uniform in [0, 1): spreads the moment from which on it is renewed */
export function createEntry(
  { content, asOf, lifeMs, trustedUntilMs }: Arrival,
  cohort: Judge,
  clock: Clock,
  minLifetimeMs: number,
  uniform: number,
): Entry {
  const { epoch, generation, expiresAtMs, accessToken, scope, username } = content;
  const refreshFromMs = refreshAtMs(expiresAtMs, lifeMs, minLifetimeMs, uniform);
  const usableUntilMs = expiresAtMs - leastLifetimeMs(lifeMs, minLifetimeMs);
  return {
    token: createToken(content, clock),
    answer: undefined,
    epoch,
    generation,
    asOf,
    cohort,
    partition: cohort.partition,
    expiresAtMs,
    lifeMs,
    usableUntilMs,
    refreshAtMs: refreshFromMs,
    freshUntilMs: Math.min(usableUntilMs, refreshFromMs),
    trustedUntilMs,
    bytes: accessToken.length + (scope?.length ?? 0) + (username?.length ?? 0),
  };
}

/** The same token came again. */
export function confirmEntry(entry: Entry, arrival: Arrival, clock: Clock, minLifetimeMs: number): void {
  const { content, asOf, trustedUntilMs } = arrival;
  entry.asOf = Math.max(entry.asOf, asOf);
  entry.trustedUntilMs = Math.max(entry.trustedUntilMs, trustedUntilMs);
  // Each reckoning of its expiry is early rather than late, so that the later one is nearer to the truth: by far where the
  // clock of this process has jumped on since the one before.
  const byMs = content.expiresAtMs - entry.expiresAtMs;
  if (byMs <= 0) return;
  entry.expiresAtMs = content.expiresAtMs;
  entry.token = createToken(content, clock);
  entry.answer = undefined;
  refreshFrom(entry, entry.refreshAtMs + byMs, minLifetimeMs);
}

/** It is to be renewed in the background when it is used at `atMs` or later. */
export function refreshFrom(entry: Entry, atMs: number, minLifetimeMs: number): void {
  entry.usableUntilMs = entry.expiresAtMs - leastLifetimeMs(entry.lifeMs, minLifetimeMs);
  entry.refreshAtMs = atMs;
  entry.freshUntilMs = Math.min(entry.usableUntilMs, atMs);
}

/** A try to renew it in the background brought nothing newer. */
export function postponeRefresh(entry: Entry, nowMs: number, minLifetimeMs: number): void {
  refreshFrom(entry, nextRefreshAtMs(nowMs, entry.usableUntilMs), minLifetimeMs);
}

/** Whether an entry may be handed out for its age: the minimum lifetime, or more where the caller wishes more. */
export function isAlive(entry: Entry, nowMs: number, leastMs?: number): boolean {
  return nowMs < (leastMs === undefined ? entry.usableUntilMs : entry.expiresAtMs - leastMs);
}

/** Whether an entry may be handed out for what is known of invalidations. */
export function isTrusted(entry: Entry, nowMs: number): boolean {
  const { cohort, partition } = entry;
  return (nowMs < partition.trustedUntilMs || nowMs < entry.trustedUntilMs) && entry.generation > cohort.floor;
}
