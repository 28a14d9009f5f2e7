import { describe, expect, it } from 'vitest';
import { Floors } from './floors.js';

describe('floors', () => {
  it('hold for a slot, for a source, or for everything, and the greatest counts', () => {
    const floors = new Floors();
    expect(floors.of('a', 's1')).toBe(0);
    floors.raise({ slot: 's1', floor: 5 }, 0);
    floors.raise({ sources: ['b', 'c'], floor: 7 }, 0);
    expect([floors.of('a', 's1'), floors.of('a', 's2'), floors.of('b', 's2'), floors.of('c', 's1')]).toEqual([
      5, 0, 7, 7,
    ]);
    floors.raise({ floor: 6 }, 0);
    expect([floors.of('a', 's1'), floors.of('b', 's2')]).toEqual([6, 7]);
  });

  it('are never lowered', () => {
    const floors = new Floors();
    floors.raise({ slot: 's1', floor: 9 }, 0);
    floors.raise({ slot: 's1', floor: 4 }, 0);
    floors.raise({ floor: 8 }, 0);
    floors.raise({ floor: 3 }, 0);
    expect([floors.of('a', 's1'), floors.of('a', 's2')]).toEqual([9, 8]);
  });

  it('are bounded in number and in time', () => {
    const floors = new Floors();
    for (let index = 0; index < 2_000; index++) floors.raise({ slot: `s${String(index)}`, floor: 5 }, 0);
    expect(floors.of('a', 's0')).toBe(0);
    expect(floors.of('a', 's1999')).toBe(5);
    floors.raise({ slot: 'later', floor: 6 }, 3_600_001);
    expect(floors.of('a', 's1999')).toBe(0);
    expect(floors.of('a', 'later')).toBe(6);
  });
});
