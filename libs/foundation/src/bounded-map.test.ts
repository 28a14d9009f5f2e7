import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BoundedMap, type Bounds } from './bounded-map.js';

const lengthOf = (value: string): number => value.length;

function keysOf(map: BoundedMap<string>): string[] {
  return [...map.entries()].map(([key]) => key);
}

describe('BoundedMap', () => {
  it('forgets the least recently used entry first, and says which', () => {
    const evicted: [string, string][] = [];
    const map = new BoundedMap<string>({ maxEntries: 2, maxBytes: 100 }, lengthOf, (...entry) => evicted.push(entry));
    map.set('a', '1');
    map.set('b', '2');
    expect(map.get('a')).toBe('1');
    map.set('c', '3');
    expect(evicted).toEqual([['b', '2']]);
    expect(keysOf(map)).toEqual(['a', 'c']);
  });

  it('does not count a look as a use', () => {
    const map = new BoundedMap<string>({ maxEntries: 2, maxBytes: 100 }, lengthOf);
    map.set('a', '1');
    map.set('b', '2');
    expect(map.peek('a')).toBe('1');
    map.set('c', '3');
    expect(keysOf(map)).toEqual(['b', 'c']);
  });

  it('makes room in bytes, with as many evictions as it takes', () => {
    const map = new BoundedMap<string>({ maxEntries: 100, maxBytes: 10 }, lengthOf);
    map.set('a', 'xxxx');
    map.set('b', 'xxxx');
    map.set('c', 'xxxxxxxxx');
    expect(keysOf(map)).toEqual(['c']);
    expect(map.bytes).toBe(9);
  });

  it('keeps no value that is larger than all it may hold, nor an old value of that key', () => {
    const evicted: string[] = [];
    const map = new BoundedMap<string>({ maxEntries: 100, maxBytes: 3 }, lengthOf, (key) => evicted.push(key));
    map.set('a', 'x');
    map.set('a', 'xxxx');
    expect(map.peek('a')).toBeUndefined();
    expect(map.bytes).toBe(0);
    expect(evicted).toEqual(['a']);
  });

  it('keeps nothing where no entry is allowed', () => {
    const map = new BoundedMap<string>({ maxEntries: 0, maxBytes: 100 }, lengthOf);
    map.set('a', 'x');
    expect(map.size).toBe(0);
  });

  it('asks for the size of a value once, when it is set', () => {
    let asked = 0;
    const map = new BoundedMap<string>({ maxEntries: 2, maxBytes: 100 }, (value) => {
      asked += 1;
      return value.length;
    });
    map.set('a', 'xx');
    map.get('a');
    map.delete('a');
    expect(asked).toBe(1);
    expect(map.bytes).toBe(0);
  });

  it('bears deletions while it is iterated', () => {
    const map = new BoundedMap<string>({ maxEntries: 9, maxBytes: 100 }, lengthOf);
    for (const key of ['a', 'b', 'c', 'd']) map.set(key, key);
    for (const [key] of map.entries()) if (key !== 'c') map.delete(key);
    expect(keysOf(map)).toEqual(['c']);
    expect(map.bytes).toBe(1);
  });

  it('is empty after it was cleared', () => {
    const map = new BoundedMap<string>({ maxEntries: 9, maxBytes: 100 }, lengthOf);
    map.set('a', 'xxx');
    map.clear();
    expect([map.size, map.bytes, map.peek('a')]).toEqual([0, 0, undefined]);
  });

  it('agrees with a list that is searched, whatever is done to it, and never exceeds its bounds', () => {
    fc.assert(
      fc.property(boundsOf, fc.array(operation, { maxLength: 60 }), (bounds, operations) => {
        const evicted: string[] = [];
        const map = new BoundedMap<string>(bounds, lengthOf, (key) => evicted.push(key));
        const model = new NaiveMap(bounds);
        for (const { kind, key, value } of operations) {
          if (kind === 'set') {
            map.set(key, value);
            model.set(key, value);
          } else expect(map[kind](key)).toBe(model[kind](key));
          expect([...map.entries()]).toEqual(model.entries);
          expect(map.size).toBeLessThanOrEqual(bounds.maxEntries);
          expect(map.bytes).toBeLessThanOrEqual(bounds.maxBytes);
          expect(map.bytes).toBe(model.bytes);
          expect(map.size).toBe(model.entries.length);
        }
        expect(evicted).toEqual(model.evicted);
      }),
      { numRuns: 500 },
    );
  });
});

const boundsOf = fc.record({ maxEntries: fc.integer({ min: 0, max: 5 }), maxBytes: fc.integer({ min: 0, max: 12 }) });
const operation = fc.record({
  kind: fc.constantFrom('set' as const, 'set' as const, 'get' as const, 'peek' as const, 'delete' as const),
  key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', '__proto__'),
  value: fc.string({ maxLength: 6 }),
});

/** The same words in the plainest way: a list from the least to the most recently used. */
class NaiveMap {
  entries: [string, string][] = [];
  readonly evicted: string[] = [];
  readonly #bounds: Bounds;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get bytes(): number {
    return this.entries.reduce((sum, [, value]) => sum + value.length, 0);
  }

  peek(key: string): string | undefined {
    return this.entries.find(([name]) => name === key)?.[1];
  }

  get(key: string): string | undefined {
    const value = this.delete(key);
    if (value !== undefined) this.entries.push([key, value]);
    return value;
  }

  set(key: string, value: string): void {
    this.delete(key);
    if (value.length > this.#bounds.maxBytes || this.#bounds.maxEntries === 0) {
      this.evicted.push(key);
      return;
    }
    this.entries.push([key, value]);
    while (this.entries.length > this.#bounds.maxEntries || this.bytes > this.#bounds.maxBytes) {
      const oldest = this.entries.shift();
      if (oldest !== undefined) this.evicted.push(oldest[0]);
    }
  }

  delete(key: string): string | undefined {
    const value = this.peek(key);
    this.entries = this.entries.filter(([name]) => name !== key);
    return value;
  }
}
