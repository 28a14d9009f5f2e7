import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rankDelayMs, refreshBeforeExpiryMs, type RefreshAhead } from './refresh-schedule.js';

const ahead: fc.Arbitrary<RefreshAhead> = fc.oneof(
  fc.record({ kind: fc.constant('fraction' as const), fraction: fc.double({ min: 0.01, max: 0.99, noNaN: true }) }),
  fc.record({ kind: fc.constant('ms' as const), ms: fc.integer({ min: 1, max: 86_400_000 }) }),
);
const life = fc.integer({ min: 1, max: 31_536_000_000 });
const uniform = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('when to renew', () => {
  it.each<[RefreshAhead, number, number | undefined]>([
    [{ kind: 'fraction', fraction: 0.2 }, 3_600_000, 720_000],
    [{ kind: 'ms', ms: 60_000 }, 3_600_000, 60_000],
    [{ kind: 'off' }, 3_600_000, undefined],
  ])('%j of a life of %i ms: %s ms before the expiry', (setting, lifeMs, expected) => {
    expect(refreshBeforeExpiryMs(setting, lifeMs, 5_000, 0)).toBe(expected);
  });

  it('E4: is never in the first quarter of the life, however large the margin', () => {
    fc.assert(
      fc.property(ahead, life, uniform, fc.nat(60_000), (setting, lifeMs, jitter, minRemainingMs) => {
        expect(refreshBeforeExpiryMs(setting, lifeMs, minRemainingMs, jitter)).toBeLessThanOrEqual(0.75 * lifeMs);
      }),
    );
  });

  it('comes before the old token falls below the minimum lifetime, however small the margin', () => {
    fc.assert(
      fc.property(ahead, fc.integer({ min: 1_000, max: 31_536_000_000 }), uniform, (setting, lifeMs, jitter) => {
        const minRemainingMs = Math.min(5_000, lifeMs / 2);
        expect(refreshBeforeExpiryMs(setting, lifeMs, minRemainingMs, jitter)).toBeGreaterThan(minRemainingMs);
      }),
    );
    // A life of 3 s, the usual margin of 20 % and a minimum of 1 s: renewed with 1.3 s left, not with 0.6 s.
    expect(refreshBeforeExpiryMs({ kind: 'fraction', fraction: 0.2 }, 3_000, 1_000, 0)).toBe(1_300);
  });

  it('is spread by jitter, towards the earlier and by a quarter of the margin at most', () => {
    fc.assert(
      fc.property(ahead, fc.integer({ min: 1_000, max: 31_536_000_000 }), uniform, (setting, lifeMs, jitter) => {
        const least = refreshBeforeExpiryMs(setting, lifeMs, 0, 0) ?? Number.NaN;
        const jittered = refreshBeforeExpiryMs(setting, lifeMs, 0, jitter) ?? Number.NaN;
        expect(jittered).toBeGreaterThanOrEqual(least);
        expect(jittered).toBeLessThanOrEqual(1.25 * least);
      }),
    );
    const spread = [0, 0.5, 0.99].map((jitter) => refreshBeforeExpiryMs({ kind: 'ms', ms: 10_000 }, 60_000, 0, jitter));
    expect(new Set(spread).size).toBe(3);
  });
});

it('lets the first replica go first, and the others follow within a second each', () => {
  expect(rankDelayMs(0, 600_000)).toBe(0);
  expect(rankDelayMs(2, 600_000)).toBe(2_000);
  expect(rankDelayMs(1, 10_000)).toBe(200);
});
