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
}

/**
 * Where an answer came from. `redis`: also what another replica has fetched meanwhile. `flight`: of a fetch of this replica
 * that another request had begun; `idp`: of one that this request began. `none`: there was no token to answer with.
 */
export type Layer = 'memory' | 'redis' | 'flight' | 'idp' | 'none';

/** Why the identity provider was called. */
export type CallReason = 'miss' | 'refresh' | 'revoked' | 'rejected';

/** How a call of the identity provider ended. */
export type CallOutcome = 'ok' | ErrorCode;

/** How what was revoked was named. Values of a metric's label. */
export type RevokedBy =
  'slot' | 'source' | 'provider' | 'all' | 'caller' | 'subject' | 'token' | 'issued-before' | 'graceful';

/** Counters and histograms; the adapter names them by the Prometheus conventions. All durations in milliseconds. */
export interface Metrics {
  requestServed(source: string, caller: string, layer: Layer, outcome: 'ok' | ErrorCode, tookMs: number): void;
  /**
   * Counts one answer out of memory that was given at once, and the call that it saved, as {@link Metrics.requestServed} and
   * {@link Metrics.callSaved} do. It is made once for a source and a caller: nothing is counted more often.
   */
  hitCounter(source: string, caller: string): () => void;
  requestDropped(why: 'reply-subject' | 'no-reply-subject' | 'draining'): void;
  /** `caller`: who caused it; `undefined`: nobody, a token that is kept warm. */
  idpCalled(source: string, reason: CallReason, outcome: CallOutcome, tookMs: number, caller: string | undefined): void;
  /** A call that the shared budget did not allow. */
  callRefused(source: string, callClass: CallClass, why: 'limit' | 'paused' | 'breaker' | 'credential'): void;
  /** An answer that would have been a call of the identity provider without the broker. */
  callSaved(source: string): void;
  lockWaited(outcome: 'acquired' | 'held' | 'error', tookMs: number): void;
  /** A flight ended after its lock had run out, or the lock master had lost it. */
  lockLost(source: string): void;
  commitRefused(why: 'epoch' | 'dead' | 'lost' | 'expired' | 'replayed' | 'policy'): void;
  storeFailed(command: string): void;
  recordUnreadable(why: 'unknown-key' | 'later-layout' | 'corrupt'): void;
  eventPublished(kind: 'refreshed' | 'invalidation' | 'heartbeat', delivered: boolean): void;
  invalidationApplied(): void;
  /** Invalidations that an event did not bring: read from the log, or told to a near cache that asked what it missed. */
  eventsReplayed(to: 'broker' | 'near-cache', count: number): void;
  refreshed(source: string, lagMs: number): void;
  rejectedReported(source: string, outcome: 'dropped' | 'stale' | 'limited'): void;
  revocationDone(selector: RevokedBy, outcome: 'complete' | 'incomplete' | 'failed', tookMs: number): void;
  /**
   * Who has confirmed a revocation: how long after its order each receipt came, and of those that were waited for, how many
   * were expected and never confirmed.
   */
  revocationConfirmed(
    by: 'broker' | 'near-cache',
    receipts: { readonly afterMs: readonly number[]; readonly expected: number; readonly stragglers: number },
  ): void;
  synced(outcome: 'delta' | 'reset' | 'refused'): void;
  reloaded(outcome: 'reloaded' | 'unchanged' | 'refused'): void;
  /** A record of the audit trail, for one destination. `late`: not written in time, and still tried. */
  auditRecorded(delivery: 'written' | 'late' | 'dropped'): void;
  /** A request at the HTTP door without credentials that count. */
  httpRefused(): void;
}

/** What is held of one source. */
export interface Holdings {
  readonly held: number;
  /** Of those, the ones that somebody has asked for or reported lately: they are refreshed ahead. */
  readonly inDemand: number;
  /** How many there are by {@link LIFE_BANDS}, in that order. */
  readonly byRemainingLife: readonly number[];
}

/** Bands of remaining life: each holds what is in none before it and has less than `belowMs` left. */
export const LIFE_BANDS = [
  { name: '<10s', belowMs: 10_000 },
  { name: '<1m', belowMs: 60_000 },
  { name: '<5m', belowMs: 300_000 },
  { name: '<15m', belowMs: 900_000 },
  { name: '<1h', belowMs: 3_600_000 },
  { name: '<6h', belowMs: 21_600_000 },
  { name: '<1d', belowMs: 86_400_000 },
  { name: '>=1d', belowMs: Number.POSITIVE_INFINITY },
] as const;

/** Where the shared budget of a source's upstream stands, as all replicas see it. */
export interface BudgetGauges {
  readonly source: string;
  /** Fingerprint of the upstream identity: sources with the same one share the budget. */
  readonly upstream: string;
  readonly limits: readonly {
    /** As the configuration writes it: `1h`, `day`. */
    readonly window: string;
    readonly limit: number;
    readonly used: number;
    /** Of the limit, what is kept for fetching again what was revoked. */
    readonly reserve: number;
    readonly reserveUsed: number;
    /** What callers who wait may still use now, without the reserve. */
    readonly remaining: number;
    /** When nothing remains, at the rate of the last minutes. `undefined`: not within the window. */
    readonly exhaustedInMs: number | undefined;
  }[];
  /** Calls under way in the cluster. */
  readonly open: number;
  /** 0: not paused. */
  readonly pausedMs: number;
  readonly credentialPausedMs: number;
  readonly breaker: 'closed' | 'open' | 'half-open';
}

/** What a scrape reads at the moment that it happens. */
export interface Gauges {
  readonly memoryEntries: number;
  readonly memoryBytes: number;
  readonly flights: number;
  readonly leaseAgeMs: number | undefined;
  /** Since a heartbeat was heard, from this broker or another; `undefined`: never. */
  readonly heartbeatAgeMs: number | undefined;
  /** Brokers with a lease, this one included. */
  readonly brokers: number;
  readonly natsConnected: boolean;
  readonly redisAvailable: boolean;
  readonly holdingsBySource: ReadonlyMap<string, Holdings>;
  readonly nearCachesSeen: number;
  /** Near caches that have reported here lately that they use a token of the source. */
  readonly nearCachesBySource: ReadonlyMap<string, number>;
  /** Each source of the configuration, and whether an operator has it paused. */
  readonly pausedBySource: ReadonlyMap<string, boolean>;
  /** What is not known now has no entry. */
  readonly budgets: readonly BudgetGauges[];
}
