import type { Change } from '@token-broker/protocol';
import type { NearCache } from './near-cache.js';
import { noticeGeneration, type SlotState } from './slot-state.js';

/** Applies invalidations. A second time they do nothing more; after a gap they count all the same. */
export function applyChanges(cache: NearCache, changes: readonly Change[], nowMs: number): void {
  for (const change of changes) applyChange(cache, change, nowMs);
  cache.startSweep(nowMs);
}

function applyChange(cache: NearCache, change: Change, nowMs: number): void {
  const partition = cache.partition(change.partition);
  if (change.epoch !== partition.epoch && cache.hear(partition, change.epoch, change.vseq, nowMs) === 'older') return;
  const wasBehind = partition.isBehind;
  if (partition.applied(change.vseq, nowMs)) cache.counters.invalidations += 1;
  partition.floors.raise(change, nowMs);
  if (change.slot === undefined) cache.end(partition, change.sources, change.floor);
  else {
    const state = cache.find(change.slot);
    if (state?.cohort?.partition === partition) cache.endSlot(state, change.floor, nowMs);
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
  const { cohort } = state;
  if (cohort?.partition.epoch === rejected.epoch)
    cohort.partition.floors.raise({ slot: state.slot, floor: rejected.generation }, nowMs);
  const entry = cache.entryOf(state, nowMs);
  // So that the next request says what it does not take.
  noticeGeneration(state, rejected.epoch, rejected.generation + 1);
  if (entry?.generation === rejected.generation) cache.drop(state, nowMs);
}
