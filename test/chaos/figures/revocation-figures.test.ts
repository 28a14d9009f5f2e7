import { expect, it } from 'vitest';
import { measureRevocations } from './revocation-figures.js';

const TICK_MS = 200;
const MAX_STALENESS_MS = 2_000;
/** What a connected near cache promises: 2.5 s from the revocation, at a tick of a second; the event makes it milliseconds. */
const DROPPED_WITHIN_MS = 2_500;
const LIMIT_MS = 120_000;

it(
  'a revocation reaches connected near caches in time, and those that are cut off stop by their bound, whatever is lost',
  async () => {
    const { connected, connectedLossy, cutOff, cutOffLossy } = await measureRevocations({
      tickMs: TICK_MS,
      nearCaches: 20,
      processes: 1,
      rounds: 3,
      cuts: 5,
      cutRounds: 1,
      maxStalenessMs: MAX_STALENESS_MS,
      lostShare: 0.1,
      seed: 7,
      progress: () => undefined,
    });
    expect(connected.lastDropMs).toHaveLength(3);
    for (const tookMs of connected.lastDropMs) expect(tookMs).toBeLessThan(DROPPED_WITHIN_MS);
    // Lost invalidations are found by the next heartbeats; a sync whose reply is lost is tried again after three ticks.
    for (const tookMs of connectedLossy.lastDropMs) expect(tookMs).toBeLessThan(2 * DROPPED_WITHIN_MS);
    for (const { servedMs } of [cutOff, cutOffLossy]) {
      expect(servedMs).toHaveLength(5);
      for (const tookMs of servedMs) {
        expect(tookMs).toBeLessThanOrEqual(MAX_STALENESS_MS);
        // It was not the cut itself that ended it: a near cache serves on.
        expect(tookMs).toBeGreaterThan(MAX_STALENESS_MS / 4);
      }
    }
  },
  LIMIT_MS,
);
