import type { CountPage, CountRequest, PauseOutcome, ScannedSlot } from '../ports/store.js';
import { cutoffName, unexpired, type Script } from './fake-scripts.js';

/** Everything that counts in a partition and everything that is in the air: one page. */
export function scan({ partition, nowMs }: Script, withSealed: boolean): ScannedSlot[] {
  const found: ScannedSlot[] = [];
  for (const [slot, { record, flight }] of partition.slots) {
    const floorAbove = (source: string, provider: string): number => partition.floorOf({ slot, source, provider });
    const isLive =
      record?.sealed !== undefined &&
      record.epoch === partition.epoch &&
      record.expiresAtMs > nowMs &&
      record.generation > floorAbove(record.source, record.provider);
    const isInAir =
      flight !== undefined &&
      flight.failed === undefined &&
      flight.epoch === partition.epoch &&
      flight.untilMs !== 0 &&
      flight.forgottenAtMs > nowMs &&
      flight.generation > floorAbove(flight.source, flight.provider);
    if (!isLive && !isInAir) continue;
    found.push({
      slot,
      ...(isLive
        ? {
            record: {
              source: record.source,
              provider: record.provider,
              recipe: record.recipe,
              generation: record.generation,
              expiresAtMs: record.expiresAtMs,
              sealed: withSealed ? record.sealed : EMPTY,
            },
          }
        : {}),
      ...(isInAir ? { flight: { source: flight.source, generation: flight.generation } } : {}),
    });
  }
  return found;
}

const EMPTY = new Uint8Array();

/** One page. */
export function count({ partition, nowMs }: Script, { target, above, upTo = Infinity }: CountRequest): CountPage {
  const assumed = new Map(above === undefined ? [] : [[cutoffName(target), above]]);
  const bySource = new Map<string, number>();
  for (const [name, slot] of partition.slots) {
    const record = unexpired(slot, nowMs);
    if (record?.sealed === undefined || record.epoch !== partition.epoch || record.expiresAtMs <= nowMs) continue;
    const { source, provider } = record;
    const born = record.generation > upTo ? record.ended : record.generation;
    if (![`source:${source}`, `provider:${provider}`, 'all'].includes(cutoffName(target))) continue;
    if (born <= partition.floorOf({ slot: name, source, provider }, assumed)) continue;
    bySource.set(source, (bySource.get(source) ?? 0) + 1);
  }
  return { bySource, next: undefined };
}

export function pause({ partition, nowMs }: Script, source: string, paused: boolean): PauseOutcome {
  const sinceMs = partition.paused.get(source);
  if (paused) {
    if (sinceMs === undefined) partition.paused.set(source, nowMs);
    return { changed: sinceMs === undefined, sinceMs: sinceMs ?? nowMs };
  }
  partition.paused.delete(source);
  return { changed: sinceMs !== undefined, sinceMs: undefined };
}
