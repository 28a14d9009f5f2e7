import type { ErrorCode } from '@token-broker/protocol';
import type { CallClass } from '../../domain/call-class.js';

/** Fields of a log line. Never a token, a secret or a text of the identity provider that was not redacted. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

/**
 * Structured log. Obligation: lines of one `message` are bounded per second, whatever the request rate; what was left
 * out is counted and said.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** What operations must be able to find again: revocations, refusals, forged replies. Never rate limited away. */
  audit(message: string, fields?: LogFields): void;
}

/** Where an answer came from. `none`: there was no token to answer with. */
export type Layer = 'memory' | 'redis' | 'flight' | 'none';

/** Why the identity provider was called. */
export type CallReason = 'miss' | 'refresh' | 'revoked' | 'rejected';

/** How a call of the identity provider ended. */
export type CallOutcome = 'ok' | ErrorCode;

/** Counters and histograms; the adapter names them by the Prometheus conventions. All durations in milliseconds. */
export interface Metrics {
  requestServed(source: string, caller: string, layer: Layer, outcome: 'ok' | ErrorCode, tookMs: number): void;
  requestDropped(why: 'reply-subject' | 'no-reply-subject' | 'draining'): void;
  /** `caller`: who caused it; `undefined`: nobody, a token that is kept warm. */
  idpCalled(source: string, reason: CallReason, outcome: CallOutcome, tookMs: number, caller: string | undefined): void;
  /** A call that the shared budget did not allow. */
  callRefused(source: string, callClass: CallClass, why: 'limit' | 'paused' | 'breaker' | 'credential'): void;
  /** An answer that would have been a call of the identity provider without the broker. */
  callSaved(source: string): void;
  lockWaited(outcome: 'acquired' | 'held' | 'error', tookMs: number): void;
  commitRefused(why: 'epoch' | 'dead' | 'lost' | 'expired' | 'replayed' | 'policy'): void;
  storeFailed(command: string): void;
  recordUnreadable(why: 'unknown-key' | 'later-layout' | 'corrupt'): void;
  eventPublished(kind: 'refreshed' | 'invalidation' | 'heartbeat', delivered: boolean): void;
  invalidationApplied(count: number): void;
  refreshed(source: string, lagMs: number): void;
  rejectedReported(source: string, outcome: 'dropped' | 'stale' | 'limited'): void;
  revocationDone(
    selector: 'slot' | 'source' | 'all',
    outcome: 'complete' | 'incomplete' | 'failed',
    tookMs: number,
  ): void;
  synced(outcome: 'delta' | 'reset' | 'refused'): void;
  reloaded(outcome: 'reloaded' | 'unchanged' | 'refused'): void;
}

/** What a scrape reads at the moment that it happens. */
export interface Gauges {
  readonly memoryEntries: number;
  readonly memoryBytes: number;
  readonly flights: number;
  readonly leaseAgeMs: number | undefined;
  readonly natsConnected: boolean;
  readonly redisAvailable: boolean;
  readonly slotsHeldBySource: ReadonlyMap<string, number>;
  readonly nearCachesSeen: number;
}
