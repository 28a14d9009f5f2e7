import type { Clock } from '@token-broker/foundation';
import { LIFE_BANDS, type Holdings } from '../ports/telemetry.js';
import { heldInParts } from './held-in-parts.js';
import type { Memory } from './memory.js';

/** How many tokens memory holds, by source. */
export async function countBySource(memory: Memory, clock: Clock): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for await (const part of heldInParts(memory, clock))
    for (const { address } of part) counts.set(address.source, (counts.get(address.source) ?? 0) + 1);
  return counts;
}

/** The same, with how many of them somebody wants, and how long they live. */
export async function holdingsOf(
  memory: Memory,
  clock: Clock,
  demandMs: number,
): Promise<ReadonlyMap<string, Holdings>> {
  const bySource = new Map<string, { held: number; inDemand: number; byRemainingLife: number[] }>();
  for await (const part of heldInParts(memory, clock)) {
    const nowMs = clock.elapsedMs();
    for (const held of part) {
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
  }
  return bySource;
}
