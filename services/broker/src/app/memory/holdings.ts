import { delay, type Clock } from '@token-broker/foundation';
import type { Memory } from './memory.js';
import { LIFE_BANDS, type Holdings } from '../ports/telemetry.js';

/** How many tokens are looked at in one go. */
const COUNTED_AT_ONCE = 2_000;

/**
 * What memory holds, by source. Of very many it counts a part at a time, between which requests are answered; what is used,
 * or comes and goes meanwhile may be counted or not.
 */
export async function holdingsOf(
  memory: Memory,
  clock: Clock,
  demandMs: number,
): Promise<ReadonlyMap<string, Holdings>> {
  const bySource = new Map<string, { held: number; inDemand: number; byRemainingLife: number[] }>();
  // What is used moves to the end, where it would be met again, and again.
  let left = memory.size;
  let nowMs = clock.elapsedMs();
  for (const [, held] of memory.entries()) {
    if (left-- === 0) break;
    let holdings = bySource.get(held.address.source);
    if (holdings === undefined) {
      holdings = { held: 0, inDemand: 0, byRemainingLife: LIFE_BANDS.map(() => 0) };
      bySource.set(held.address.source, holdings);
    }
    holdings.held += 1;
    if (nowMs - held.wantedAtMs < demandMs) holdings.inDemand += 1;
    const remainingMs = held.remainingMs(nowMs);
    const band = LIFE_BANDS.findIndex(({ belowMs }) => remainingMs < belowMs);
    holdings.byRemainingLife[band] = (holdings.byRemainingLife[band] ?? 0) + 1;
    if (left % COUNTED_AT_ONCE === 0) {
      await delay(clock, 0);
      nowMs = clock.elapsedMs();
    }
  }
  return bySource;
}
