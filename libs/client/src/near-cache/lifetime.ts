import type { Timing } from '@token-broker/protocol';

/** What a near cache goes by until it has heard of the brokers. */
export const DEFAULT_TIMING: Timing = { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs: 5_000 };

/** Ticks without a verification after which a partition is suspect; also the longest lease of a broker. */
export const TICKS_UNTIL_SUSPECT = 3;

/** The part of the usable life after which a token is renewed in the background. Brokers renew earlier, at 80 %. */
const REFRESH_AT = 0.9;
/** The spread of that moment, as a part of the usable life, so that the near caches do not ask at the same time. */
const REFRESH_SPREAD = 0.04;
/** The least pause between two tries to renew one token in the background. */
const LEAST_REFRESH_PAUSE_MS = 1_000;

/**
 * The least remaining life with which a token is handed out: `wishedMs`, but for a short-lived token half of its life,
 * so that it can be used at all.
 */
export function leastLifetimeMs(lifeMs: number, wishedMs: number): number {
  return Math.min(wishedMs, lifeMs / 2);
}

/** When a token that is in use is renewed in the background. `uniform` in [0, 1) spreads it. */
export function refreshAtMs(expiresAtMs: number, lifeMs: number, minLifetimeMs: number, uniform: number): number {
  const usableMs = lifeMs - leastLifetimeMs(lifeMs, minLifetimeMs);
  return expiresAtMs - lifeMs + usableMs * (REFRESH_AT + REFRESH_SPREAD * (uniform - 0.5));
}

/** The next try after one that brought nothing newer: each pause is half of what is left, so there are only a few. */
export function nextRefreshAtMs(nowMs: number, usableUntilMs: number): number {
  return nowMs + Math.max(LEAST_REFRESH_PAUSE_MS, (usableUntilMs - nowMs) / 2);
}

/**
 * By how much this process's clock is ahead of Redis's, at the least: of a moment that Redis's clock showed, and that was not
 * before another one of this process's clock. All that is reckoned from it is therefore early rather than late.
 */
export type Anchor = number;

export function anchorOf(elapsedMs: number, redisMs: number): Anchor {
  return elapsedMs - redisMs;
}

/** The earliest moment of this process's clock at which Redis's clock can have shown `redisMs`. */
export function anchored(anchor: Anchor, redisMs: number): number {
  return redisMs + anchor;
}
