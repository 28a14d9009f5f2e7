/** `lost`: it was held no more, since it ran out or its master forgot it. `unknown`: a master did not say. */
export type ReleaseOutcome = 'released' | 'lost' | 'unknown';

/** A lock that is held. It is never extended: its life is the provider's timeout plus a margin. */
export interface HeldLock {
  /** Elapsed time until which the lock is surely ours. */
  readonly validUntilMs: number;
  /** Best effort; a lock that is not released runs out. Never rejects. */
  release(): Promise<ReleaseOutcome>;
}

export type LockReply =
  | { readonly kind: 'acquired'; readonly lock: HeldLock }
  /** Somebody else has it. */
  | { readonly kind: 'held' }
  /** The masters did not say: neither ours nor known to be another's. */
  | { readonly kind: 'error'; readonly detail: string };

/** Mutual exclusion across replicas, for efficiency: correctness is the store's compare-and-set. */
export interface Locks {
  acquire(name: string, partition: number, ttlMs: number): Promise<LockReply>;
}
