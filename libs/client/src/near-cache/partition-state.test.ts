import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_TIMING } from './lifetime.js';
import { PartitionState } from './partition-state.js';

const TICK = DEFAULT_TIMING.tickMs;

function holding(epoch = 1, vseq = 0): PartitionState<string> {
  const held: string[] = [];
  const partition = new PartitionState<string>(0, () => held);
  partition.hear(epoch, vseq, 0);
  held.push('x');
  partition.hold(0);
  return partition;
}

describe('a partition in which nothing is held', () => {
  it('adopts whatever position it hears, and is never suspect', () => {
    const partition = new PartitionState<string>(0, () => []);
    expect(partition.hear(3, 17, 0)).toBe('newer');
    expect(partition.hear(3, 40, 0)).toBe('own');
    expect([partition.epoch, partition.seen, partition.heard]).toEqual([3, 40, 40]);
    expect(partition.isSuspect(1e9, DEFAULT_TIMING)).toBe(false);
  });

  it('ignores an older epoch all the same', () => {
    const partition = new PartitionState<string>(0, () => []);
    partition.hear(3, 17, 0);
    expect(partition.hear(2, 99, 0)).toBe('older');
    expect([partition.epoch, partition.seen]).toEqual([3, 17]);
  });
});

describe('a partition in which something is held', () => {
  it('is verified only by a position at which nothing is missing', () => {
    const partition = holding(1, 5);
    partition.verify(4, 100, DEFAULT_TIMING);
    expect(partition.trustedUntilMs).toBe(Number.NEGATIVE_INFINITY);
    partition.verify(5, 100, DEFAULT_TIMING);
    expect(partition.trustedUntilMs).toBe(100 + DEFAULT_TIMING.maxStalenessMs);
    partition.hear(1, 6, 200);
    partition.verify(6, 200, DEFAULT_TIMING);
    expect(partition.trustedUntilMs).toBe(100 + DEFAULT_TIMING.maxStalenessMs);
  });

  it('is never verified as of an earlier moment than before', () => {
    const partition = holding(1, 5);
    partition.verify(5, 900, DEFAULT_TIMING);
    partition.verify(5, 400, DEFAULT_TIMING);
    expect(partition.trustedUntilMs).toBe(900 + DEFAULT_TIMING.maxStalenessMs);
  });

  it('is suspect three ticks after its last verification', () => {
    const partition = holding();
    partition.verify(0, 1_000, DEFAULT_TIMING);
    expect(partition.isSuspect(1_000 + 3 * TICK, DEFAULT_TIMING)).toBe(false);
    expect(partition.isSuspect(1_001 + 3 * TICK, DEFAULT_TIMING)).toBe(true);
  });

  it('is suspect when a gap outlasts its grace', () => {
    const partition = holding();
    partition.hear(1, 1, 1_000);
    expect(partition.isSuspect(1_249, DEFAULT_TIMING)).toBe(false);
    expect(partition.isSuspect(1_250, DEFAULT_TIMING)).toBe(true);
    expect(partition.isSuspect(1_000, DEFAULT_TIMING, 0)).toBe(true);
    partition.applied(1, 1_300);
    expect(partition.isSuspect(1_300, DEFAULT_TIMING)).toBe(false);
  });

  it('is suspect from the moment it hears of a greater epoch, until what is held is confirmed or gone', () => {
    const partition = holding(1, 9);
    expect(partition.hear(2, 3, 0)).toBe('newer');
    expect(partition.isSuspect(0, DEFAULT_TIMING)).toBe(true);
    partition.verify(3, 0, DEFAULT_TIMING);
    expect(partition.trustedUntilMs).toBe(Number.NEGATIVE_INFINITY);
    partition.release('x', 0);
    expect(partition.isSuspect(0, DEFAULT_TIMING)).toBe(false);
  });

  it('counts a repeated invalidation once', () => {
    const partition = holding();
    expect([partition.applied(1, 0), partition.applied(1, 0), partition.applied(1, 0)]).toEqual([true, false, false]);
    expect(partition.seen).toBe(1);
  });

  it('has seen everything after any order of all invalidations, and not before', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8], { minLength: 1 }), (order) => {
        const partition = holding();
        for (const vseq of order) partition.applied(vseq, 0);
        let contiguous = 0;
        while (order.includes(contiguous + 1)) contiguous++;
        expect(partition.seen).toBe(contiguous);
        expect(partition.heard).toBe(Math.max(...order));
        expect(partition.isBehind).toBe(contiguous !== Math.max(...order));
      }),
    );
  });
});
