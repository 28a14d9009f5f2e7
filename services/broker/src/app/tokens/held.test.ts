import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Held } from './held.js';

const SLOT = { slot: 's', partition: 0, source: 'a', provider: 'oauth2', recipe: 'r' };

function heldOf(expiresAtMs: number, lifeMs: number, redisMs: number, sentAtMs: number, minLifetimeMs = 5_000): Held {
  return new Held(
    {
      address: SLOT,
      parameters: {},
      token: { accessToken: 't', tokenType: 'Bearer' },
      generation: 1,
      expiresAtMs,
      lifeMs,
      asOf: { epoch: 1, vseq: 0, redisMs, sentAtMs },
    },
    { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs },
    0,
  );
}

it('is never fresh beyond its true expiry less the minimum, whatever the clocks say and however slow the answer was', () => {
  const ms = fc.integer({ min: 0, max: 10_000_000 });
  fc.assert(
    fc.property(
      fc.record({
        aheadMs: fc.integer({ min: -1e9, max: 1e12 }),
        sentAtMs: ms,
        onTheWayMs: ms,
        lifeMs: ms,
        laterMs: ms,
        minMs: ms,
      }),
      ({ aheadMs, sentAtMs, onTheWayMs, lifeMs, laterMs, minMs }) => {
        // Redis read its clock after it was asked; the token was claimed then.
        const redisMs = sentAtMs + onTheWayMs + aheadMs;
        const held = heldOf(redisMs + lifeMs, lifeMs, redisMs, sentAtMs, minMs);
        const nowMs = sentAtMs + laterMs;
        const trulyLeftMs = sentAtMs + onTheWayMs + lifeMs - nowMs;
        expect(held.remainingMs(nowMs)).toBeLessThanOrEqual(trulyLeftMs);
        if (held.isFreshFor(0, nowMs))
          expect(trulyLeftMs).toBeGreaterThanOrEqual(Math.min(minMs, Math.floor(lifeMs / 2)));
        expect(held.isFreshFor(0, nowMs)).toBe(nowMs <= held.usableUntilElapsedMs);
        // Nor does it let anybody believe that Redis is earlier than it is.
        expect(held.redisMs(nowMs)).toBeGreaterThanOrEqual(nowMs + aheadMs);
      },
    ),
  );
});

it('is fresh for a wish only with as much life left, or half of its life', () => {
  const held = heldOf(100_000, 60_000, 40_000, 0);
  expect(held.isFreshFor(20_000, 40_000)).toBe(true);
  expect(held.isFreshFor(20_000, 40_001)).toBe(false);
  expect(held.isFreshFor(1_000_000, 30_000)).toBe(true);
  expect(held.isFreshFor(1_000_000, 30_001)).toBe(false);
});

it('F32: has never more left than its whole life, when the clock of Redis has jumped back since it was issued', () => {
  const issuedAtMs = 1_000_000;
  const jumpedBackMs = 600_000;
  const held = heldOf(issuedAtMs + 60_000, 60_000, issuedAtMs - jumpedBackMs, 5_000);
  expect(held.remainingMs(5_000)).toBe(60_000);
});
