import fc from 'fast-check';
import { expect, it } from 'vitest';
import { minimumRemainingMs, requiredRemainingMs } from './lifetime.js';

const duration = fc.integer({ min: 0, max: 31_536_000_000 });

it('keeps the minimum lifetime of long lives, and half of short ones', () => {
  expect(minimumRemainingMs(5_000, 600_000)).toBe(5_000);
  expect(minimumRemainingMs(5_000, 3_001)).toBe(1_500);
});

it('never asks for more than half of the life, nor for less than the minimum', () => {
  fc.assert(
    fc.property(duration, duration, duration, (minLifetimeMs, minTtlMs, lifeMs) => {
      const required = requiredRemainingMs(minLifetimeMs, minTtlMs, lifeMs);
      expect(required).toBeLessThanOrEqual(lifeMs / 2);
      expect(required).toBeGreaterThanOrEqual(minimumRemainingMs(minLifetimeMs, lifeMs));
      if (minTtlMs <= lifeMs / 2) expect(required).toBeGreaterThanOrEqual(Math.min(minTtlMs, lifeMs / 2 - 1));
    }),
  );
});
