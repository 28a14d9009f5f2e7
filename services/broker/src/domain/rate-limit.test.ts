import fc from 'fast-check';
import { expect, it } from 'vitest';
import { takeToken, type Bucket } from './rate-limit.js';

const LIMIT = { burst: 5, intervalMs: 100 };

it('lets a burst through, and then one each interval', () => {
  let bucket: Bucket | undefined;
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    const taken = takeToken(LIMIT, bucket, 0);
    bucket = taken.bucket;
    waits.push(taken.waitMs);
  }
  expect(waits).toEqual([0, 0, 0, 0, 0, 100]);
  expect(takeToken(LIMIT, bucket, 50).waitMs).toBe(50);
  expect(takeToken(LIMIT, bucket, 100).waitMs).toBe(0);
});

it('lets no more through in any time than the burst and one each interval, and always after the wait that it said', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 100 }), (steps) => {
      let bucket: Bucket | undefined;
      let nowMs = 0;
      const takenAtMs: number[] = [];
      for (const step of steps) {
        nowMs += step;
        const taken = takeToken(LIMIT, bucket, nowMs);
        if (taken.waitMs === 0) takenAtMs.push(nowMs);
        else expect(takeToken(LIMIT, taken.bucket, nowMs + taken.waitMs).waitMs).toBe(0);
        bucket = taken.bucket;
      }
      for (const fromMs of takenAtMs) {
        for (const toMs of takenAtMs.filter((at) => at >= fromMs)) {
          const within = takenAtMs.filter((at) => at >= fromMs && at <= toMs).length;
          expect(within).toBeLessThanOrEqual(LIMIT.burst + (toMs - fromMs) / LIMIT.intervalMs + 1e-6);
        }
      }
    }),
  );
});

it('takes a clock that goes backwards for one that stands still', () => {
  const { bucket } = takeToken(LIMIT, { tokens: 0.5, atMs: 1_000 }, 0);
  expect(bucket.tokens).toBe(0.5);
});
