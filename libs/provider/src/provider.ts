import type { Redacted, Result } from '@token-broker/foundation';

/** What is asked of a provider. The parameters are normalised and allowed by policy already. */
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

/**
 * A credential that an upstream has issued. Whatever it is, its secret is one text: what seals, bounds, hashes and masks
 * tokens then holds for all kinds. `tokenType` says how that text is to be read.
 */
export interface IssuedToken {
  readonly accessToken: Redacted;
  /**
   * `Bearer` in the spelling of RFC 6750; `aws-credentials` for the compact JSON
   * `{"AccessKeyId":…,"SecretAccessKey":…,"SessionToken":…}`; `password` for one. 64 characters at most, without spaces.
   */
  readonly tokenType: string;
  /** Whose it is, where a user name goes with it. A change tells applications to open their connections anew. */
  readonly username?: string;
  /** Granted scopes, when the reply named them. */
  readonly scope?: string;
  /**
   * What takes the credential back upstream, where it is not the credential itself: a lease, say, or the token that it hangs
   * on. As secret as the credential. It is kept in the sealed record alone, and given to `revoke` and to nobody else.
   */
  readonly revocationHandle?: Redacted;
  /** Life as the provider stated it, counted from the moment the request was sent; defaults and clamps are applied. */
  readonly lifeMs: number;
  /** The successor of the refresh token that was spent. Absent: that one stays good (RFC 6749 §6). */
  readonly refreshToken?: Redacted;
  readonly observed?: ObservedLimit;
}

/**
 * Why there is no token, and what that means for everybody else who wants to call it:
 *
 * | code              | the upstream                                   | what follows                                            |
 * | ----------------- | ---------------------------------------------- | ------------------------------------------------------- |
 * | `IDP_DENIED`      | has understood, and says no                    | this slot pauses; with `refused`, the whole credential  |
 * | `QUOTA_EXHAUSTED` | says: not so often                             | all its sources pause, on all replicas, `retryAfterMs`  |
 * | `IDP_UNAVAILABLE` | cannot be reached, or fails for all            | a breaker counts; later all its sources pause           |
 * | `IDP_TIMEOUT`     | has not answered in time                       | as above                                                |
 * | `IDP_PROTOCOL`    | has answered something that is no answer       | this slot pauses                                        |
 * | `REAUTH_REQUIRED` | wants a person                                 | this slot pauses                                        |
 *
 * `message` may cross the wire; `detail` is for the log alone and is redacted already.
 */
export interface ProviderFailure {
  readonly code:
    'IDP_DENIED' | 'IDP_UNAVAILABLE' | 'IDP_TIMEOUT' | 'IDP_PROTOCOL' | 'QUOTA_EXHAUSTED' | 'REAUTH_REQUIRED';
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

/** One call, as long as somebody waits for it. */
export interface ProviderCall {
  /** Aborted when the time of the call is over: end what was begun. */
  readonly signal: AbortSignal;
}

/** One call that takes a credential back. */
export interface RevocationCall extends ProviderCall {
  /**
   * That of {@link IssuedToken}. Absent: the credential was issued without one, or its record was written by a version of the
   * broker that knew of none.
   */
  readonly revocationHandle?: Redacted;
}

/**
 * What every kind of upstream implements: one source's way to it. Only `fetch` must be there.
 *
 * - One call of `fetch` counts as one against the quota, also where a credential takes several requests (a login, an
 *   exchange). Each of them is made once: no retries of its own. What it needs to know first (discovery, metadata) is looked
 *   up lazily, and a look-up that failed is made again by the next call.
 * - Expected failures are values, as the table above tells them apart. A rejection is a bug; it is answered as
 *   `IDP_PROTOCOL`.
 * - It keeps no token. What callers give (`subjectToken`) it keeps in no way.
 * - `message` and `detail` hold nothing secret.
 *
 * The deadline, the bounds of what is issued and the masking of the source's own secrets are the guard's, which stands
 * around every implementation in the broker.
 */
export interface ProviderImplementation {
  fetch(request: ProviderRequest, call: ProviderCall): Promise<Result<IssuedToken, ProviderFailure>>;
  /** Takes a token back upstream. One request, no retries. Absent: there is no way to. */
  revoke?(accessToken: Redacted, call: RevocationCall): Promise<Result<'revoked' | 'unsupported', ProviderFailure>>;
  /** Checks a token that a caller gave. Absent: callers give none. */
  readSubject?(token: Redacted, call: ProviderCall): Promise<Result<Subject | undefined, ProviderFailure>>;
  /** Frees what it holds. Running calls end on their own. */
  close?(): Promise<void>;
}

/** A credential of another source that a provider signs or asks with, and the life that it has left. */
export interface LentToken {
  readonly accessToken: Redacted;
  readonly tokenType: string;
  readonly username?: string;
  readonly remainingMs: number;
}

/**
 * The credential of another source, as a caller would get it: from memory, from Redis, or by a flight that all replicas
 * share. Never rejects.
 */
export type Lender = (source: string) => Promise<Result<LentToken, ProviderFailure>>;
