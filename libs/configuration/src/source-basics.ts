/** What every source has, whatever its provider: all that the broker knows of one but for what makes its tokens. */
export interface CommonSourceConfiguration {
  readonly name: string;
  /** Sorted, without duplicates: what is asked for where a caller does not say. Empty where the provider knows none. */
  readonly scopes: readonly string[];
  readonly audience?: string;
  readonly resource?: string;
  /** How tokens that callers give are checked. Present exactly where the source takes them. */
  readonly subjectToken?: SubjectTokenConfiguration;
  /** The time that one fetch may take. Default 10 s. */
  readonly timeoutMs: number;
  /** The life of the cluster's lock for one fetch; above `timeoutMs`. Default `timeoutMs` + 2 s. */
  readonly lockTimeMs: number;
  readonly refresh: RefreshConfiguration;
  /**
   * `fetch`: while Redis is away, each replica fetches for itself, within its share of the quota, tokens that no revocation
   * reaches. Absent: callers wait for Redis.
   */
  readonly withoutRedis?: 'fetch';
  /** Limits of the upstream identity; all of them hold. Empty: none is known. */
  readonly quota: readonly QuotaLimit[];
}

/** At most `limit` calls of the upstream identity in any window. */
export interface QuotaLimit {
  readonly limit: number;
  readonly window:
    | { readonly kind: 'sliding'; readonly ms: number }
    /** In UTC. */
    | { readonly kind: 'calendar'; readonly period: 'day' | 'month' };
  /** The part of `limit` that is kept for refetching after a revocation, in calls. Default 10 %. */
  readonly reserve: number;
}

export interface RefreshConfiguration {
  /** When to renew: with this much of the life left, as a fraction of it or in milliseconds. `off`: never ahead of demand. */
  readonly ahead:
    | { readonly kind: 'fraction'; readonly fraction: number }
    | { readonly kind: 'ms'; readonly ms: number }
    | { readonly kind: 'off' };
  /** Refreshed whether or not anybody asks, and fetched at start. Default false. */
  readonly keepWarm: boolean;
}

/** How tokens that callers give are checked before anything is made of them: each must belong to the caller. */
export interface SubjectTokenConfiguration {
  /** Token type URI (RFC 8693 §3). Default: an access token. */
  readonly type: string;
  readonly actorType: string;
  readonly check:
    /** By its signature, against the keys of the issuer that it must name (RFC 9068). */
    | { readonly kind: 'jwt'; readonly issuer: string; readonly jwksUri?: string; readonly audience?: string }
    /** By the identity provider's introspection endpoint (RFC 7662). */
    | { readonly kind: 'introspection' };
  /** The claim that names the client which the token was issued to; text, or a list. Default `client_id`. */
  readonly ownerClaim: string;
}
