import type { Order } from './order.js';
import type { Heard, SeenUpstream } from './upstream-observation.js';

/** A floor in one partition, for the slots that it covers. */
export interface Floor {
  readonly partition: number;
  readonly epoch: number;
  readonly floor: number;
}

/** What an observer of the whole world sees. */
export type Seen =
  | Reserved
  | Called
  | CallEnded
  | Issued
  | TakenBack
  | Committed
  | FloorRaised
  | RevocationReturned
  | DataSetReplaced
  | Answered
  | HandedOut
  | SeenUpstream;

/**
 * One line of the history of a run, in the order of true time: all that the checker knows. `process` is the one that did
 * it, with its incarnation.
 */
export type Observation = At<Seen>;

/** With its true time, and who did it. */
export type At<T> = { readonly atMs: number; readonly process: string } & T;

/** Redis gave the right to call the identity provider. */
export interface Reserved extends Order {
  readonly kind: 'reserved';
  readonly slot: string;
  readonly recipe: string;
  /** The floor of the slot at that moment. */
  readonly floor: number;
  /** Time of Redis, and how long the reservation keeps others out. */
  readonly redisMs: number;
  readonly callMs: number;
  /** The live record at that moment, and the part of its life that was left. */
  readonly live: { readonly generation: number; readonly leftOfLife: number } | undefined;
  /**
   * There is a reason to replace it before its time: the clock of the process was set on, or its machine slept, so that it takes
   * the record for older than it is; or an operator has ordered a graceful revocation.
   */
  readonly isDue: boolean;
}

export interface Called extends Order {
  readonly kind: 'called';
  readonly slot: string;
  readonly recipe: string;
  readonly call: number;
}

/** The caller has heard how its call ended, or has given up. */
export interface CallEnded {
  readonly kind: 'call-ended';
  readonly call: number;
  readonly permit: string | undefined;
  readonly heard: Heard;
  /** The pause that the provider asked for. */
  readonly retryAfterMs: number;
}

/** The identity provider made a token. `expiresAtMs` is the truth. */
export interface Issued {
  readonly kind: 'issued';
  readonly call: number;
  readonly token: string;
  readonly lifeMs: number;
  readonly expiresAtMs: number;
  /** The family of refresh tokens that it dies with. */
  readonly family: string | undefined;
}

/** A broker revoked a token at the identity provider. */
export interface TakenBack {
  readonly kind: 'taken-back';
  readonly token: string;
}

/** Redis stored a record. `order` is that of the record, `epochOfClaim` that of the reservation. */
export interface Committed extends Order {
  readonly kind: 'committed';
  readonly slot: string;
  readonly epochOfClaim: number;
  readonly attempt: string;
  /** The floor of the slot at that moment. */
  readonly floor: number;
  /** The greatest generation that was ever committed for the slot in this epoch, before this. */
  readonly before: number;
}

/** Redis raised a floor: a revocation's script, or a rejected generation, has run. */
export interface FloorRaised extends Floor {
  readonly kind: 'floor-raised';
  readonly id: string;
  readonly slots: readonly string[];
}

/** A broker has answered a revocation. */
export interface RevocationReturned {
  readonly kind: 'revocation-returned';
  readonly id: string;
  readonly complete: boolean;
  readonly durable: boolean;
  readonly broadcast: boolean;
  /** Slots that it covers, with the partition of each. */
  readonly covers: readonly { readonly slot: string; readonly partition: number }[];
  /** The partitions that it had to reach. */
  readonly partitions: readonly number[];
  /** What stands in Redis for its target at this moment. */
  readonly standing: readonly (Floor & {
    /** Another data set has come since the revocation was confirmed there: what that has lost was not lost unseen. */
    readonly replacedSince: boolean;
  })[];
  /** Whether NATS has taken the event. */
  readonly wasTaken: boolean;
}

/** Another data set answers: a failover, an emptied server. `standing` is what it has of each revocation that returned. */
export interface DataSetReplaced {
  readonly kind: 'data-set-replaced';
  readonly how: 'restart' | 'failover' | 'flush';
  /** Revocations that were reported as durable and are not in it. */
  readonly lostDurable: readonly string[];
}

/** A broker has answered a request with a token. */
export interface Answered extends Order {
  readonly kind: 'answered';
  readonly slot: string;
  readonly token: string;
  readonly verified: boolean;
  readonly expiresInMs: number;
}

/** A client gave a token to its application. */
export interface HandedOut extends Order {
  readonly kind: 'handed-out';
  readonly slot: string;
  readonly token: string;
  readonly verified: boolean;
  readonly expiresInMs: number;
  /** A clock was set on while its request may have been under way. */
  readonly clocksJumped: boolean;
  /** Since when nothing has been wrong with any way from Redis to this client. */
  readonly healthySinceMs: number;
}
