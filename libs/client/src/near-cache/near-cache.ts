import { BoundedMap, type Aead, type Clock, type Random } from '@token-broker/foundation';
import type { Timing } from '@token-broker/protocol';
import type { Token } from '../token.js';
import { confirmEntry, createEntry, refreshFrom, type Arrival, type Entry } from './entry.js';
import { DEFAULT_TIMING, type Anchor } from './lifetime.js';
import type { EpochOrder, PartitionState } from './partition-state.js';
import { Partitions, type Positions } from './partitions.js';
import {
  createSlotState,
  isSpent,
  noticeGeneration,
  type RequestParameters,
  type SlotState,
  type UserOfToken,
  userOf,
} from './slot-state.js';
import { Sweep, SWEPT_AT_ONCE } from './sweep.js';

/** What a slot costs beside the characters of its token: objects, places in maps, keys. Some 850 to 950, as measured. */
const SLOT_OVERHEAD_BYTES = 1_024;
/** Slots that were pushed out, of which it is remembered how new a token they had: nobody may step back (G3). */
const MAX_REMEMBERED = 20_000;

/** Where a token stands among those of its slot. */
export interface TokenOrder {
  readonly epoch: number;
  readonly generation: number;
}

/** Of a slot that was pushed out: nobody steps back, and whoever is given another user's token is told. */
interface Remembered extends TokenOrder {
  readonly user: UserOfToken | undefined;
}

/** What the near cache tells the rest of the client, after its state has changed. */
export interface NearCacheEffects {
  /** A slot was pushed out, by the bounds or because nobody uses it. */
  evicted(state: SlotState): void;
  /** A token that was taken earlier is dead. `sweeping`: together with every other token. */
  revoked(state: SlotState, dead: TokenOrder, sweeping: boolean): void;
  /** A newer token has replaced an earlier one. */
  refreshed(state: SlotState, token: Token): void;
  /** The token at hand is of another user than the one before it. */
  renamed(state: SlotState, token: Token, before: string | undefined): void;
  /** Something may have been missed: a sync is due. */
  doubted(cause: 'gap' | 'epoch'): void;
}

export interface NearCacheOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly aead: Aead;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly effects: NearCacheEffects;
  /** Slots that a revocation of their source looks at before the event loop gets its turn. Default 1,000. */
  readonly sweptAtOnce?: number;
}

/**
 * Slots, their tokens, and the partitions that say whether these still count. It does no I/O: the modules beside it
 * tell it what was heard, and when.
 */
export class NearCache {
  readonly options: NearCacheOptions;
  timing: Timing = DEFAULT_TIMING;
  /** A read of Redis, to judge the age of heartbeats and pushes by. */
  anchor: Anchor | undefined;
  readonly counters = { pushes: 0, invalidations: 0 };
  readonly #slots: BoundedMap<SlotState>;
  readonly #remembered = new BoundedMap<Remembered>({ maxEntries: MAX_REMEMBERED, maxBytes: MAX_REMEMBERED }, () => 1);
  readonly #partitions: Partitions;
  readonly #sweep: Sweep;
  #partitionCount = 0;

  constructor(options: NearCacheOptions) {
    this.options = options;
    this.#partitions = new Partitions((partition, epoch, vseq, nowMs) => this.hear(partition, epoch, vseq, nowMs));
    this.#sweep = new Sweep(options.clock, options.sweptAtOnce ?? SWEPT_AT_ONCE, (state, nowMs) => {
      this.settle(state, nowMs);
    });
    this.#slots = new BoundedMap<SlotState>(
      options,
      (state) => SLOT_OVERHEAD_BYTES + state.parameterBytes + (state.entry?.bytes ?? 0),
      (_slot, state) => {
        this.#detach(state);
      },
    );
  }

  get slotCount(): number {
    return this.#slots.size;
  }

  get bytes(): number {
    return this.#slots.bytes;
  }

  /** How many partitions there are. 0: not known yet. */
  get partitionCount(): number {
    return this.#partitionCount;
  }

  partition(index: number): PartitionState<SlotState> {
    return this.#partitions.at(index, this.timing);
  }

  *partitions(): IterableIterator<PartitionState<SlotState>> {
    for (let index = 0; index < this.#partitions.length; index++) yield this.partition(index);
  }

  /** Hears where all partitions stand, by a read of Redis at `atMs` or later. */
  hearAll(positions: Positions, atMs: number, nowMs: number): void {
    this.#partitions.hearAll(positions, atMs, nowMs, this.timing);
  }

  *slots(): IterableIterator<SlotState> {
    for (const [, state] of this.#slots.entries()) yield state;
  }

  find(slot: string): SlotState | undefined {
    return this.#slots.peek(slot);
  }

  /** The state of a slot; made where there is none. It becomes the most recently used. */
  attach(source: string, slot: string, parameters: RequestParameters): SlotState {
    const known = this.#slots.get(slot);
    if (known !== undefined) return known;
    const state = createSlotState(source, slot, parameters, this.options.clock.elapsedMs());
    const remembered = this.#remembered.delete(slot);
    if (remembered !== undefined) {
      noticeGeneration(state, remembered.epoch, remembered.generation);
      state.user = remembered.user;
    }
    this.#slots.set(slot, state);
    return state;
  }

  /** Makes a slot the most recently used one. */
  touch(state: SlotState): void {
    if (state.attached) this.#slots.get(state.slot);
  }

  forget(state: SlotState): void {
    if (!state.attached) return;
    this.#slots.delete(state.slot);
    this.#detach(state);
  }

  /** Forgets the slots that need not be kept in mind any longer, with their subscriptions. */
  forgetSpent(nowMs: number): void {
    for (const state of [...this.slots()]) if (isSpent(state, nowMs)) this.forget(state);
  }

  clear(): void {
    this.#sweep.close();
    for (const state of [...this.slots()]) this.forget(state);
  }

  /** Hears that a partition stands at `vseq` of `epoch`, and says so where that leaves something in doubt. */
  hear(partition: PartitionState<SlotState>, epoch: number, vseq: number, nowMs: number): EpochOrder {
    const wasBehind = partition.isBehind;
    if (epoch > partition.epoch) this.#endEpoch(partition, nowMs);
    const order = partition.hear(epoch, vseq, nowMs);
    if (order === 'newer' && partition.unconfirmed.size > 0) this.options.effects.doubted('epoch');
    else if (partition.isBehind && !wasBehind) this.options.effects.doubted('gap');
    return order;
  }

  /** The slot belongs to this partition, as a reply says. */
  enrol(state: SlotState, index: number, nowMs: number): PartitionState<SlotState> {
    const partition = this.partition(index);
    if (state.cohort?.partition === partition) return partition;
    // Invalidations of what is held would not be applied to it any more.
    this.#leave(state, nowMs);
    this.#partitions.join(partition, state);
    return partition;
  }

  /**
   * Ends the tokens of this generation or below of these sources in a partition; `undefined`: of all of them. None is handed
   * out from here on. They are dropped, and listeners are told, by {@link startSweep} and what follows it.
   */
  end(partition: PartitionState<SlotState>, sources: readonly string[] | undefined, floor: number): void {
    for (const cohort of this.#partitions.cohorts(partition))
      if ((sources?.includes(cohort.source) ?? true) && cohort.raise(floor, sources === undefined))
        this.#sweep.add(cohort);
  }

  startSweep(nowMs: number): void {
    this.#sweep.start(nowMs);
  }

  /** The token that is held, unless a revocation has ended it. */
  entryOf(state: SlotState, nowMs: number): Entry | undefined {
    this.settle(state, nowMs);
    return state.entry;
  }

  /** What a revocation of the source has ended is dropped, and those are told who were given it. */
  settle(state: SlotState, nowMs: number): void {
    const { cohort } = state;
    if (cohort !== undefined) this.#endUpTo(state, cohort.floor, cohort.floorOfAll, nowMs);
  }

  /** Ends the token of a slot where it is of this generation or below. */
  endSlot(state: SlotState, floor: number, nowMs: number): void {
    this.settle(state, nowMs);
    this.#endUpTo(state, floor, 0, nowMs);
  }

  #endUpTo(state: SlotState, floor: number, floorOfAll: number, nowMs: number): void {
    // The last token counts even when it is not held any more: what was made with it may be in use.
    const generation = state.entry?.generation ?? state.takenGeneration;
    if (generation === 0 || generation > floor) return;
    const epoch = state.entry?.epoch ?? state.greatestEpoch;
    this.drop(state, nowMs);
    if (generation <= state.announcedGeneration) return;
    state.announcedGeneration = generation;
    this.options.effects.revoked(state, { epoch, generation }, generation <= floorOfAll);
  }

  /** Puts a token that was judged to count into its slot, which has been enrolled. The token that is held afterwards. */
  install(state: SlotState, arrival: Arrival, nowMs: number): Token {
    const { clock, random, effects } = this.options;
    const { minLifetimeMs } = this.timing;
    const { epoch, generation } = arrival.content;
    const { cohort } = state;
    if (cohort === undefined) throw new Error('a token for a slot of no partition');
    const held = this.entryOf(state, nowMs);
    noticeGeneration(state, epoch, generation);
    state.takenGeneration = Math.max(state.takenGeneration, generation);
    if (held?.epoch === epoch && held.generation === generation) {
      confirmEntry(held, arrival, clock, minLifetimeMs);
      cohort.partition.confirm(state);
      return held.token;
    }
    const succeeds = state.wasTaken;
    state.wasTaken = true;
    this.drop(state, nowMs);
    const entry = createEntry(arrival, cohort, clock, minLifetimeMs, random.uniform());
    const { token } = entry;
    state.entry = entry;
    this.#partitions.hold(cohort.partition, nowMs);
    // Set again, since its bytes have changed; this may push others out, or the slot itself.
    this.#slots.set(state.slot, state);
    if (succeeds) effects.refreshed(state, token);
    this.#noticeUser(state, token);
    return token;
  }

  /**
   * A token that is not held goes to a caller: only for those who wait for it, since nothing verified it. From here on nobody is
   * given an older one (G3): what is held and older goes, and what comes late is refused.
   */
  passOn({ slot }: SlotState, token: Token, nowMs: number): void {
    // The slot may have been pushed out while the token was on its way, and attached anew.
    const state = this.#slots.peek(slot);
    if (state === undefined) {
      const known = this.#remembered.peek(slot);
      if (known === undefined || isOlder(known, token))
        this.#remembered.set(slot, {
          epoch: token.epoch,
          generation: token.generation,
          user: userOf(token),
        });
      return;
    }
    const entry = this.entryOf(state, nowMs);
    noticeGeneration(state, token.epoch, token.generation);
    this.#noticeUser(state, token);
    if (entry !== undefined && isOlder(entry, token)) this.drop(state, nowMs);
  }

  /** Drops the held token; what is known of the slot stays. */
  drop(state: SlotState, nowMs: number): void {
    const { entry, cohort } = state;
    if (entry === undefined || cohort === undefined) return;
    state.entry = undefined;
    this.#partitions.release(cohort.partition, state, nowMs);
  }

  /** Takes over the brokers' timing. */
  adoptTiming(timing: Timing): void {
    const old = this.timing;
    const { tickMs, maxStalenessMs, minLifetimeMs } = timing;
    if (tickMs === old.tickMs && maxStalenessMs === old.maxStalenessMs && minLifetimeMs === old.minLifetimeMs) return;
    this.timing = timing;
    for (const partition of this.partitions()) partition.retime(timing);
    for (const { entry } of this.slots()) {
      if (entry === undefined) continue;
      entry.trustedUntilMs += timing.maxStalenessMs - old.maxStalenessMs;
      refreshFrom(entry, entry.refreshAtMs, minLifetimeMs);
    }
  }

  /** Another number of partitions: every slot may have moved to another one, so that nothing held is known to count. */
  setPartitionCount(count: number, nowMs: number): void {
    if (count === this.#partitionCount) return;
    const moved = this.#partitionCount !== 0;
    this.#partitionCount = count;
    if (!moved) return;
    for (const state of this.slots()) this.#leave(state, nowMs);
    this.#partitions.clear();
  }

  /** Whether something held may have missed an invalidation. */
  isSuspect(nowMs: number, graceMs?: number): boolean {
    for (const partition of this.#partitions.holding) if (partition.isSuspect(nowMs, this.timing, graceMs)) return true;
    return false;
  }

  #noticeUser(state: SlotState, token: Token): void {
    const before = state.user;
    if (before !== undefined && before.name === token.username) return;
    state.user = userOf(token);
    if (before !== undefined) this.options.effects.renamed(state, token, before.name);
  }

  #detach(state: SlotState): void {
    state.attached = false;
    if (state.greatestGeneration > 0)
      this.#remembered.set(state.slot, {
        epoch: state.greatestEpoch,
        generation: state.greatestGeneration,
        user: state.user,
      });
    this.#leave(state, this.options.clock.elapsedMs());
    this.options.effects.evicted(state);
  }

  #leave(state: SlotState, nowMs: number): void {
    this.settle(state, nowMs);
    this.drop(state, nowMs);
    this.#partitions.leave(state);
    state.cohort = undefined;
  }

  /** The numbers of the next epoch say nothing about those of this one. */
  #endEpoch(partition: PartitionState<SlotState>, nowMs: number): void {
    for (const cohort of this.#partitions.cohorts(partition)) {
      if (cohort.floor === 0) continue;
      for (const state of cohort.members) this.settle(state, nowMs);
      cohort.begin();
    }
  }
}

function isOlder(one: TokenOrder, other: TokenOrder): boolean {
  return one.epoch < other.epoch || (one.epoch === other.epoch && one.generation < other.generation);
}
