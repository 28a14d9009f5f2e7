import { expect, it } from 'vitest';
import { rankOf } from './rank.js';

const BROKERS = ['a', 'b', 'c', 'd', 'e'];
const SLOTS = Array.from({ length: 1_000 }, (_, i) => `slot-${String(i)}`);

function firstOf(slot: string, brokers: readonly string[]): string | undefined {
  return brokers.find((broker) => rankOf(slot, broker, brokers) === 0);
}

it('gives each broker another place, whatever the order in which they are listed', () => {
  for (const slot of SLOTS) {
    const ranks = BROKERS.map((broker) => rankOf(slot, broker, BROKERS.toReversed()));
    expect(ranks.toSorted()).toEqual([0, 1, 2, 3, 4]);
    expect(ranks).toEqual(BROKERS.map((broker) => rankOf(slot, broker, BROKERS)));
  }
});

it('does not count a broker that it does not see yet itself', () => {
  expect(rankOf('slot', 'a', [])).toBe(0);
});

it('moves only the slots of a broker that goes, and spreads them', () => {
  const left = BROKERS.filter((broker) => broker !== 'c');
  const moved = SLOTS.filter((slot) => firstOf(slot, BROKERS) === 'c');
  for (const slot of SLOTS) if (!moved.includes(slot)) expect(firstOf(slot, left)).toBe(firstOf(slot, BROKERS));
  expect(new Set(moved.map((slot) => firstOf(slot, left)))).toEqual(new Set(left));
});

it('gives each broker its share', () => {
  for (const broker of BROKERS) {
    const share = SLOTS.filter((slot) => firstOf(slot, BROKERS) === broker).length;
    expect(share).toBeGreaterThan(150);
    expect(share).toBeLessThan(250);
  }
});
