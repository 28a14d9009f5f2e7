import type { ErrorCode } from '@token-broker/protocol';

/** One slot as the store needs to know it. */
export interface SlotAddress {
  readonly slot: string;
  readonly partition: number;
  readonly source: string;
  readonly provider: string;
  /** A record of another recipe is a miss. */
  readonly recipe: string;
}

/** Every answer of the store says as of when it is true. */
export interface AsOf {
  readonly epoch: number;
  /** Invalidations of the partition that this answer has seen. */
  readonly vseq: number;
  /** Redis time. */
  readonly redisMs: number;
  /** Elapsed time of this process when the command was sent: ages are counted from here. */
  readonly sentAtMs: number;
}

export interface StoredRecord {
  readonly generation: number;
  readonly expiresAtMs: number;
  readonly sealed: Uint8Array;
}

/** The slot's channel key, sealed. `version` is a generation: a revocation at or above it ends the channel. */
export interface StoredChannel {
  readonly version: number;
  readonly sealed: Uint8Array;
}

export interface Hit {
  readonly kind: 'hit';
  readonly asOf: AsOf;
  readonly floor: number;
  readonly record: StoredRecord;
  /** Absent when the slot has none under the policy version of the asking broker. */
  readonly channel?: StoredChannel;
}

/** The last call of this recipe failed, and its pause lasts. */
export interface Failed {
  readonly kind: 'failed';
  readonly asOf: AsOf;
  readonly code: ErrorCode;
  readonly message: string;
  readonly remainingMs: number;
}

export type ReadReply = Hit | Failed | { readonly kind: 'miss'; readonly asOf: AsOf; readonly floor: number };

export interface ReserveRequest {
  readonly address: SlotAddress;
  /** A live record above this generation is the answer. 0: any. */
  readonly wantGreaterThan: number;
  /** The floor that the lock was named by. */
  readonly floor: number;
  /** Unique for this try; sending it again is the same reservation. */
  readonly attempt: string;
  /** How long the provider call may take: so long the slot is busy for others. */
  readonly callMs: number;
  /** The configuration version of this broker. */
  readonly policy: number;
}

export type ReserveReply =
  | Hit
  | {
      readonly kind: 'go';
      readonly asOf: AsOf;
      readonly generation: number;
      /** It takes the place of a token that was revoked, or refused by a resource server, before its time. */
      readonly isRefetch: boolean;
    }
  /** The floor has moved: the lock's name is of the past. */
  | { readonly kind: 'relock'; readonly asOf: AsOf; readonly floor: number }
  /** Another call is in the air for at most `remainingMs`. */
  | { readonly kind: 'busy'; readonly asOf: AsOf; readonly remainingMs: number }
  | Failed
  /** An operator has paused the source: nothing is fetched. */
  | { readonly kind: 'paused'; readonly asOf: AsOf }
  /** The cluster runs a newer configuration of this source than this broker. */
  | { readonly kind: 'policy'; readonly asOf: AsOf };

export interface CommitRequest {
  readonly address: SlotAddress;
  readonly attempt: string;
  /** The epoch of the reservation, also when the commit is sent again. */
  readonly epoch: number;
  readonly generation: number;
  readonly expiresAtMs: number;
  /** Redis time from which it is not handed out any more: the minimum lifetime before its expiry. */
  readonly usableUntilMs: number;
  readonly sealed: Uint8Array;
  /** Keyed hash of the token: an identity provider that returns a revoked token again is found out. */
  readonly tokenHash: string;
  /**
   * The token stands in the configuration. Once the source has been changed, it may be one that was dead: whoever changed it
   * has the word. Default: it does not.
   */
  readonly isConfigured?: boolean;
  readonly policy: number;
  /** Taken as the slot's channel where it has none, or one that is sealed by another key. */
  readonly channelCandidate: Uint8Array;
  /** Id of the key that seals now. */
  readonly sealedBy: string;
}

export type CommitReply =
  | { readonly kind: 'ok'; readonly asOf: AsOf; readonly generation: number; readonly channel?: StoredChannel }
  /** Refused: another epoch, revoked meanwhile, a newer one counts, too old, the revoked token again, outdated configuration. */
  | { readonly kind: 'epoch' | 'dead' | 'lost' | 'expired' | 'replayed' | 'policy'; readonly asOf: AsOf };

export interface FailRequest {
  readonly address: SlotAddress;
  readonly attempt: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** The least pause: the provider's `Retry-After`, or 0. */
  readonly retryAfterMs: number;
  readonly backoffFirstMs: number;
  readonly backoffMaxMs: number;
  /** Jitter, in [0, 1). */
  readonly uniform: number;
}

/** One invalidation as the partition's log keeps it. */
export interface LogEntry {
  readonly vseq: number;
  readonly floor: number;
  readonly target: InvalidationTarget;
}

export type InvalidationTarget = { readonly kind: 'slot'; readonly slot: string } | WholeTarget;

/** Sources as a whole: ended by one number of the partition, however many slots they have. */
export type WholeTarget =
  | { readonly kind: 'source'; readonly source: string }
  | { readonly kind: 'provider'; readonly provider: string }
  | { readonly kind: 'all' };

export interface LeaseRequest {
  readonly partition: number;
  readonly epoch: number;
  readonly applied: number;
}

export interface LeaseReply {
  readonly partition: number;
  readonly asOf: AsOf;
  /** What happened after `applied`; `undefined`: another epoch, or the log no longer reaches back. */
  readonly entries: readonly LogEntry[] | undefined;
  readonly policy: number;
  readonly policyFingerprint: string;
  /** Brokers whose lease has not run out, this one included. */
  readonly brokers: readonly string[];
  /** Sources that are paused, each with the Redis time since when. */
  readonly paused: ReadonlyMap<string, number>;
}

export interface RevokeReply {
  readonly asOf: AsOf;
  readonly partition: number;
  readonly floor: number;
  /** The target's floor of before: what counted above it has ended. */
  readonly replaced: number;
  /** Its number among the invalidations of the partition. */
  readonly vseq: number;
  /** Redis time at which the epoch began. */
  readonly epochBeganMs: number;
  /** Brokers with a lease: each must confirm, or its lease must run out. */
  readonly brokers: readonly string[];
  /** Replicas of Redis that confirmed the write. */
  readonly replicas: number;
}

export interface ListedSlot {
  readonly slot: string;
  readonly partition: number;
  readonly source: string;
  readonly epoch: number;
  readonly generation: number;
  readonly expiresAtMs: number;
  readonly remainingMs: number;
}

/** Which tokens of a target are counted. */
export interface CountRequest {
  readonly target: WholeTarget;
  readonly partition: number;
  /**
   * The target's cutoff that is taken in the place of the one that stands: with {@link RevokeReply.replaced} and its floor as
   * `upTo`, what a revocation has ended, also where another token has taken its place since. Default: what counts now.
   */
  readonly above?: number;
  /** The greatest generation that is counted. Default: all. */
  readonly upTo?: number;
}

export interface CountPage {
  readonly bySource: ReadonlyMap<string, number>;
  /** Where the next page begins; `undefined`: this was the last. */
  readonly next: string | undefined;
}

/** A token that counts. */
export interface ScannedRecord {
  readonly source: string;
  readonly provider: string;
  readonly recipe: string;
  readonly generation: number;
  readonly expiresAtMs: number;
  /** Empty where it was not asked for. */
  readonly sealed: Uint8Array;
}

/** What a slot has: a token that counts, a fetch in the air, or both. */
export interface ScannedSlot {
  readonly slot: string;
  readonly record?: ScannedRecord;
  /** Until its note is gone: also the call of a process that is suspended. `source` is empty where the note has none. */
  readonly flight?: { readonly source: string; readonly generation: number };
}

export interface ScanPage {
  readonly asOf: AsOf;
  readonly slots: readonly ScannedSlot[];
  /** Where the next page begins; `undefined`: this was the last. */
  readonly next: string | undefined;
}

/** Whether a source is paused after the command, and whether it was otherwise before. */
export interface PauseOutcome {
  readonly changed: boolean;
  /** Redis time; `undefined`: it is not paused. */
  readonly sinceMs: number | undefined;
}

export interface Presence {
  readonly caller: string;
  readonly instance: string;
  /** How long it still counts as connected. */
  readonly untilMs: number;
}

/**
 * Redis, as the truth about which token counts. Obligations of an implementation: every mutation is atomic within a
 * partition and idempotent by its attempt or id; a rejection is a {@link StoreError}, after which the outcome is unknown;
 * nothing is sent again by itself; each command ends within the configured time.
 */
export interface Store {
  read(address: SlotAddress, policy: number): Promise<ReadReply>;
  reserve(request: ReserveRequest): Promise<ReserveReply>;
  commit(request: CommitRequest): Promise<CommitReply>;
  /**
   * Ends the reservation with a failure. Resolves to the pause, in milliseconds; to `undefined` where the attempt is no
   * longer the one that counts: another replica has taken over, or the slot was revoked.
   */
  fail(request: FailRequest): Promise<number | undefined>;
  /** Ends the reservation as if it had not been made, if the attempt is still the one that counts. */
  abandon(address: SlotAddress, attempt: string): Promise<void>;
  /** Kills one generation if it is the current one. */
  reject(
    address: SlotAddress,
    epoch: number,
    generation: number,
    minIntervalMs: number,
  ): Promise<{ readonly kind: 'dropped' | 'stale' | 'limited'; readonly asOf: AsOf; readonly floor: number }>;
  /** @param upTo the generation up to which everything dies, at most the last that was claimed. Default: all that was claimed. */
  revoke(
    target: InvalidationTarget,
    partition: number,
    id: string,
    policy?: number,
    upTo?: number,
  ): Promise<RevokeReply>;
  /** Whether the revocation still stands: the same epoch, and a floor at least as high. */
  confirm(target: InvalidationTarget, partition: number, epoch: number, floor: number): Promise<boolean>;
  /** Renews this broker's lease on every partition and reads what was invalidated. */
  lease(requests: readonly LeaseRequest[], leaseMs: number): Promise<readonly LeaseReply[]>;
  /** Gives the leases up, so that no revocation waits for this broker. */
  leave(): Promise<void>;
  /** The version of the configuration with this fingerprint: a new one when it is not the cluster's current one. */
  registerPolicy(fingerprint: string): Promise<number>;
  /** By source: the recipe that its tokens in the cluster are of, unless they have been cut off. */
  recipes(): Promise<ReadonlyMap<string, string>>;
  /** Notes the recipe of a source from here on; `undefined`: there is no such source any more. */
  noteRecipe(source: string, recipe: string | undefined): Promise<void>;
  /** What was invalidated after `applied`, for a near cache that has missed something; also in a new epoch. */
  tail(
    requests: readonly LeaseRequest[],
  ): Promise<readonly Omit<LeaseReply, 'policy' | 'policyFingerprint' | 'brokers' | 'paused'>[]>;
  /** The live generation of each slot, read fresh; `0` for none. */
  generations(
    addresses: readonly SlotAddress[],
  ): Promise<readonly { readonly asOf: AsOf; readonly generation: number }[]>;
  list(
    filter: { readonly source?: string; readonly slot?: string; readonly partition?: number },
    limit: number,
  ): Promise<{ readonly slots: readonly ListedSlot[]; readonly truncated: boolean }>;
  /**
   * One page of a partition, from a cursor on; the first has none. What is there from the first page to the last is found,
   * sometimes twice; what comes or goes meanwhile may be found or not.
   */
  scan(partition: number, cursor: string | undefined, withSealed: boolean): Promise<ScanPage>;
  /** Counts one page of a partition, from a cursor on; the first has none. No slot comes out of Redis for it. */
  count(request: CountRequest, cursor: string | undefined): Promise<CountPage>;
  /** Keeps a source from being fetched, or ends that, in every partition. Survives epochs and restarts. */
  pause(source: string, paused: boolean): Promise<PauseOutcome>;
  /** Notes that a near cache is connected, until `ttlMs` from now; 0: it has left. */
  present(caller: string, instance: string, ttlMs: number): Promise<void>;
  presences(): Promise<readonly Presence[]>;
  /** A secret that all replicas share: `candidate` where there is none yet. */
  sharedSecret(name: string, candidate: Uint8Array): Promise<Uint8Array>;
  replaceSharedSecret(name: string, value: Uint8Array): Promise<void>;
  isAvailable(): boolean;
}

/** Redis did not do it, or it is not known whether it did. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly command: string;
  /** `refused`: Redis answered with an error, so nothing was written. `unknown`: no answer came. */
  readonly outcome: 'refused' | 'unknown';

  constructor(command: string, outcome: 'refused' | 'unknown', detail: string) {
    super(`${command}: ${detail}`);
    this.command = command;
    this.outcome = outcome;
  }
}
