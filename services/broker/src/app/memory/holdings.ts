import type { Memory } from './memory.js';
import { LIFE_BANDS, type Holdings } from '../ports/telemetry.js';

/** What memory holds, by source: in one pass, since there may be a hundred thousand. */
export function holdingsOf(memory: Memory, nowMs: number, demandMs: number): ReadonlyMap<string, Holdings> {
  const bySource = new Map<string, { held: number; inDemand: number; byRemainingLife: number[] }>();
  for (const [, held] of memory.entries()) {
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
  }
  return bySource;
}
