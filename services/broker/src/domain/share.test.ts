import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shareOf } from './share.js';

it('gives the replicas the whole limit together, and nobody more than one call more than another', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.integer({ min: 1, max: 50 }), (limit, replicas) => {
      const shares = Array.from({ length: replicas }, (_, rank) => shareOf(limit, replicas, rank));
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(limit);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }),
  );
});

it('is all of it for one that is alone', () => {
  expect(shareOf(7, 1, 0)).toBe(7);
  expect(shareOf(7, 0, 0)).toBe(7);
});
