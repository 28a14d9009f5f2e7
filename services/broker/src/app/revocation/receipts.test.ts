import { encode, LIMITS } from '@token-broker/protocol';
import { expect, it } from 'vitest';
import { confirmedByAll, receiptsOf } from './receipts.js';

const names = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${'c'.repeat(64)}/${String(i).padStart(64, 'i')}`);

it('tells of ten thousand near caches in one message: counts and percentiles of all, and the names of some', () => {
  const expected = names(10_000);
  const confirmed = new Map(expected.slice(0, 8_000).map((who, i) => [who, i + 1]));
  const receipts = receiptsOf(expected, confirmed, 60_000);
  expect(receipts).toMatchObject({
    expected: 10_000,
    counts: { confirmed: 8_000, stragglers: 2_000 },
    afterMs: { p50: 4_000, p99: 7_920, max: 8_000 },
    maxStalenessMs: 60_000,
  });
  expect(receipts.stragglers).toHaveLength(1_000);
  // Of those that have confirmed, the slowest are named.
  expect(receipts.confirmed.map(({ afterMs }) => afterMs)).toEqual(Array.from({ length: 200 }, (_, i) => 8_000 - i));
  expect(encode(receipts).length).toBeLessThan(LIMITS.replyBytes / 2);
});

it('has no percentiles where nobody has confirmed', () => {
  expect(receiptsOf(['a/b'], new Map(), 1_000)).toEqual({
    expected: 1,
    confirmed: [],
    stragglers: [{ caller: 'a', instance: 'b' }],
    counts: { confirmed: 0, stragglers: 1 },
    maxStalenessMs: 1_000,
  });
});

it('counts a near cache as confirmed by its slowest receipt, once it has confirmed every message', () => {
  const collectors = [
    {
      confirmed: new Map([
        ['a', 1],
        ['b', 2],
      ]),
    },
    {
      confirmed: new Map([
        ['b', 1],
        ['a', 5],
        ['c', 1],
      ]),
    },
    { confirmed: new Map([['a', 3]]) },
  ];
  expect([...confirmedByAll(collectors)]).toEqual([['a', 5]]);
  expect([...confirmedByAll(collectors.slice(0, 2))]).toEqual([
    ['a', 5],
    ['b', 2],
  ]);
  expect(confirmedByAll([]).size).toBe(0);
});
