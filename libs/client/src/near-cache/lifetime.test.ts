import { describe, expect, it } from 'vitest';
import { anchored, anchorOf, leastLifetimeMs, nextRefreshAtMs, refreshAtMs } from './lifetime.js';

describe('the least lifetime', () => {
  it('is what is wished for a long life, and half of a short one', () => {
    expect(leastLifetimeMs(3_600_000, 5_000)).toBe(5_000);
    expect(leastLifetimeMs(10_000, 5_000)).toBe(5_000);
    expect(leastLifetimeMs(8_000, 5_000)).toBe(4_000);
    expect(leastLifetimeMs(60_000, 3_600_000)).toBe(30_000);
  });
});

describe('the renewal in the background', () => {
  it.each([0, 0.5, 0.999])('falls between 88 % and 92 % of the usable life (uniform %s)', (uniform) => {
    const lifeMs = 105_000;
    const atMs = refreshAtMs(lifeMs, lifeMs, 5_000, uniform);
    expect(atMs).toBeGreaterThanOrEqual(0.88 * 100_000);
    expect(atMs).toBeLessThanOrEqual(0.92 * 100_000);
  });

  it('comes before the end of the usable life even when the life is short', () => {
    for (const lifeMs of [2, 1_000, 6_000, 11_000])
      expect(refreshAtMs(lifeMs, lifeMs, 5_000, 0.999)).toBeLessThan(lifeMs - leastLifetimeMs(lifeMs, 5_000));
  });

  it('is tried again a few times only, never in a tight loop', () => {
    let nowMs = 0;
    let tries = 0;
    while (nowMs < 360_000) {
      const nextMs = nextRefreshAtMs(nowMs, 360_000);
      expect(nextMs - nowMs).toBeGreaterThanOrEqual(1_000);
      nowMs = nextMs;
      tries++;
    }
    expect(tries).toBeLessThan(15);
  });
});

describe('an anchor', () => {
  it('places a moment of the clock of Redis on the clock of this process', () => {
    expect(anchored(anchorOf(500, 1_000_000), 1_003_000)).toBe(3_500);
  });
});
