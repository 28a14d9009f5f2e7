import { describe, expect, it } from 'vitest';
import type { Comparison } from './benchmark.js';
import { jsonOf, judge, targetText } from './judge.js';

const COMPARISON: Comparison = { ours: [2, 1, 3], baseline: [10, 8, 12], unit: 'ms' };

describe('a comparison', () => {
  it('is judged by the ratio of the medians', () => {
    expect(judge('a', { ...COMPARISON, target: { atMost: 0.2 } })).toMatchObject({ ratio: 0.2, runs: 3, met: true });
    expect(judge('a', { ...COMPARISON, target: { atLeast: 0.3 } }).met).toBe(false);
  });

  it('may be judged by how much more ours takes, or by ours alone', () => {
    expect(judge('a', { ...COMPARISON, target: { atMost: -8, of: 'more' } }).met).toBe(true);
    expect(judge('a', { ...COMPARISON, target: { atMost: 1, of: 'ours' } }).met).toBe(false);
  });

  it('is neither met nor missed without a target', () => {
    const line = judge('a', COMPARISON);
    expect(line.met).toBeUndefined();
    expect(JSON.parse(jsonOf(line))).not.toHaveProperty('met');
  });

  it('is one object of JSON, with medians and what its benchmark adds', () => {
    const line = judge('cold-fetch', { ...COMPARISON, more: { overheadMs: -8 }, target: { atMost: 1, of: 'more' } });
    expect(JSON.parse(jsonOf(line))).toEqual({
      ...{ name: 'cold-fetch', ratio: 0.2, ours: 2, baseline: 10, unit: 'ms', runs: 3 },
      ...{ oursMin: 1, oursMax: 3, baselineMin: 8, baselineMax: 12 },
      ...{ target: '≤ 1 ms more', met: true, overheadMs: -8 },
    });
  });

  it('says its target in few words', () => {
    expect(targetText({ unit: 'ms', target: { atMost: 1.05 } })).toBe('≤ 1.05');
    expect(targetText({ unit: '%', target: { atLeast: 1, of: 'ours' } })).toBe('≥ 1 %');
  });
});
