import type { TryResult } from './sample-messages.js';

/** What the scenario has seen: counts of the identity provider, and of the processes themselves. */
export interface Observations {
  readonly replicas: number;
  readonly services: readonly string[];
  readonly callersPerService: number;
  readonly cold: ColdStart;
  readonly warm: WarmCalls;
  readonly access: AccessChecks;
  readonly refresh: Refresh;
  readonly revocation: Revocation;
  readonly totals: Totals;
}

/** All callers ask at the same moment, with empty near caches. */
export interface ColdStart {
  readonly served: number;
  readonly failed: number;
  readonly failure: string | null;
  /** Of the distinct tokens that callers got. */
  readonly fingerprints: readonly string[];
  readonly idpCalls: number;
  readonly tookMs: number;
}

/** The same callers ask again and again. */
export interface WarmCalls {
  readonly served: number;
  readonly failed: number;
  readonly nearCacheHits: number;
  readonly idpCalls: number;
  /** Of the slowest service. */
  readonly tookMs: number;
}

export interface AccessChecks {
  /** A scope beyond the source's own, by a caller who is allowed it. */
  readonly allowedScope: TryResult;
  /** The same scope by a caller whose policy does not have it. */
  readonly refusedScope: TryResult;
  /** A source that the caller's NATS user may not name. */
  readonly refusedSource: TryResult;
  /** Requests of that caller for that source that reached a broker. */
  readonly refusedSourceSeenByBrokers: number;
}

export interface Refresh {
  readonly idpCalls: number;
  readonly nearCaches: readonly {
    readonly service: string;
    readonly renewed: boolean;
    /** Requests that it sent meanwhile. */
    readonly requests: number;
  }[];
  /** Of the distinct tokens that are held afterwards; never the one from before. */
  readonly fingerprints: readonly string[];
  readonly before: string;
}

export interface Revocation {
  readonly exitCode: number | null;
  readonly complete: boolean;
  readonly durable: boolean;
  readonly brokers: { readonly expected: number; readonly acked: number };
  readonly confirmed: number;
  /** Time of the brokers from the request to the answer. */
  readonly brokerTookMs: number;
  readonly idpCalls: number;
  readonly revoked: string;
  readonly nearCaches: readonly RevokedNearCache[];
}

export interface RevokedNearCache {
  readonly service: string;
  /** From the moment that the request of `tokenctl` reached NATS. Null: never. */
  readonly droppedAfterMs: number | null;
  readonly renewedAfterMs: number | null;
  /** It had dropped the token before `tokenctl` had its answer. */
  readonly droppedBeforeAck: boolean;
  /** What it held when it was asked after the answer; null: nothing yet. */
  readonly heldAfterAck: string | null;
  readonly heldAtTheEnd: string | null;
}

/** Over the whole scenario, of `payments-api`. */
export interface Totals {
  /** Calls of the callers that got a token. */
  readonly served: number;
  readonly nearCacheHits: number;
  /** Calls that waited for the request of another call of the same process. */
  readonly joined: number;
  /** Calls whose process asked a broker. */
  readonly asked: number;
  /** Requests by which near caches got the successor of a revoked token. */
  readonly refetched: number;
  /** Answers of the brokers, by layer. */
  readonly brokerMemory: number;
  readonly brokerRedis: number;
  readonly brokerFlight: number;
  readonly idpCalls: number;
}
