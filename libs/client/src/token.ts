import type { Clock } from '@token-broker/foundation';

/**
 * A token as it is handed out. It is frozen. `accessToken` is no enumerable field, so that printing a token or turning it
 * into JSON does not show it.
 */
export interface Token {
  readonly accessToken: string;
  /** What it is, and how to use it: `Bearer` as a rule; others are listed in `docs/providers.md`. */
  readonly tokenType: string;
  /** The scopes that were granted, separated by spaces, where the identity provider named them. */
  readonly scope: string | undefined;
  /** The user whose password it is, where it is one. */
  readonly username: string | undefined;
  /** With `generation`: the order of the tokens of a slot. */
  readonly epoch: number;
  readonly generation: number;
  /** `false`: from a broker that cannot see Redis. Not cached: use it for this call only. */
  readonly verified: boolean;
  /** Remaining life in milliseconds, at this very moment; never negative. */
  readonly expiresInMs: number;
}

/** What a {@link Token} is made of. */
export interface TokenContent {
  readonly accessToken: string;
  readonly tokenType: string;
  readonly scope: string | undefined;
  readonly username: string | undefined;
  readonly epoch: number;
  readonly generation: number;
  readonly verified: boolean;
  /** On `clock.elapsedMs()`. */
  readonly expiresAtMs: number;
}

class HeldToken implements Token {
  readonly #content: TokenContent;
  readonly #clock: Clock;

  constructor(content: TokenContent, clock: Clock) {
    this.#content = content;
    this.#clock = clock;
    Object.freeze(this);
  }

  get accessToken(): string {
    return this.#content.accessToken;
  }

  get tokenType(): string {
    return this.#content.tokenType;
  }

  get scope(): string | undefined {
    return this.#content.scope;
  }

  get username(): string | undefined {
    return this.#content.username;
  }

  get epoch(): number {
    return this.#content.epoch;
  }

  get generation(): number {
    return this.#content.generation;
  }

  get verified(): boolean {
    return this.#content.verified;
  }

  get expiresInMs(): number {
    return Math.max(0, Math.floor(this.#content.expiresAtMs - this.#clock.elapsedMs()));
  }
}
Object.freeze(HeldToken.prototype);

export function createToken(content: TokenContent, clock: Clock): Token {
  return new HeldToken(content, clock);
}
