import type { Redacted, Result } from '@token-broker/foundation';
import type { IssuedToken, ProviderFailure, ProviderRequest, Subject } from '@token-broker/provider';

export type * from '@token-broker/provider';

/** What a provider states of itself: all that the rest of the broker has to know of its kind. */
export interface ProviderCapabilities {
  /** It can take tokens back upstream, in general; of one token `revoke` says. */
  readonly canRevoke: boolean;
  /** Each fetch spends a refresh token and may bring its successor: the journal surrounds the call. */
  readonly mayRotate: boolean;
  /** The longest life that a token of it can have; longer ones are cut. */
  readonly longestLifeMs: number;
  /**
   * A fetch is a call of somebody else: it takes the budget's permit, and counts. `false`: the broker has all that it takes,
   * so that a fetch is neither held back nor counted.
   */
  readonly callsUpstream: boolean;
  /** Tokens are worth renewing ahead of their end. `false`: the same would come back, until the configuration changes. */
  readonly needsRefresher: boolean;
  /**
   * Fetches that are no further apart bring the same: what was revoked comes again, and another does after that. Default: the
   * same again is what an upstream has kept, and a failure.
   */
  readonly repeatsWithinMs?: number;
  /** Callers may ask for scopes, an audience, a resource. `false`: a request that names one is refused. */
  readonly takesParameters: boolean;
}

/**
 * One source's way to its upstream, as the rest of the broker uses it. What it may rely on:
 *
 * - Each call ends by itself within the source's `timeoutMs`, counted on the broker's clock; it never hangs.
 * - It never rejects: whatever happens upstream is a {@link ProviderFailure}.
 * - What is issued is within bounds: see `guarded-provider.ts`.
 */
export interface Provider {
  readonly capabilities: ProviderCapabilities;
  fetch(request: ProviderRequest): Promise<Result<IssuedToken, ProviderFailure>>;
  /**
   * Takes a token back upstream (RFC 7009 and the like), by the handle that it was issued with, if there was one.
   * `unsupported`: it has no way to.
   */
  revoke(
    accessToken: Redacted,
    revocationHandle?: Redacted,
  ): Promise<Result<'revoked' | 'unsupported', ProviderFailure>>;
  /**
   * Checks a token that a caller gave, as the source's `subjectToken` says. `undefined`: it is not good (expired, revoked,
   * forged, of another issuer).
   */
  readSubject(token: Redacted): Promise<Result<Subject | undefined, ProviderFailure>>;
  /** Frees connections. Running calls end on their own. */
  close(): Promise<void>;
}
