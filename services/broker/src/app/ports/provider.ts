import type { Redacted, Result } from '@token-broker/foundation';
import type { ErrorCode } from '@token-broker/protocol';

/** What a flight asks of a provider. The parameters are normalised and allowed by policy already. */
export interface ProviderRequest {
  /** Sorted; empty: ask for no scope at all. */
  readonly scopes: readonly string[];
  readonly audience?: string;
  readonly resource?: string;
  /** To be spent, where the grant spends one (RFC 6749 §6). */
  readonly refreshToken?: Redacted;
  /** Given by the caller, and found to be its own (RFC 8693 §2.1; the assertion of RFC 7523 §2.1). */
  readonly subjectToken?: Redacted;
  readonly actorToken?: Redacted;
}

/** What a reply tells of the upstream's limits (`RateLimit-*`, `X-RateLimit-*`), beside what it was asked for. */
export interface ObservedLimit {
  /** Calls that are left, this one counted. */
  readonly remaining: number;
  /** When there are more again, from now. */
  readonly resetMs: number;
}

/** A token that the identity provider has issued. */
export interface IssuedToken {
  readonly accessToken: Redacted;
  /** In the spelling of RFC 6750: `Bearer`. */
  readonly tokenType: string;
  /** Granted scopes, when the reply named them. */
  readonly scope?: string;
  /** Life as the provider stated it, counted from the moment the request was sent; defaults and clamps are applied. */
  readonly lifeMs: number;
  /** The successor of the refresh token that was spent. Absent: that one stays good (RFC 6749 §6). */
  readonly refreshToken?: Redacted;
  readonly observed?: ObservedLimit;
}

/** Why there is no token. `message` may cross the wire; `detail` is for the log alone and is redacted already. */
export interface ProviderFailure {
  readonly code: Extract<
    ErrorCode,
    'IDP_DENIED' | 'IDP_UNAVAILABLE' | 'IDP_TIMEOUT' | 'IDP_PROTOCOL' | 'QUOTA_EXHAUSTED' | 'REAUTH_REQUIRED'
  >;
  readonly message: string;
  readonly detail: string;
  /** The provider's own wish (`Retry-After`), from now. */
  readonly retryAfterMs?: number;
  /**
   * What was refused, where it is not this one request. `credential`: the client itself (`invalid_client`); no call of this
   * credential will do better. `refresh-token`: the token that was to be spent (`invalid_grant`).
   */
  readonly refused?: 'credential' | 'refresh-token';
  /**
   * The successor of a refresh token that was spent for a reply which is refused for another reason (a scope, say): the
   * journal must not lose it.
   */
  readonly refreshToken?: Redacted;
  readonly observed?: ObservedLimit;
}

/** Whose a token is that a caller gave. */
export interface Subject {
  /** Client ids of the parties that the token belongs to; empty: it says none. */
  readonly owners: readonly string[];
  /** Whom it names (`sub`), unique within its issuer alone; absent: nobody. */
  readonly name?: string;
  /** How long it is still good, from now; absent: it does not say. */
  readonly remainingMs?: number;
}

/**
 * One source's way to its identity provider. Obligations of an implementation:
 *
 * - One call of {@link Provider.fetch} makes at most one token request: no retries of its own. Discovery is lazy, and a
 *   failed discovery is tried again by the next call.
 * - Each call ends by itself within the source's `timeoutMs`, counted on the clock that it was given; it never hangs.
 * - It never rejects: whatever happens upstream is a {@link ProviderFailure}.
 * - It keeps no token.
 */
export interface Provider {
  fetch(request: ProviderRequest): Promise<Result<IssuedToken, ProviderFailure>>;
  /** Takes a token back at the identity provider (RFC 7009). `unsupported`: it has no way to. One request, no retries. */
  revoke(accessToken: Redacted): Promise<Result<'revoked' | 'unsupported', ProviderFailure>>;
  /**
   * Checks a token that a caller gave, as the source's `subjectToken` says. `undefined`: it is not good (expired, revoked,
   * forged, of another issuer).
   */
  readSubject(token: Redacted): Promise<Result<Subject | undefined, ProviderFailure>>;
  /** Frees connections. Running calls end on their own. */
  close(): Promise<void>;
}
