import type { ErrorCode } from '@token-broker/protocol';

/** Ceilings of one limit for one class of calls: how far each account of the window may be filled by this call. */
export interface LimitCeilings {
  readonly window:
    { readonly kind: 'sliding'; readonly ms: number } | { readonly kind: 'calendar'; readonly period: 'day' | 'month' };
  /** The account that everybody uses. A call is charged to it while it holds fewer calls than this. */
  readonly common: number;
  /** The account that is kept for refetching after a revocation. 0: not for this class. */
  readonly reserve: number;
}

export interface PermitRequest {
  /** The upstream identity whose budget it is: a fingerprint of endpoint and client id. */
  readonly upstream: string;
  /** A fingerprint of what the client proves itself with: a pause after `invalid_client` ends with another one. */
  readonly credential: string;
  /** Unique for this call of the provider; sending it again is the same permit. */
  readonly call: string;
  /** Until when the call may reach the provider at most, from now: as long it counts as being under way. */
  readonly callMs: number;
  /** All must admit it. Empty: only pauses count. */
  readonly limits: readonly LimitCeilings[];
  /** Which account is charged first. */
  readonly first: 'common' | 'reserve';
}

export type PermitReply =
  | { readonly kind: 'go' }
  | {
      readonly kind: 'refused';
      /**
       * `limit`: a window is full. `paused`: the provider asked for a pause, or said that nothing is left. `breaker`: it
       * fails, and one call at a time finds out when it no longer does. `credential`: it refuses the client itself.
       */
      readonly why: 'limit' | 'paused' | 'breaker' | 'credential';
      /** What the call that led to the pause ended with. Of a limit: `QUOTA_EXHAUSTED`. */
      readonly code: ErrorCode;
      readonly message: string;
      readonly retryAfterMs: number;
    };

/** How a call ended, as far as the upstream's other calls are concerned. */
export interface SettleRequest {
  readonly upstream: string;
  readonly credential: string;
  readonly call: string;
  /** The longest window of the limits: so long the call counts. */
  readonly limits: readonly LimitCeilings[];
  readonly outcome:
    /** It answered: with a token, or with a refusal that concerns this request alone. */
    | { readonly kind: 'answered' }
    /** 429, with the pause that it asked for (0: it did not say, and the backoff is taken). */
    | { readonly kind: 'throttled'; readonly pauseMs: number; readonly message: string }
    /** 5xx, no connection, no reply in time; with the pause that it asked for, or 0. */
    | { readonly kind: 'unavailable'; readonly code: ErrorCode; readonly message: string; readonly pauseMs: number }
    /** It refused the client itself. */
    | { readonly kind: 'credential-refused'; readonly code: ErrorCode; readonly message: string }
    /** It was not made after all. */
    | { readonly kind: 'not-made' };
  readonly observed?: { readonly remaining: number; readonly resetMs: number };
  /** Jitter, in [0, 1). */
  readonly uniform: number;
}

/** Where one upstream's budget stands. */
export interface BudgetState {
  readonly upstream: string;
  /** By limit, in the order that was asked for: calls that count now, by account. */
  readonly used: readonly { readonly common: number; readonly reserve: number }[];
  /** Calls under way. */
  readonly open: number;
  /** 0: not paused. */
  readonly pausedMs: number;
  readonly breaker: 'closed' | 'open' | 'half-open';
  /** Pause of this credential; 0: none. */
  readonly credentialPausedMs: number;
}

/**
 * The budget of calls of each upstream identity, shared by all replicas. Exact at the provider's own counter: a call
 * counts from its permit until a window after it was settled (or could have reached the provider at the latest), so that
 * no window of arrivals holds more than the limit, whenever each arrived. Obligations are those of the store: atomic,
 * idempotent by `call`, a rejection is a `StoreError`, nothing is sent again by itself.
 */
export interface UpstreamBudgets {
  permit(request: PermitRequest): Promise<PermitReply>;
  settle(request: SettleRequest): Promise<void>;
  state(upstream: string, credential: string, limits: readonly Pick<LimitCeilings, 'window'>[]): Promise<BudgetState>;
}
