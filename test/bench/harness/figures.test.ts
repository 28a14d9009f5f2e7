import { describe, expect, it } from 'vitest';
import { medianOf, percentileOf, spreadOf } from './figures.js';

describe('figures', () => {
  it('have the middle one for a median, or the mean of the two in the middle', () => {
    expect(medianOf([9, 1, 5])).toBe(5);
    expect(medianOf([9, 1, 5, 6])).toBe(5.5);
  });

  it('are spread between the least and the most', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  });

  it('have the nearest rank for a percentile', () => {
    const figures = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentileOf(figures, 0.5)).toBe(50);
    expect(percentileOf(figures, 0.99)).toBe(99);
    expect(percentileOf(figures, 0.9999)).toBe(100);
  });

  it('are never made up where there are none', () => {
    expect(() => spreadOf([])).toThrow(RangeError);
    expect(() => percentileOf([], 0.5)).toThrow(RangeError);
  });
});
