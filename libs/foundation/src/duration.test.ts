import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from './duration.js';

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['5s', 5_000],
    ['1.5h', 5_400_000],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
    ['0s', 0],
    ['0.4ms', 0],
    ['1m1ms', 60_001],
  ])('reads %s as %d ms', (text, expected) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: expected });
  });

  it.each([
    ['5', 'the unit is missing'],
    ['1.5', 'the unit is missing'],
    ['-5s', 'never negative'],
    ['', 'not a duration'],
    ['s', 'not a duration'],
    ['5 s', 'not a duration'],
    ['5S', 'not a duration'],
    ['+5s', 'not a duration'],
    ['.5s', 'not a duration'],
    ['5.s', 'not a duration'],
    ['1e3s', 'not a duration'],
    ['5s\n', 'not a duration'],
    ['5w', 'not a duration'],
    ['５s', 'not a duration'],
    ['5s-1s', 'not a duration'],
    [`${'9'.repeat(400)}d`, 'too long'],
    ['104249991375d', 'too long'],
  ])('refuses %j: %s', (text, reason) => {
    const parsed = parseDuration(text);
    expect(parsed.ok).toBe(false);
    expect(parsed.ok ? '' : parsed.error).toContain(reason);
  });

  it('adds up its parts, whatever they are', () => {
    const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
    const part = fc.record({
      amount: fc.integer({ min: 0, max: 10_000 }),
      unit: fc.constantFrom('ms' as const, 's' as const, 'm' as const, 'h' as const, 'd' as const),
    });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const text = parts.map(({ amount, unit }) => `${String(amount)}${unit}`).join('');
        const sum = parts.reduce((total, { amount, unit }) => total + amount * units[unit], 0);
        expect(parseDuration(text)).toEqual({ ok: true, value: sum });
      }),
    );
  });

  it('gives a whole number of milliseconds or a reason, whatever it reads', () => {
    const likely = fc.string({ unit: fc.constantFrom(...'0 1 5 9 . - m s d h ms'.split(' '), ' '), maxLength: 24 });
    fc.assert(
      fc.property(fc.oneof(likely, fc.string()), (text) => {
        const parsed = parseDuration(text);
        if (parsed.ok) expect(Number.isSafeInteger(parsed.value) && parsed.value >= 0).toBe(true);
        else expect(parsed.error).not.toBe('');
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [0.25, '0.3 ms'],
    [950, '950 ms'],
    [999.7, '1 s'],
    [4_200, '4.2 s'],
    [59_949, '59.9 s'],
    [59_960, '1 m 0 s'],
    [185_000, '3 m 5 s'],
    [7_800_000, '2 h 10 m'],
    [3_599_700, '1 h 0 m'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
