import type { Order } from './order.js';

/**
 * What an observer sees of calls of the identity provider, and of what brokers owe to it. `permit` names one call, and the claim
 * that it is made for.
 */
export type SeenUpstream =
  | GivenBack
  | Permitted
  | OverQuota
  | Settled
  | Arrived
  | Attributed
  | Intended
  | Waited
  | Telling
  | Told
  | Seeded
  | FamilyEnded
  | Left
  | Returned;

/** A broker gave its claim back: nobody calls for it any more. */
export interface GivenBack extends Order {
  readonly kind: 'given-back';
  readonly slot: string;
  readonly recipe: string;
}

/** Redis permitted a call of the upstream, which may reach it for `callMs` from then on. */
export interface Permitted {
  readonly kind: 'permitted';
  readonly permit: string;
  /** The name of the budget: it changes with the key of fingerprints, which Redis may have lost. */
  readonly upstream: string;
  readonly redisMs: number;
  readonly callMs: number;
  /** It takes the place of a token that died before its time: such calls have the reserve. */
  readonly isRefetch: boolean;
}

/** Redis refused a call since a window is full: at most `common` calls of everybody would have let it pass. */
export interface OverQuota {
  readonly kind: 'over-quota';
  readonly permit: string;
  readonly upstream: string;
  readonly redisMs: number;
  readonly callMs: number;
  readonly common: number;
}

/** Redis has heard how a call ended. */
export interface Settled {
  readonly kind: 'settled';
  readonly permit: string;
  readonly redisMs: number;
  readonly wasMade: boolean;
}

/** A call has reached the identity provider, which counts it. */
export interface Arrived {
  readonly kind: 'arrived';
  readonly call: number;
  /** `undefined`: nobody permitted it. */
  readonly permit: string | undefined;
  readonly refreshToken: string | undefined;
  /** The provider's name of the family that it is of. */
  readonly family: string | undefined;
}

/** A broker has said why it called. */
export interface Attributed {
  readonly kind: 'attributed';
  readonly permit: string;
  readonly isRenewal: boolean;
}

/** The journal has noted who spends a refresh token. */
export interface Intended {
  readonly kind: 'intended';
  readonly permit: string;
  readonly redisMs: number;
  readonly callMs: number;
  readonly family: string;
  readonly sequence: number;
}

/** The journal told another to wait for the one who spends. */
export interface Waited {
  readonly kind: 'waited';
  readonly owner: string;
  readonly redisMs: number;
}

/** A broker sends the journal the outcome of a call. */
export interface Telling {
  readonly kind: 'telling';
  readonly permit: string;
}

/** The journal has heard the outcome of a call. Family and sequence are those that it held then. */
export interface Told {
  readonly kind: 'told';
  readonly permit: string;
  readonly outcome: 'succeeded' | 'replaced' | 'released' | 'exhausted' | 'moved';
  readonly family: string | undefined;
  readonly sequence: number | undefined;
}

/** The journal has taken a refresh token from an operator. */
export interface Seeded {
  readonly kind: 'seeded';
  readonly family: string;
}

/** The identity provider has ended a family, and all access tokens of it. */
export interface FamilyEnded {
  readonly kind: 'family-ended';
  readonly family: string;
  readonly why: 'replayed' | 'withdrawn';
}

/** A process was stopped, or is asleep; `isGone`: it is dead. */
export interface Left {
  readonly kind: 'left';
  readonly isGone: boolean;
}

export interface Returned {
  readonly kind: 'returned';
}

/** What the caller of an identity provider has heard. `kept`: a token, and no successor of the refresh token. */
export type Heard = 'token' | 'successor' | 'kept' | 'refresh-token-refused' | 'throttled' | 'failure';
