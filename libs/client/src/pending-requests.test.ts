import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PendingRequests } from './pending-requests.js';

const step = fc.record({ what: fc.constantFrom('add', 'add', 'delete', 'reserve'), which: fc.nat({ max: 30 }) });

describe('pending requests', () => {
  it('are found by the tokens that they were given, and by no other, as in a map', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pending = new PendingRequests<number>();
        const model = new Map<string, number>();
        const given: string[] = [];
        for (const [number, { what, which }] of steps.entries()) {
          const token = given[which % Math.max(1, given.length)] ?? '0-0';
          if (what === 'delete') {
            pending.delete(token);
            model.delete(token);
          } else {
            const added = what === 'add' ? pending.add(number) : pending.reserve();
            expect(given).not.toContain(added);
            given.push(added);
            if (what === 'add') model.set(added, number);
          }
          expect(pending.size).toBe(model.size);
          for (const each of given) expect(pending.get(each)).toBe(model.get(each));
          expect(new Map(pending.entries())).toEqual(model);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('take the places of those that have gone', () => {
    const pending = new PendingRequests<string>();
    const kept = pending.add('kept');
    const places = new Set<string | undefined>();
    for (let request = 0; request < 100; request++) {
      const token = pending.add('short');
      places.add(token.split('-')[0]);
      pending.delete(token);
    }
    expect(places.size).toBe(1);
    expect(pending.entries()).toEqual([[kept, 'kept']]);
  });

  it('know nothing of tokens that were never given', () => {
    const pending = new PendingRequests<string>();
    pending.add('one');
    for (const token of ['', '0', '1-1', '-1-1', '0-1x', 'x0-1', '99999999999999999999-1', 'NaN'])
      expect(pending.get(token)).toBeUndefined();
  });
});
