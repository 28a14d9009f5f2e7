import type { Heartbeat, SyncReply, SyncRequest } from '@token-broker/protocol';
import { createToken } from '../token.js';
import type { Entry } from './entry.js';
import { applyChanges } from './invalidations.js';
import { anchored, anchorOf } from './lifetime.js';
import type { NearCache } from './near-cache.js';
import type { PartitionState } from './partition-state.js';
import { noticeGeneration, type SlotState } from './slot-state.js';

/** What a sync request said was known. */
export type Known = NonNullable<SyncRequest['known']>;

/**
 * Hears where every partition stands. Returns how old that is, since Redis was read for it, in ms: at most so long did it
 * take to get here. `undefined` where that cannot be judged yet.
 */
export function hearHeartbeat(cache: NearCache, heartbeat: Heartbeat, nowMs: number): number | undefined {
  cache.adoptTiming(heartbeat.timing);
  cache.setPartitionCount(heartbeat.epochs.length, nowMs);
  // A heartbeat may have waited in a buffer, for as long as this process was stopped or its link was frozen: its arrival
  // proves nothing about its age. What Redis's clock showed does.
  // Where that cannot be judged yet, it verifies nothing: what a reply brings now may be older than it.
  const anchoredMs = cache.anchor === undefined ? Number.NEGATIVE_INFINITY : anchored(cache.anchor, heartbeat.atMs);
  const readAtMs = Math.min(nowMs - heartbeat.ageMs, anchoredMs);
  cache.hearAll(heartbeat, readAtMs, nowMs);
  return Number.isFinite(readAtMs) ? nowMs - readAtMs : undefined;
}

/** What the near cache has applied, to ask for what came after. `undefined` until the partitions are known. */
export function knownPositions(cache: NearCache): Known | undefined {
  if (cache.partitionCount === 0) return undefined;
  const epochs: number[] = [];
  const vseqs: number[] = [];
  for (let index = 0; index < cache.partitionCount; index++) {
    const { epoch, seen } = cache.partition(index);
    epochs.push(epoch);
    vseqs.push(seen);
  }
  return { epochs, vseqs };
}

/**
 * Applies the reply to a sync that was sent at `sentAtMs`. Partitions whose gap it closes are verified; those that it
 * cannot close (another epoch, a log that does not reach back) keep what they hold as unconfirmed.
 */
export function applySync(
  cache: NearCache,
  reply: SyncReply,
  known: Known | undefined,
  sentAtMs: number,
  nowMs: number,
): void {
  cache.adoptTiming(reply.timing);
  cache.setPartitionCount(reply.epochs.length, nowMs);
  // Redis was read at most `ageMs` before the reply, and the reply was written after the request was sent.
  const readAtMs = sentAtMs - reply.ageMs;
  cache.anchor = anchorOf(readAtMs, reply.atMs);
  applyChanges(
    cache,
    reply.changes.filter(({ partition }) => partition < reply.epochs.length),
    nowMs,
  );
  const reset = new Set(reply.reset);
  for (const partition of standing(cache, reply.epochs)) {
    const { index } = partition;
    const epoch = reply.epochs[index] ?? 0;
    const vseq = reply.vseqs[index] ?? 0;
    const knew = known?.epochs[index] === epoch && (known.vseqs[index] ?? 0) <= partition.seen;
    if (epoch === partition.epoch && knew && !reset.has(index)) partition.advance(vseq, nowMs);
    else if (cache.hear(partition, epoch, vseq, nowMs) === 'own' && reset.has(index) && knew) partition.doubtAll();
    partition.verify(vseq, readAtMs, cache.timing);
  }
}

/** Those that hold something which only a verifying sync can confirm. */
export function unconfirmedPartitions(cache: NearCache): PartitionState<SlotState>[] {
  return [...cache.partitions()].filter((partition) => partition.unconfirmed.size > 0);
}

/** Keeps what a verifying sync confirms of `asked`, in the epochs of its reply, and drops the rest. */
export function confirmHolds(cache: NearCache, asked: readonly SlotState[], reply: SyncReply, nowMs: number): void {
  const live = new Map(reply.live ?? []);
  for (const partition of standing(cache, reply.epochs))
    cache.hear(partition, reply.epochs[partition.index] ?? 0, reply.vseqs[partition.index] ?? 0, nowMs);
  for (const state of asked) {
    const entry = cache.entryOf(state, nowMs);
    const { cohort } = state;
    if (entry === undefined || cohort?.partition.unconfirmed.has(state) !== true) continue;
    const { partition } = cohort;
    const epoch = reply.epochs[partition.index];
    // A reply about another epoch than the partition's says nothing: the next sync will.
    if (epoch !== partition.epoch) continue;
    const counts =
      live.get(state.slot) === entry.generation && entry.generation > partition.floors.of(state.source, state.slot);
    if (!counts) {
      cache.drop(state, nowMs);
      continue;
    }
    if (entry.epoch !== epoch) inEpoch(cache, state, entry, epoch);
    entry.asOf = Math.max(entry.asOf, reply.vseqs[partition.index] ?? 0);
    partition.confirm(state);
  }
}

/** A token that outlived its epoch goes on under the new one: reports of it must name that. */
function inEpoch(cache: NearCache, state: SlotState, entry: Entry, epoch: number): void {
  const { accessToken, tokenType, scope, username, verified } = entry.token;
  const { generation, expiresAtMs } = entry;
  const content = { accessToken, tokenType, scope, username, verified, epoch, generation, expiresAtMs };
  entry.token = createToken(content, cache.options.clock);
  entry.answer = undefined;
  entry.epoch = epoch;
  noticeGeneration(state, epoch, generation);
  state.takenGeneration = generation;
}

/**
 * Ends the verification of a partition whose invalidations up to `vseq` will never be heard: what is not known to have
 * outlived them goes.
 */
export function settlePartition(
  cache: NearCache,
  partition: PartitionState<SlotState>,
  settled: { readonly epoch: number; readonly vseq: number; readonly readAtMs: number },
  nowMs: number,
): void {
  if (partition.epoch !== settled.epoch) return;
  for (const state of [...partition.holders()])
    if (partition.unconfirmed.has(state) || (cache.entryOf(state, nowMs)?.asOf ?? 0) < settled.vseq)
      cache.drop(state, nowMs);
  partition.advance(settled.vseq, nowMs);
  partition.verify(settled.vseq, settled.readAtMs, cache.timing);
}

function* standing(cache: NearCache, epochs: readonly number[]): IterableIterator<PartitionState<SlotState>> {
  for (let index = 0; index < epochs.length; index++) yield cache.partition(index);
}
