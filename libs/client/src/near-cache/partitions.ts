import type { Timing } from '@token-broker/protocol';
import { Cohort } from './cohort.js';
import { PartitionState, type EpochOrder } from './partition-state.js';
import type { SlotState } from './slot-state.js';

/** Where every partition stands, by its number. Shared by all near caches of the process. */
export interface Positions {
  readonly epochs: readonly number[];
  readonly vseqs: readonly number[];
}

/** What the last heartbeat said. */
interface Standing extends Positions {
  /** When Redis was read for it, or later. */
  atMs: number;
  /** Its number among those that this near cache has heard. */
  heartbeat: number;
}

/** Hears where one partition stands. */
export type Hear = (partition: PartitionState<SlotState>, epoch: number, vseq: number, nowMs: number) => EpochOrder;

/** The partitions of a near cache, most of which hold nothing as a rule. */
export class Partitions {
  readonly #hear: Hear;
  readonly #all: PartitionState<SlotState>[] = [];
  readonly #holding = new Set<PartitionState<SlotState>>();
  /** By the number of the partition, and by source; only those that have members. */
  readonly #cohorts: (Map<string, Cohort<SlotState>> | undefined)[] = [];
  #standing: Standing | undefined;

  constructor(hear: Hear) {
    this.#hear = hear;
  }

  at(index: number, timing: Timing): PartitionState<SlotState> {
    const partition = (this.#all[index] ??= new PartitionState<SlotState>(index, () => this.#holders(index)));
    const standing = this.#standing;
    if (standing !== undefined && partition.heartbeat < standing.heartbeat) catchUp(partition, standing, timing);
    return partition;
  }

  /** One more than the greatest number that was asked for. */
  get length(): number {
    return this.#all.length;
  }

  /** Those that hold something. */
  get holding(): ReadonlySet<PartitionState<SlotState>> {
    return this.#holding;
  }

  /** The cohorts of a partition. */
  cohorts({ index }: PartitionState<SlotState>): Iterable<Cohort<SlotState>> {
    return this.#cohorts[index]?.values() ?? [];
  }

  /** The slot belongs to this partition from here on. Nobody would take one out again that is not attached. */
  join(partition: PartitionState<SlotState>, state: SlotState): void {
    const bySource = (this.#cohorts[partition.index] ??= new Map<string, Cohort<SlotState>>());
    const cohort = bySource.get(state.source) ?? new Cohort<SlotState>(state.source, partition);
    state.cohort = cohort;
    if (!state.attached) return;
    cohort.members.add(state);
    bySource.set(state.source, cohort);
  }

  leave(state: SlotState): void {
    const { cohort } = state;
    if (cohort?.members.delete(state) !== true || cohort.members.size > 0) return;
    const bySource = this.#cohorts[cohort.partition.index];
    if (bySource?.get(state.source) === cohort) bySource.delete(state.source);
  }

  hold(partition: PartitionState<SlotState>, nowMs: number): void {
    partition.hold(nowMs);
    this.#holding.add(partition);
  }

  release(partition: PartitionState<SlotState>, state: SlotState, nowMs: number): void {
    partition.release(state, nowMs);
    if (partition.heldCount === 0) this.#holding.delete(partition);
  }

  /**
   * Hears that all partitions stand at these positions, by a read of Redis at `atMs` or later. Where they stood there before, it
   * only says that they still do, and partitions that hold nothing are told of that when somebody asks for them: ten thousand
   * near caches of one process hear it every second.
   */
  hearAll({ epochs, vseqs }: Positions, atMs: number, nowMs: number, timing: Timing): void {
    const before = this.#standing;
    const heartbeat = (before?.heartbeat ?? 0) + 1;
    if (before !== undefined && areSame(before.epochs, epochs) && areSame(before.vseqs, vseqs)) {
      // Some may not have heard of the one before, which may have been read later.
      before.atMs = Math.max(before.atMs, atMs);
      before.heartbeat = heartbeat;
      for (const partition of this.#holding)
        this.#hearOne(partition, { epochs, vseqs, atMs, heartbeat }, nowMs, timing);
      return;
    }
    const standing = { epochs, vseqs, atMs, heartbeat };
    for (let index = 0; index < epochs.length; index++) this.#hearOne(this.at(index, timing), standing, nowMs, timing);
    this.#standing = standing;
  }

  clear(): void {
    this.#all.length = 0;
    this.#cohorts.length = 0;
    this.#holding.clear();
    this.#standing = undefined;
  }

  *#holders(index: number): IterableIterator<SlotState> {
    for (const cohort of this.#cohorts[index]?.values() ?? [])
      for (const state of cohort.members) if (state.entry !== undefined) yield state;
  }

  #hearOne(partition: PartitionState<SlotState>, standing: Standing, nowMs: number, timing: Timing): void {
    const { index } = partition;
    const vseq = standing.vseqs[index] ?? 0;
    partition.heartbeat = standing.heartbeat;
    if (this.#hear(partition, standing.epochs[index] ?? 0, vseq, nowMs) !== 'older')
      partition.verify(vseq, standing.atMs, timing);
  }
}

/** It has held nothing since the last heartbeat that it heard, and has heard before where it stands. */
function catchUp(partition: PartitionState<SlotState>, standing: Standing, timing: Timing): void {
  const { index } = partition;
  partition.heartbeat = standing.heartbeat;
  if (standing.epochs[index] === partition.epoch) partition.verify(standing.vseqs[index] ?? 0, standing.atMs, timing);
}

function areSame(some: readonly number[], others: readonly number[]): boolean {
  if (some === others) return true;
  if (some.length !== others.length) return false;
  for (let index = 0; index < some.length; index++) if (some[index] !== others[index]) return false;
  return true;
}
