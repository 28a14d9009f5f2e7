import { BoundedMap, type Bounds, type Clock } from '@token-broker/foundation';
import { partitionOf } from '@token-broker/protocol';
import type { Held } from '../tokens/held.js';
import { PartitionView } from './partition-view.js';
import type { AsOf, InvalidationTarget, LogEntry } from '../ports/store.js';

/** What the rest of the broker does when tokens die. */
export interface MemoryListener {
  /** An invalidation that was not applied before. */
  onApplied(): void;
  /** Callers from now on must not join what is in the air for these slots. */
  onInvalidated(matches: (slot: string, source: string) => boolean): void;
  /** A token that was not held before: plan for it. */
  onHeld(held: Held): void;
  /** An answer spoke of something newer than this broker has read: read along at once. */
  onBehind(): void;
}

/** To move a token within the order of use costs more than to find it, and for a hot one it says nothing new. */
const MOVED_EVERY_MS = 1_000;

/** How many entries are looked at in one go for what is of no use any more. */
const SWEPT_AT_ONCE = 5_000;

/** How long that may take, and after how many entries it is looked: among a million, each of them may be far away in memory. */
const SWEPT_FOR_MS = 4;
const TIMED_EVERY = 250;

/**
 * The broker's memory of tokens: bounded, and never ahead of what it has read of invalidations. What is put here was as of
 * a moment; it is refused when a later invalidation is known, so that nothing dead ever comes back.
 */
export class Memory {
  readonly views: readonly PartitionView[];
  readonly #held: BoundedMap<Held>;
  readonly #listener: MemoryListener;
  /** Where the sweep goes on. */
  #unswept: IterableIterator<[string, Held]> | undefined;

  constructor(partitions: number, bounds: Bounds, listener: MemoryListener) {
    this.views = Array.from({ length: partitions }, () => new PartitionView());
    this.#held = new BoundedMap<Held>(bounds, (held) => held.bytes);
    this.#listener = listener;
  }

  /** With those that have ended and were not swept yet, as for {@link Memory.bytes}. */
  get size(): number {
    return this.#held.size;
  }

  get bytes(): number {
    return this.#held.bytes;
  }

  /** What is held of a slot, for somebody who uses it: those that nobody uses make room first. */
  use(slot: string, nowMs: number): Held | undefined {
    const held = this.peek(slot);
    if (held !== undefined && nowMs - held.movedAtMs >= MOVED_EVERY_MS) {
      this.#held.get(slot);
      held.movedAtMs = nowMs;
    }
    return held;
  }

  peek(slot: string): Held | undefined {
    const held = this.#held.peek(slot);
    if (held?.dead !== true) return held;
    this.#held.delete(slot);
    return undefined;
  }

  *entries(): IterableIterator<[string, Held]> {
    for (const entry of this.#held.entries()) if (!entry[1].dead) yield entry;
  }

  view(partition: number): PartitionView {
    const view = this.views[partition];
    if (view === undefined)
      throw new RangeError(`partition ${String(partition)} is not one of ${String(this.views.length)}`);
    return view;
  }

  /** Whether an answer of the store may be used: not of an older epoch, not behind an invalidation that is known. */
  accepts(partition: number, asOf: AsOf): boolean {
    const view = this.view(partition);
    if (asOf.epoch > view.epoch) this.beginEpoch(partition, asOf.epoch, asOf.vseq);
    if (asOf.vseq > view.applied) this.#listener.onBehind();
    return asOf.epoch === view.epoch && asOf.vseq >= view.heard;
  }

  /** Keeps a token that {@link Memory.accepts} took. Of two, the greater generation stays. */
  put(held: Held): Held {
    const known = this.peek(held.address.slot);
    const isSame = known?.address.recipe === held.address.recipe;
    if (isSame && known.generation > held.generation) return known;
    if (known !== undefined) held.wantedAtMs = Math.max(held.wantedAtMs, known.wantedAtMs);
    held.follow(this.view(held.address.partition).cutoffs);
    this.#held.set(held.address.slot, held);
    if (known?.generation !== held.generation) this.#listener.onHeld(held);
    return held;
  }

  /** Whether a token that was obtained a moment ago may still be handed out. */
  stillCounts(held: Held): boolean {
    if (held.dead) return false;
    const view = this.view(held.address.partition);
    if (held.epoch !== view.epoch) return false;
    // A token that memory has no room for is not told of invalidations: then only one with none since will do.
    return this.#held.peek(held.address.slot) === held || held.asOfVseq >= view.heard;
  }

  /** The sequence of invalidations that an answer with this token, made now, has seen. */
  asOfNow(held: Held): number {
    return Math.max(held.asOfVseq, this.view(held.address.partition).applied);
  }

  /** Another epoch: what is held of this partition is dead. */
  beginEpoch(partition: number, epoch: number, vseq: number): void {
    this.view(partition).begin(epoch, vseq);
    this.#sweepIfSmall();
    this.#listener.onInvalidated((slot) => this.partitionOf(slot) === partition);
    this.#listener.onBehind();
  }

  /** Drops what one invalidation forbids, whether or not it is the next in order. `false`: it was applied before. */
  apply(partition: number, epoch: number, entry: LogEntry): boolean {
    const view = this.view(partition);
    const isNews = epoch > view.epoch || (epoch === view.epoch && entry.vseq > view.applied);
    if (!isNews) return false;
    this.#listener.onApplied();
    if (epoch > view.epoch) {
      this.beginEpoch(partition, epoch, entry.vseq);
      return true;
    }
    if (!view.note(entry)) this.#listener.onBehind();
    this.#drop(partition, entry.target, entry.floor);
    return true;
  }

  #drop(partition: number, target: InvalidationTarget, floor: number): void {
    if (target.kind === 'slot') {
      const held = this.#held.peek(target.slot);
      if (held !== undefined && held.generation <= floor) this.#remove(target.slot, held);
      this.#listener.onInvalidated((slot) => slot === target.slot);
      return;
    }
    // The view has noted it: what it ends is dead already.
    this.#sweepIfSmall();
    this.#listener.onInvalidated(
      (slot, source) => (target.kind !== 'source' || source === target.source) && this.partitionOf(slot) === partition,
    );
  }

  /** Drops without an invalidation: a source that changed. */
  dropSource(name: string): void {
    for (const { cutoffs } of this.views) cutoffs.drop(name);
    this.#sweepIfSmall();
    this.#listener.onInvalidated((_slot, source) => source === name);
  }

  partitionOf(slot: string): number {
    return partitionOf(slot, this.views.length);
  }

  /**
   * Forgets tokens that are of no use to anybody any more. To be called again and again: of very many, it looks at a part
   * each time.
   */
  reclaim(clock: Pick<Clock, 'elapsedMs'>): void {
    const startedAtMs = clock.elapsedMs();
    this.#unswept ??= this.#held.entries();
    for (let seen = 1; seen <= SWEPT_AT_ONCE; seen++) {
      const next = this.#unswept.next();
      if (next.done === true) {
        this.#unswept = undefined;
        return;
      }
      const [slot, held] = next.value;
      if (held.dead || held.usableUntilElapsedMs <= startedAtMs) this.#held.delete(slot);
      if (seen % TIMED_EVERY === 0 && clock.elapsedMs() - startedAtMs >= SWEPT_FOR_MS) return;
    }
  }

  /** What has ended gives its room back at once where that takes a moment; else {@link Memory.reclaim} comes by. */
  #sweepIfSmall(): void {
    if (this.#held.size > SWEPT_AT_ONCE) return;
    for (const [slot, held] of this.#held.entries()) if (held.dead) this.#held.delete(slot);
  }

  #remove(slot: string, held: Held): void {
    held.end();
    this.#held.delete(slot);
  }
}
