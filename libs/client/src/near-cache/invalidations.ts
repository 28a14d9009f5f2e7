import type { Change } from '@token-broker/protocol';
import type { NearCache } from './near-cache.js';
import type { PartitionState } from './partition-state.js';
import { noticeGeneration, type SlotState } from './slot-state.js';

/** Applies one invalidation. A second time it does nothing more; after a gap it counts all the same. */
export function applyChange(cache: NearCache, change: Change, nowMs: number): void {
  const partition = cache.partition(change.partition);
  if (change.epoch !== partition.epoch && cache.hear(partition, change.epoch, change.vseq, nowMs) === 'older') return;
  const wasBehind = partition.isBehind;
  if (partition.applied(change.vseq, nowMs)) cache.counters.invalidations += 1;
  partition.floors.raise(change, nowMs);
  if (change.slot === undefined) {
    for (const state of cache.slots())
      if (change.sources?.includes(state.source) ?? true)
        dropAtOrBelow(cache, state, partition, change.floor, change.sources === undefined, nowMs);
  } else {
    const state = cache.find(change.slot);
    if (state !== undefined) dropAtOrBelow(cache, state, partition, change.floor, false, nowMs);
  }
  if (partition.isBehind && !wasBehind) cache.options.effects.doubted('gap');
}

/** The resource server refused this generation, and the broker has dropped it: it is not taken again. */
export function rejectGeneration(
  cache: NearCache,
  state: SlotState,
  rejected: { readonly epoch: number; readonly generation: number },
  nowMs: number,
): void {
  if (state.partition?.epoch === rejected.epoch)
    state.partition.floors.raise({ slot: state.slot, floor: rejected.generation }, nowMs);
  // So that the next request says what it does not take.
  noticeGeneration(state, rejected.epoch, rejected.generation + 1);
  if (state.entry?.generation === rejected.generation) cache.drop(state, nowMs);
}

function dropAtOrBelow(
  cache: NearCache,
  state: SlotState,
  partition: PartitionState<SlotState>,
  floor: number,
  sweeping: boolean,
  nowMs: number,
): void {
  if (state.partition !== partition) return;
  // The last token counts even when it is not held any more: what was made with it may be in use.
  const last = state.entry ?? { epoch: state.greatestEpoch, generation: state.takenGeneration };
  if (last.generation === 0 || last.generation > floor) return;
  cache.drop(state, nowMs);
  if (last.generation <= state.announcedGeneration) return;
  state.announcedGeneration = last.generation;
  cache.options.effects.revoked(state, { epoch: last.epoch, generation: last.generation }, sweeping);
}
