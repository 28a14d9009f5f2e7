/** Names one source's line of refresh tokens at one upstream identity. */
export interface JournalAddress {
  readonly source: string;
  /** A refresh token is never sent to another endpoint, or for another client, than the ones that it was seeded for. */
  readonly upstream: string;
}

/** One refresh token's place: the family that an operator's seed began, and how often it has rotated. */
export interface JournalEntry {
  readonly family: string;
  readonly sequence: number;
  readonly sealed: Uint8Array;
}

export type SpendReply =
  /** Intent is noted: this attempt alone may spend it, until it tells the outcome or `callMs` is over. */
  | { readonly kind: 'spend'; readonly entry: JournalEntry }
  /** Another attempt spends it, or may still tell its outcome. */
  | { readonly kind: 'busy'; readonly remainingMs: number }
  /** No operator has put one there. */
  | { readonly kind: 'missing' }
  /** The provider refuses it for good: an operator must put another one there. */
  | { readonly kind: 'exhausted'; readonly family: string };

export type SeedReply =
  | {
      readonly kind: 'ok';
      /** There was a family before, which is over. */
      readonly replaced: boolean;
      /** Replicas of Redis that confirmed the write. */
      readonly replicas: number;
    }
  | { readonly kind: 'spent' };

export interface JournalState {
  readonly kind: 'missing' | 'ready' | 'spending' | 'exhausted';
  /** Rotations of the family. */
  readonly sequence: number;
  /** Redis time of the seed or of the latest rotation; 0: never. */
  readonly changedAtMs: number;
}

/**
 * Rotating refresh tokens are spent once: intent before, successor after. Sealed by the caller; bound to source, upstream,
 * family and sequence. Obligations are those of the store: atomic, idempotent by `attempt`, a rejection is a `StoreError`,
 * nothing is sent again by itself.
 */
export interface RefreshTokenJournal {
  /** `callMs`: how long the provider may take at most. */
  spend(address: JournalAddress, attempt: string, callMs: number): Promise<SpendReply>;
  /**
   * Ends the intent with the successor, sealed as `sequence + 1`. `replaced`: another family, or a later sequence, is there;
   * nothing was written. Also right after the intent's time is over, as long as nobody else has told an outcome. Resolves to
   * the replicas of Redis that confirmed the write.
   */
  succeed(
    address: JournalAddress,
    attempt: string,
    spent: Pick<JournalEntry, 'family' | 'sequence'>,
    successor: Uint8Array,
  ): Promise<{ readonly kind: 'ok' | 'replaced'; readonly replicas: number }>;
  /**
   * Ends the intent: the provider gave no successor, and the token stays, sealed anew, at its place. So a successor of it
   * that another use has brought still counts. `replaced`: another family is there, or this one is over.
   */
  keep(
    address: JournalAddress,
    attempt: string,
    spent: Pick<JournalEntry, 'family' | 'sequence'>,
    sealed: Uint8Array,
  ): Promise<'ok' | 'replaced'>;
  /** Ends the intent: the token stays. For a call that failed, or was not made. */
  release(address: JournalAddress, attempt: string): Promise<void>;
  /**
   * The provider refused this token. `exhausted`: it was still the current one, and the family is over. `moved`: there is
   * a later one, which deserves a try.
   */
  exhaust(
    address: JournalAddress,
    attempt: string,
    spent: Pick<JournalEntry, 'family' | 'sequence'>,
  ): Promise<'exhausted' | 'moved'>;
  /**
   * Begins a family. `hash` is the keyed hash of the token: one that begins a family again is refused as `spent`, unless it
   * is the current one.
   */
  seed(address: JournalAddress, family: string, sealed: Uint8Array, hash: string): Promise<SeedReply>;
  state(address: JournalAddress): Promise<JournalState>;
}
