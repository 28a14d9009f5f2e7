import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.js';

const POLICY = { firstMs: 500, maxMs: 30_000 };
const uniform = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoffMs', () => {
  it('doubles with each failure until its greatest pause', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8, 1_000].map((failures) => backoffMs(POLICY, failures, 0));
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  });

  it('lies between half and all of the pause, for every policy, count and draw', () => {
    const policy = fc.record({
      firstMs: fc.integer({ min: 1, max: 100_000 }),
      maxMs: fc.integer({ min: 1, max: 10_000_000 }),
    });
    fc.assert(
      fc.property(policy, fc.integer({ min: 1, max: 5_000 }), uniform, ({ firstMs, maxMs }, failures, draw) => {
        const fullMs = Math.min(maxMs, firstMs * 2 ** (failures - 1));
        const pauseMs = backoffMs({ firstMs, maxMs }, failures, draw);
        expect(pauseMs).toBeGreaterThanOrEqual(Math.floor(fullMs / 2));
        expect(pauseMs).toBeLessThanOrEqual(fullMs);
        expect(Number.isSafeInteger(pauseMs)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is no pause where the first is none, also after more failures than a number can double', () => {
    expect(backoffMs({ firstMs: 0, maxMs: 10 }, 5_000, 0.5)).toBe(0);
  });

  it('spreads those who failed at the same time', () => {
    expect(backoffMs(POLICY, 3, 0.999)).toBeGreaterThan(backoffMs(POLICY, 3, 0.1) + 800);
  });
});
