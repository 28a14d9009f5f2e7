import type { Clock } from '@token-broker/foundation';
import { failure, TokenBrokerError } from '@token-broker/protocol';
import type { Fetcher } from './fetcher.js';
import type { GetOptions } from './handle.js';
import { isAlive, isTrusted } from './near-cache/entry.js';
import { leastLifetimeMs } from './near-cache/lifetime.js';
import type { NearCache } from './near-cache/near-cache.js';
import type { SlotState } from './near-cache/slot-state.js';
import type { Token } from './token.js';
import { endOf } from './traced-requests.js';
import { waitFor } from './waiting.js';

/** Fetches of others that one call joins before it takes a token that lasts less long than it wished. */
const MAX_JOINS = 3;

export interface Obtaining {
  readonly clock: Clock;
  readonly cache: NearCache;
  readonly fetcher: Fetcher;
  readonly requestTimeoutMs: number;
}

/** A token for one caller: joins the fetch in the air, or starts one, and waits no longer than the caller does. */
export function obtain(parts: Obtaining, state: SlotState, options: GetOptions): Promise<Token> {
  const nowMs = parts.clock.elapsedMs();
  state.lastUsedAtMs = nowMs;
  parts.cache.settle(state, nowMs);
  // The usual call is the only one for its slot: its fetch ends in time by itself.
  const isUsual = options.signal === undefined && options.timeoutMs === undefined && !parts.fetcher.isFetching(state);
  return isUsual ? obtainAlone(parts, state, options, nowMs) : obtainInTime(parts, state, options, nowMs);
}

async function obtainAlone(parts: Obtaining, state: SlotState, options: GetOptions, nowMs: number): Promise<Token> {
  let token: Token;
  try {
    token = await parts.fetcher.fetch(state, options, nowMs);
  } catch (error) {
    return instead(parts, state, options.minTtlMs, error);
  }
  if (state.entry?.token !== token) parts.cache.passOn(state, token, parts.clock.elapsedMs());
  return token;
}

async function obtainInTime(parts: Obtaining, state: SlotState, options: GetOptions, sinceMs: number): Promise<Token> {
  const { clock, cache, fetcher } = parts;
  const { signal, timeoutMs, minTtlMs } = options;
  const untilMs = sinceMs + (timeoutMs ?? parts.requestTimeoutMs);
  for (let join = 1; ; join++) {
    const joined = fetcher.isFetching(state);
    // A fetch of its own ends in time by itself, so that the usual call needs no timer: unless it came after another one.
    const isUsual = timeoutMs === undefined && !joined && join === 1;
    const followed = joined ? fetcher.follow(state) : undefined;
    const patience = { signal, untilMs: isUsual ? undefined : untilMs };
    try {
      const token = await waitFor(clock, fetcher.fetch(state, options), patience);
      followed?.('ok');
      if (joined && join < MAX_JOINS && !lasts(parts, state, token, minTtlMs)) continue;
      if (state.entry?.token !== token) cache.passOn(state, token, clock.elapsedMs());
      return token;
    } catch (error) {
      followed?.(endOf(error));
      // Whose fetch it was may have had less time than this caller.
      const cutShort = joined && error instanceof TokenBrokerError && error.code === 'DEADLINE';
      if (cutShort && join < MAX_JOINS && clock.elapsedMs() < untilMs) continue;
      return instead(parts, state, minTtlMs, error);
    }
  }
}

/** What there is to give after a failure: a token that came meanwhile, or is still held. Otherwise the failure. */
function instead(parts: Obtaining, state: SlotState, minTtlMs: number | undefined, error: unknown): Token {
  const nowMs = parts.clock.elapsedMs();
  const entry = parts.cache.entryOf(state, nowMs);
  if (!(error instanceof TokenBrokerError) || error.code === 'CLOSED') throw error;
  if (entry === undefined || !isAlive(entry, nowMs)) throw error;
  if (isTrusted(entry, nowMs)) {
    if (lasts(parts, state, entry.token, minTtlMs)) return entry.token;
    throw error;
  }
  if (error.code !== 'BROKER_UNAVAILABLE' && error.code !== 'DEADLINE') throw error;
  const message = `a token is held, but nothing was heard of the brokers for more than ${String(parts.cache.timing.maxStalenessMs)} ms`;
  throw new TokenBrokerError(failure('STALE', message));
}

function lasts(parts: Obtaining, { entry }: SlotState, token: Token, minTtlMs: number | undefined): boolean {
  if (minTtlMs === undefined || entry?.token !== token) return true;
  return token.expiresInMs >= leastLifetimeMs(entry.lifeMs, Math.max(minTtlMs, parts.cache.timing.minLifetimeMs));
}
