import type { Redacted, Result } from '@token-broker/foundation';
import type { ErrorCode } from '@token-broker/protocol';

/** What a flight asks of a provider. The parameters are normalised and allowed by policy already. */
export interface ProviderRequest {
  /** Sorted; empty: ask for no scope at all. */
  readonly scopes: readonly string[];
  readonly audience?: string;
  readonly resource?: string;
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
}

/**
 * One source's way to its identity provider. Obligations of an implementation:
 *
 * - One call of {@link Provider.fetch} makes at most one token request: no retries of its own. Discovery is lazy, and a
 *   failed discovery is tried again by the next call.
 * - It ends by itself within the source's `timeoutMs`, counted on the clock that it was given; it never hangs.
 * - It never rejects: whatever happens upstream is a {@link ProviderFailure}.
 * - It keeps no token.
 */
export interface Provider {
  fetch(request: ProviderRequest): Promise<Result<IssuedToken, ProviderFailure>>;
  /** Takes a token back at the identity provider, where it can (RFC 7009). */
  readonly revoke?: (accessToken: Redacted) => Promise<Result<undefined, ProviderFailure>>;
  /** Frees connections. Running calls end on their own. */
  close(): Promise<void>;
}
