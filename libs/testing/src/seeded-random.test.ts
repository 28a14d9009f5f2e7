import { describe, expect, it } from 'vitest';
import { SeededRandom } from './seeded-random.js';

describe('SeededRandom', () => {
  it('repeats itself from a seed, and differs between seeds', () => {
    const draw = (seed: number): number[] => {
      const random = new SeededRandom(seed);
      return Array.from({ length: 100 }, () => random.uniform());
    };
    expect(draw(42)).toEqual(draw(42));
    expect(draw(42)).not.toEqual(draw(43));
  });

  it('names the seed with which it can be repeated, also when it chose the seed itself', () => {
    const chosen = new SeededRandom();
    expect(String(chosen)).toBe(`seed ${String(chosen.seed)}`);
    expect(new SeededRandom(chosen.seed).bytes(16)).toEqual(chosen.bytes(16));
  });

  it('spreads its numbers evenly over [0, 1)', () => {
    const random = new SeededRandom(7);
    const buckets = new Array<number>(10).fill(0);
    for (let draw = 0; draw < 100_000; draw += 1) {
      const bucket = Math.floor(random.uniform() * 10);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    expect(buckets).toHaveLength(10);
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  it('gives integers below the bound, and bytes of all values', () => {
    const random = new SeededRandom(7);
    expect(new Set(Array.from({ length: 1_000 }, () => random.integer(6)))).toEqual(new Set([0, 1, 2, 3, 4, 5]));
    expect(new Set(random.bytes(10_000)).size).toBe(256);
  });
});
