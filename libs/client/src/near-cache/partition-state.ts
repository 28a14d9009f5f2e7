import type { Timing } from '@token-broker/protocol';
import { Floors } from './floors.js';
import { TICKS_UNTIL_SUSPECT } from './lifetime.js';

/** How long `heard` may be ahead of `seen` before the partition is suspect: an event and a reply race each other. */
export const GAP_GRACE_MS = 250;
/** Invalidations that came before their predecessor and are remembered, so that a mere reordering heals by itself. */
const MAX_AHEAD = 64;

/** How an epoch that was heard of relates to the partition's own. */
export type EpochOrder = 'older' | 'own' | 'newer';

/**
 * What a near cache knows of one partition: how far it has applied its invalidations, how far they are known to go, and
 * when both were last known to be the same.
 */
export class PartitionState<Held> {
  readonly index: number;
  readonly floors = new Floors();
  /** What holds an entry of this partition: gone through only when an epoch begins, or a gap cannot be closed. */
  readonly holders: () => Iterable<Held>;
  /** How many they are. A set of a million of them would be laid out anew now and then, and stop the process for that time. */
  heldCount = 0;
  /** Those of the holders whose entry is of an older epoch, or which may have missed an invalidation for good. */
  readonly unconfirmed = new Set<Held>();
  /** The greatest epoch heard of. 0: none yet. */
  epoch = 0;
  /** The number of the last invalidation that was applied with all before it. */
  seen = 0;
  /** The greatest number heard of. */
  heard = 0;
  /** What the last reply was as of. */
  repliedAsOf = 0;
  /** The number of the last heartbeat that it has heard. */
  heartbeat = 0;
  /** Until when entries are served without a further verification. Read on the hot path. */
  trustedUntilMs = Number.NEGATIVE_INFINITY;
  #verifiedAtMs = Number.NEGATIVE_INFINITY;
  /** When the first of them came: its own reply was a verification of it. */
  #heldSinceMs = Number.NEGATIVE_INFINITY;
  #behindSinceMs: number | undefined;
  /** Those that came before their predecessor. `undefined`: none, as a rule. */
  #ahead: Set<number> | undefined;

  constructor(index: number, holders: () => Iterable<Held>) {
    this.index = index;
    this.holders = holders;
  }

  /** Whether invalidations are known of that have not been applied. */
  get isBehind(): boolean {
    return this.seen !== this.heard;
  }

  /**
   * Hears that the partition stands at `vseq` of `epoch`. A newer epoch is adopted: what is held becomes unconfirmed.
   * Where nothing is held, nothing can have been missed.
   */
  hear(epoch: number, vseq: number, nowMs: number): EpochOrder {
    if (epoch < this.epoch) return 'older';
    if (epoch > this.epoch) {
      this.epoch = epoch;
      this.seen = vseq;
      this.heard = vseq;
      this.repliedAsOf = 0;
      this.#ahead = undefined;
      this.floors.clear();
      for (const holder of this.holders()) this.unconfirmed.add(holder);
      this.#notice(nowMs);
      return 'newer';
    }
    // Most heartbeats bring nothing new.
    if (vseq <= this.heard) return 'own';
    this.heard = vseq;
    this.#notice(nowMs);
    return 'own';
  }

  /** The invalidation `vseq` of the own epoch has been applied. `false`: it was known. */
  applied(vseq: number, nowMs: number): boolean {
    if (vseq <= this.seen || this.#ahead?.has(vseq) === true) return false;
    this.heard = Math.max(this.heard, vseq);
    if (vseq === this.seen + 1) this.seen = vseq;
    else this.#rememberAhead(vseq);
    this.#followOn();
    this.#notice(nowMs);
    return true;
  }

  /** Everything up to `vseq` has been applied, or can touch nothing that is held. */
  advance(vseq: number, nowMs: number): void {
    this.seen = Math.max(this.seen, vseq);
    this.heard = Math.max(this.heard, vseq);
    for (const number of this.#ahead ?? []) if (number <= this.seen) this.#ahead?.delete(number);
    this.#followOn();
    this.#notice(nowMs);
  }

  /** Redis was read at `atMs` or later and stood at `vseq` of the own epoch. Counts only when nothing is missing. */
  verify(vseq: number, atMs: number, timing: Timing): void {
    if (vseq !== this.seen || this.isBehind || this.unconfirmed.size > 0) return;
    this.#verifiedAtMs = Math.max(this.#verifiedAtMs, atMs);
    this.retime(timing);
  }

  retime(timing: Timing): void {
    this.trustedUntilMs = this.#verifiedAtMs + timing.maxStalenessMs;
  }

  /** One more holds an entry. */
  hold(nowMs: number): void {
    if (this.heldCount === 0) this.#heldSinceMs = nowMs;
    this.heldCount += 1;
  }

  /** What it holds counts, as somebody said who knows. */
  confirm(holder: Held): void {
    this.unconfirmed.delete(holder);
  }

  release(holder: Held, nowMs: number): void {
    this.heldCount -= 1;
    this.unconfirmed.delete(holder);
    this.#notice(nowMs);
  }

  /** Nobody says any more what of this partition counts: a sync has to. */
  doubtAll(): void {
    for (const holder of this.holders()) this.unconfirmed.add(holder);
  }

  /** Whether something held here may have missed an invalidation. `graceMs`: how long a gap is borne. */
  isSuspect(nowMs: number, timing: Timing, graceMs: number = GAP_GRACE_MS): boolean {
    if (this.heldCount === 0) return false;
    if (this.unconfirmed.size > 0) return true;
    if (this.#behindSinceMs !== undefined && nowMs - this.#behindSinceMs >= graceMs) return true;
    return nowMs - Math.max(this.#verifiedAtMs, this.#heldSinceMs) > TICKS_UNTIL_SUSPECT * timing.tickMs;
  }

  #rememberAhead(vseq: number): void {
    this.#ahead ??= new Set();
    if (this.#ahead.size < MAX_AHEAD) this.#ahead.add(vseq);
  }

  /** What came ahead of its predecessor may be next now. */
  #followOn(): void {
    if (this.#ahead === undefined) return;
    while (this.#ahead.delete(this.seen + 1)) this.seen += 1;
    if (this.#ahead.size === 0) this.#ahead = undefined;
  }

  #notice(nowMs: number): void {
    if (this.heldCount === 0) {
      this.seen = this.heard;
      this.#ahead = undefined;
    }
    if (this.seen === this.heard) this.#behindSinceMs = undefined;
    else this.#behindSinceMs ??= nowMs;
  }
}
