import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ceilingsFor, type CallClass, type Quota } from './call-class.js';

const MINUTE = { kind: 'sliding', ms: 60_000 } as const;
const CLASSES: readonly CallClass[] = ['waiting', 'waiting-refetch', 'refetch', 'refresh-ahead'];

const quotas = fc.array(
  fc
    .record({ limit: fc.integer({ min: 1, max: 100_000 }), share: fc.double({ min: 0, max: 1, noNaN: true }) })
    .map(({ limit, share }): Quota => ({ limit, window: MINUTE, reserve: Math.floor(limit * share) })),
  { maxLength: 4 },
);

describe('what each class may use of a limit of 100 with 10 in reserve', () => {
  it.each([
    ['waiting', 90, 0, 'common'],
    ['waiting-refetch', 90, 10, 'common'],
    ['refetch', 72, 10, 'reserve'],
    ['refresh-ahead', 72, 0, 'common'],
  ] as const)('%s: %d of everybody’s, %d of the reserve, first the %s account', (callClass, common, reserve, first) => {
    expect(ceilingsFor([{ limit: 100, window: MINUTE, reserve: 10 }], callClass)).toEqual({
      limits: [{ window: MINUTE, common, reserve }],
      first,
    });
  });
});

it.each([
  { common: 1, forRefresh: 1 },
  { common: 2, forRefresh: 1 },
  { common: 5, forRefresh: 4 },
  { common: 9, forRefresh: 8 },
  { common: 10, forRefresh: 8 },
])('leaves a fifth to those who wait, and one call where there are two: $forRefresh of $common', (example) => {
  const { limits } = ceilingsFor([{ limit: example.common, window: MINUTE, reserve: 0 }], 'refresh-ahead');
  expect(limits[0]?.common).toBe(example.forRefresh);
});

it('never lets the accounts together exceed the limit, nor a class below exceed the one above it', () => {
  fc.assert(
    fc.property(quotas, (limits) => {
      const of = Object.fromEntries(CLASSES.map((name) => [name, ceilingsFor(limits, name).limits]));
      for (const [index, { limit, reserve, window }] of limits.entries()) {
        const [waiting, waitingRefetch, refetch, refresh] = CLASSES.map((name) => of[name]?.[index]);
        for (const ceilings of [waiting, waitingRefetch, refetch, refresh]) {
          expect(ceilings?.window).toBe(window);
          expect(ceilings?.common).toBeGreaterThanOrEqual(0);
          expect(ceilings?.reserve).toBeGreaterThanOrEqual(0);
        }
        // Whatever mixture of classes fills the accounts, the highest ceilings bound it.
        expect((waiting?.common ?? NaN) + (waitingRefetch?.reserve ?? NaN)).toBe(limit);
        expect(waitingRefetch?.common).toBe(waiting?.common);
        expect(refetch?.common).toBeLessThanOrEqual(waiting?.common ?? NaN);
        expect(refresh?.common).toBe(refetch?.common);
        if (limit - reserve > 1) expect(refresh?.common).toBeLessThan(waiting?.common ?? NaN);
        expect([waiting?.reserve, refresh?.reserve]).toEqual([0, 0]);
        expect(refetch?.reserve).toBe(waitingRefetch?.reserve);
      }
    }),
  );
});
