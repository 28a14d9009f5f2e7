import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseObservedLimit } from './observed-limit.js';

const WALL_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const DATE = 'Thu, 01 Jan 2026 00:00:00 GMT';

type Case = [what: string, headers: Record<string, string>, remaining: number | undefined, resetMs?: number];

function read(headers: Record<string, string>) {
  return parseObservedLimit(new Headers(headers), WALL_MS);
}

describe('parseObservedLimit', () => {
  it.each<Case>([
    ['RateLimit-*', { 'ratelimit-limit': '100', 'ratelimit-remaining': '50', 'ratelimit-reset': '30' }, 50, 30_000],
    ['no limit', { 'ratelimit-remaining': '0', 'ratelimit-reset': '7' }, 0, 7_000],
    [
      'a limit with a policy',
      { 'ratelimit-limit': '10, 10;w=1', 'ratelimit-remaining': '3', 'ratelimit-reset': '1' },
      3,
      1_000,
    ],
    [
      'more left than the limit allows',
      { 'ratelimit-limit': '10', 'ratelimit-remaining': '99', 'ratelimit-reset': '1' },
      10,
      1_000,
    ],
    ['a structured field', { ratelimit: '"default";r=50;t=30' }, 50, 30_000],
    ['one with other parameters', { ratelimit: '"default"; r=50; pk=:YQ==:; t=30' }, 50, 30_000],
    ['a token for the name', { ratelimit: 'default;r=50;t=30' }, 50, 30_000],
    ['several policies: the tightest', { ratelimit: '"minute";r=50;t=30, "day";r=4;t=3600' }, 4, 3_600_000],
    ['equal ones: the later reset', { ratelimit: '"a";r=4;t=30, "b";r=4;t=60' }, 4, 60_000],
    ['a name that looks like fields', { ratelimit: '"a,b;r=0;t=9";r=50;t=30' }, 50, 30_000],
    ['a name with a quote in it', { ratelimit: String.raw`"a\";r=0;t=9";r=50;t=30` }, 50, 30_000],
    ['a dictionary', { ratelimit: 'limit=100, remaining=50, reset=5' }, 50, 5_000],
    ['X-RateLimit-*', { 'x-ratelimit-remaining': '50', 'x-ratelimit-reset': '30' }, 50, 30_000],
    ['X-Rate-Limit-*', { 'x-rate-limit-remaining': '50', 'x-rate-limit-reset': '30' }, 50, 30_000],
    ['a fraction of a second', { 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': '0.25' }, 5, 250],
    [
      'several families: the tightest',
      { 'x-ratelimit-remaining': '50', 'x-ratelimit-reset': '30', 'ratelimit-remaining': '9', 'ratelimit-reset': '60' },
      9,
      60_000,
    ],
    ['blanks', { 'ratelimit-remaining': ' 50 ', 'ratelimit-reset': ' 30 ' }, 50, 30_000],
  ])('reads %s', (_, headers, remaining, resetMs) => {
    expect(read(headers)).toEqual({ remaining, resetMs });
  });

  const nowSeconds = WALL_MS / 1_000;
  it.each<[string, string, Record<string, string>, number]>([
    ['seconds from now', '999999', {}, DAY_MS],
    ['seconds since 1970', String(nowSeconds + 60), {}, 60_000],
    ['seconds since 1970, with a fraction', `${String(nowSeconds + 60)}.5`, {}, 60_500],
    ['milliseconds since 1970', String(WALL_MS + 1_500), {}, 1_500],
    ['a moment, by the clock of the reply', String(nowSeconds + 60), { date: 'Thu, 01 Jan 2026 00:00:20 GMT' }, 40_000],
    ['a moment, beside a clock that cannot be read', String(nowSeconds + 60), { date: 'today' }, 60_000],
    ['a moment of the past', String(nowSeconds - 60), { date: DATE }, 0],
    ['a month', '2592000', {}, DAY_MS],
    ['a moment in a month', String(nowSeconds + 2_592_000), {}, DAY_MS],
  ])('reads a reset in %s', (_, reset, more, resetMs) => {
    expect(read({ 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': reset, ...more })).toEqual({
      remaining: 1,
      resetMs,
    });
  });

  it.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['no reset', { 'ratelimit-remaining': '5' }],
    ['no remaining calls', { 'ratelimit-reset': '5', 'ratelimit-limit': '10' }],
    ['a negative number of calls', { 'ratelimit-remaining': '-1', 'ratelimit-reset': '5' }],
    ['a fraction of a call', { 'ratelimit-remaining': '1.5', 'ratelimit-reset': '5' }],
    ['a negative reset', { 'ratelimit-remaining': '1', 'ratelimit-reset': '-5' }],
    ['a word', { 'x-ratelimit-remaining': 'many', 'x-ratelimit-reset': 'soon' }],
    ['a date', { 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': DATE }],
    ['microseconds since 1970', { 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '1767225600000000' }],
    ['two values', { 'x-ratelimit-remaining': '1, 2', 'x-ratelimit-reset': '5' }],
    ['a number beyond all bounds', { 'ratelimit-remaining': '9'.repeat(400), 'ratelimit-reset': '5' }],
    ['no number', { 'ratelimit-remaining': '', 'ratelimit-reset': '' }],
    ['hexadecimal digits', { 'ratelimit-remaining': '0x10', 'ratelimit-reset': '5' }],
    ['half a policy', { ratelimit: '"default";r=50' }],
    ['a quote without end', { ratelimit: '"default;r=50;t=30' }],
    ['a field without end', { ratelimit: `"a";r=1;t=1${', "a";r=1;t=1'.repeat(1_000)}` }],
  ])('ignores %s', (_, headers) => {
    expect(read(headers)).toBeUndefined();
  });

  it('reads numbers within bounds, or nothing, whatever it is given', () => {
    const field = fc.oneof(
      fc.string({ unit: 'grapheme-ascii' }),
      fc.integer().map(String),
      fc.double().map(String),
      fc.constantFrom('limit=1, remaining=2, reset=3', '"a";r=1;t=2', '"a";r=1;t=2, b;r=0;t=9e9'),
    );
    let read = 0;
    fc.assert(
      fc.property(field, field, field, field, (ratelimit, remaining, reset, date) => {
        const headers = new Headers({
          ratelimit,
          'x-ratelimit-remaining': remaining,
          'x-ratelimit-reset': reset,
          date,
        });
        const limit = parseObservedLimit(headers, WALL_MS);
        if (limit === undefined) return;
        read += 1;
        expect(Number.isSafeInteger(limit.remaining) && limit.remaining >= 0).toBe(true);
        expect(Number.isSafeInteger(limit.resetMs) && limit.resetMs >= 0 && limit.resetMs <= DAY_MS).toBe(true);
      }),
      { numRuns: 1_000 },
    );
    expect(read).toBeGreaterThan(10);
  });
});
