import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exhaustedInMs, withSample, type UsageSample } from './exhaustion.js';

const HOUR_MS = 3_600_000;

function sampled(times: readonly UsageSample[], windowMs: number): UsageSample[] {
  return times.reduce<UsageSample[]>((samples, sample) => withSample(samples, sample, windowMs), []);
}

/** One sample every 15 s, with so many calls more each time. */
const growing = (count: number, each: number): UsageSample[] =>
  Array.from({ length: count }, (_, index) => ({ atMs: index * 15_000, used: index * each }));

describe('exhaustedInMs', () => {
  it('is what remains divided by the rate of growth', () => {
    const samples = sampled(growing(5, 30), HOUR_MS);
    expect(exhaustedInMs(samples, 240, HOUR_MS)).toBe(120_000);
  });

  it('is now where nothing remains, whatever the rate', () => {
    expect(exhaustedInMs([], 0, HOUR_MS)).toBe(0);
    expect(exhaustedInMs(sampled(growing(3, 0), HOUR_MS), -2, HOUR_MS)).toBe(0);
  });

  it('is not in sight where nothing grows, where it shrinks, or where one moment is all that is known', () => {
    expect(exhaustedInMs(sampled(growing(5, 0), HOUR_MS), 10, HOUR_MS)).toBeUndefined();
    expect(exhaustedInMs(sampled(growing(5, -1), HOUR_MS), 10, HOUR_MS)).toBeUndefined();
    expect(exhaustedInMs(sampled(growing(1, 5), HOUR_MS), 10, HOUR_MS)).toBeUndefined();
    expect(exhaustedInMs([], 10, HOUR_MS)).toBeUndefined();
  });

  it('is not in sight before there is a rate: a call between two looks is none', () => {
    expect(exhaustedInMs(sampled(growing(4, 30), HOUR_MS), 240, HOUR_MS)).toBeUndefined();
    expect(exhaustedInMs(sampled(growing(4, 30), 400_000), 240, 400_000)).toBe(120_000);
  });

  it('is not in sight where the window lets go of calls before the rest is used up', () => {
    const samples = sampled(growing(5, 1), HOUR_MS);
    expect(exhaustedInMs(samples, 240, HOUR_MS)).toBe(HOUR_MS);
    expect(exhaustedInMs(samples, 241, HOUR_MS)).toBeUndefined();
  });

  it('goes by the last ten minutes: a burst of before is forgotten', () => {
    const burst = { atMs: 0, used: 0 };
    const since = Array.from({ length: 50 }, (_, index) => ({ atMs: 60_000 + index * 15_000, used: 500 }));
    expect(exhaustedInMs(sampled([burst, ...since], HOUR_MS), 500, HOUR_MS)).toBeUndefined();
    expect(exhaustedInMs(sampled([burst, ...since.slice(0, 20)], HOUR_MS), 500, HOUR_MS)).toBe(345_000);
  });

  it('keeps few samples, whatever the rhythm, and the newest of them', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 2, maxLength: 400 }), (steps) => {
        let atMs = 0;
        const times = steps.map((stepMs, index) => ({ atMs: (atMs += stepMs), used: index }));
        const samples = sampled(times, HOUR_MS);
        expect(samples.length).toBeLessThanOrEqual(64);
        expect(samples.at(-1)).toEqual(times.at(-1));
        expect([...samples].sort((a, b) => a.atMs - b.atMs)).toEqual(samples);
      }),
    );
  });
});
