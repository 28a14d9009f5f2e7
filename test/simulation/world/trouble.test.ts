import { expect, it } from 'vitest';
import { Trouble } from './trouble.js';

it('holds nothing for well while a fault lasts, not even what happens at that moment, nor for some time after it', () => {
  let nowMs = 1_000;
  const trouble = new Trouble(() => nowMs);
  expect(trouble.healthySinceMs(0)).toBe(0);
  trouble.begin(0);
  trouble.begin(0);
  trouble.end(0);
  expect(trouble.healthySinceMs(0)).toBeGreaterThan(nowMs);
  expect(trouble.healthySinceMs(1)).toBe(0);
  nowMs = 2_000;
  trouble.end(0);
  expect(trouble.healthySinceMs(0)).toBeGreaterThan(nowMs);
  expect(trouble.healthySinceMs(0)).toBeLessThan(Number.POSITIVE_INFINITY);
});

it('tells the way to identity providers from that of clients', () => {
  const trouble = new Trouble(() => 0);
  trouble.begin('upstream');
  expect(trouble.upstreamSinceMs).toBe(Number.POSITIVE_INFINITY);
  expect(trouble.healthySinceMs(0)).toBe(0);
});
