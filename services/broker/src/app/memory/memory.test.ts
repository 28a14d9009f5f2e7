import { partitionOf } from '@token-broker/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Held } from '../tokens/held.js';
import { Memory, type MemoryListener } from './memory.js';
import type { InvalidationTarget, LogEntry } from '../ports/store.js';

const SLOTS = ['AAAAAAAAAAAAAAAAAAAAAA', 'AAAAAAAAAAAAAAAAAAAAAE', 'BBBBBBBBBBBBBBBBBBBBBA'] as const;
const SOURCES = ['s1', 's2', 's1'] as const;
const IGNORE: MemoryListener = {
  onApplied: () => undefined,
  onInvalidated: () => undefined,
  onHeld: () => undefined,
  onBehind: () => undefined,
};
const UNBOUNDED = { maxEntries: 1_000, maxBytes: 1e9 };

function heldOf(slot: string, generation: number, vseq: number, epoch = 1): Held {
  const source = SOURCES[SLOTS.findIndex((name) => name === slot)] ?? 's1';
  return new Held(
    {
      address: { slot, partition: partitionOf(slot, 1), source, provider: 'oauth2', recipe: 'r' },
      parameters: {},
      token: { accessToken: 't', tokenType: 'Bearer' },
      generation,
      expiresAtMs: 1e6,
      lifeMs: 1e6,
      asOf: { epoch, vseq, redisMs: 0, sentAtMs: 0 },
    },
    { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs: 5_000 },
    0,
  );
}

/** A history as Redis would have made it: what was invalidated when, with the generations claimed between. */
interface Step {
  readonly target: InvalidationTarget;
  readonly claims: number;
}

const target: fc.Arbitrary<InvalidationTarget> = fc.oneof(
  fc.constantFrom(...SLOTS).map((slot) => ({ kind: 'slot' as const, slot })),
  fc.constantFrom('s1', 's2').map((source) => ({ kind: 'source' as const, source })),
  fc.constant({ kind: 'provider' as const, provider: 'oauth2' }),
  fc.constant({ kind: 'all' as const }),
);
const history: fc.Arbitrary<Step[]> = fc.array(fc.record({ target, claims: fc.nat(3) }), {
  minLength: 1,
  maxLength: 12,
});

type Event =
  | { readonly kind: 'apply'; readonly at: number }
  | { readonly kind: 'put'; readonly slot: (typeof SLOTS)[number]; readonly at: number };
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant('apply' as const), at: fc.nat(11) }),
  fc.record({ kind: fc.constant('put' as const), slot: fc.constantFrom(...SLOTS), at: fc.nat(12) }),
);

function hits(of: InvalidationTarget, slot: string): boolean {
  if (of.kind === 'slot') return of.slot === slot;
  return of.kind !== 'source' || of.source === SOURCES[SLOTS.findIndex((name) => name === slot)];
}

describe('memory', () => {
  it('holds nothing that an invalidation it has heard of forbids, in whatever order, twice, with gaps and late puts', () => {
    fc.assert(
      fc.property(history, fc.array(event, { maxLength: 60 }), (steps, events) => {
        const memory = new Memory(1, UNBOUNDED, IGNORE);
        memory.beginEpoch(0, 1, 0);
        let generation = 100;
        const entries: LogEntry[] = [];
        /** The generation that a commit just before the entry of this index would have. */
        const committedBefore: number[] = [];
        for (const [index, { target: of, claims }] of steps.entries()) {
          generation += claims + 1;
          committedBefore.push(generation);
          generation += 1;
          entries.push({ vseq: index + 1, floor: generation, target: of });
        }
        committedBefore.push(generation + 1);

        const heard: LogEntry[] = [];
        for (const happened of events) {
          if (happened.kind === 'apply') {
            const entry = entries[happened.at % entries.length];
            if (entry === undefined) continue;
            memory.apply(0, 1, entry);
            heard.push(entry);
          } else {
            // An answer of the store as of that moment; it may come much later.
            const vseq = happened.at % committedBefore.length;
            const held = heldOf(happened.slot, committedBefore[vseq] ?? 0, vseq);
            if (memory.accepts(0, { epoch: 1, vseq, redisMs: 0, sentAtMs: 0 })) memory.put(held);
          }
          for (const slot of SLOTS) {
            const held = memory.peek(slot);
            if (held === undefined) continue;
            expect(held.dead).toBe(false);
            const floor = Math.max(0, ...heard.filter((entry) => hits(entry.target, slot)).map((entry) => entry.floor));
            expect(held.generation).toBeGreaterThan(floor);
          }
        }
        // Nothing but the order decides how far it says that it has read.
        const inOrder = entries.findIndex(({ vseq }) => !heard.some((entry) => entry.vseq === vseq));
        expect(memory.view(0).applied).toBeLessThanOrEqual(inOrder === -1 ? entries.length : inOrder);
      }),
      { numRuns: 500 },
    );
  });

  it('reads on from where it stands when entries come in order, and says when one is missing', () => {
    let behind = 0;
    const memory = new Memory(1, UNBOUNDED, { ...IGNORE, onBehind: () => behind++ });
    memory.beginEpoch(0, 1, 0);
    behind = 0;
    const entry = (vseq: number): LogEntry => ({ vseq, floor: vseq, target: { kind: 'all' } });
    memory.apply(0, 1, entry(1));
    expect([memory.view(0).applied, behind]).toEqual([1, 0]);
    memory.apply(0, 1, entry(3));
    expect([memory.view(0).applied, memory.view(0).heard, behind]).toEqual([1, 3, 1]);
    expect(memory.accepts(0, { epoch: 1, vseq: 2, redisMs: 0, sentAtMs: 0 })).toBe(false);
    memory.apply(0, 1, entry(2));
    memory.apply(0, 1, entry(3));
    expect(memory.view(0).applied).toBe(3);
    expect(
      memory
        .view(0)
        .since(1, 1)
        ?.map(({ vseq }) => vseq),
    ).toEqual([2, 3]);
    expect(memory.view(0).since(1, 4)).toBeUndefined();
    expect(memory.view(0).since(2, 1)).toBeUndefined();
  });

  it('drops everything at a new epoch, its lease too, and takes nothing of the old one', () => {
    const memory = new Memory(1, UNBOUNDED, IGNORE);
    memory.beginEpoch(0, 1, 0);
    memory.view(0).leasedAtMs = 0;
    const held = memory.put(heldOf(SLOTS[0], 5, 0));
    memory.apply(0, 2, { vseq: 1, floor: 0, target: { kind: 'all' } });
    expect([memory.size, held.dead, memory.stillCounts(held)]).toEqual([0, true, false]);
    expect(memory.view(0).hasLease(0, 3_000)).toBe(false);
    expect(memory.accepts(0, { epoch: 1, vseq: 9, redisMs: 0, sentAtMs: 0 })).toBe(false);
    memory.apply(0, 1, { vseq: 9, floor: 9, target: { kind: 'all' } });
    expect(memory.view(0)).toMatchObject({ epoch: 2, applied: 1 });
  });

  it('keeps the greater generation of two', () => {
    const memory = new Memory(1, UNBOUNDED, IGNORE);
    memory.beginEpoch(0, 1, 0);
    const newer = memory.put(heldOf(SLOTS[0], 5, 0));
    expect(memory.put(heldOf(SLOTS[0], 4, 0))).toBe(newer);
    expect(memory.peek(SLOTS[0])).toBe(newer);
  });

  it('keeps what is used all the time, and what was used last, where there is no room for all', () => {
    const memory = new Memory(1, { maxEntries: 2, maxBytes: 1e9 }, IGNORE);
    memory.beginEpoch(0, 1, 0);
    const [hot, cold, other] = SLOTS;
    memory.put(heldOf(hot, 5, 0));
    memory.put(heldOf(cold, 5, 0));
    for (let nowMs = 0; nowMs < 5_000; nowMs += 100) memory.use(hot, nowMs);
    memory.put(heldOf(other, 5, 0));
    expect([hot, cold, other].map((slot) => memory.peek(slot) !== undefined)).toEqual([true, false, true]);
    memory.use(other, 5_000);
    memory.use(hot, 5_500);
    memory.put(heldOf(cold, 6, 0));
    expect([hot, cold, other].map((slot) => memory.peek(slot) !== undefined)).toEqual([true, true, false]);
  });

  it('lets a token that it has no room for be handed out only while nothing was invalidated since', () => {
    const memory = new Memory(1, { maxEntries: 0, maxBytes: 0 }, IGNORE);
    memory.beginEpoch(0, 1, 0);
    const held = memory.put(heldOf(SLOTS[0], 5, 0));
    expect(memory.stillCounts(held)).toBe(true);
    memory.apply(0, 1, { vseq: 1, floor: 9, target: { kind: 'slot', slot: SLOTS[0] } });
    expect(memory.stillCounts(held)).toBe(false);
  });

  it('ends very many tokens with one invalidation, and gives their room back a part at a time', () => {
    const many = 12_000;
    const bounds = { maxEntries: many, maxBytes: 1e9 };
    const memory = new Memory(1, bounds, IGNORE);
    memory.beginEpoch(0, 1, 0);
    const slots = Array.from({ length: many }, (_, index) => `slot-${String(index)}`);
    const held = slots.map((slot, index) => memory.put(heldOf(slot, index + 1, 0)));
    memory.apply(0, 1, { vseq: 1, floor: many - 10, target: { kind: 'source', source: 's1' } });
    expect(held.filter(({ dead }) => !dead)).toHaveLength(10);
    expect(held.filter((each) => memory.stillCounts(each))).toHaveLength(10);
    expect([...memory.entries()]).toHaveLength(10);
    expect(slots.filter((slot) => memory.use(slot, 0) !== undefined)).toHaveLength(10);

    const others = new Memory(1, bounds, IGNORE);
    others.beginEpoch(0, 1, 0);
    for (const [index, slot] of slots.entries()) others.put(heldOf(slot, index + 1, 0));
    others.apply(0, 2, { vseq: 1, floor: 0, target: { kind: 'all' } });
    const sizes = [others.size];
    while (others.size > 0) {
      others.reclaim({ elapsedMs: () => 0 });
      sizes.push(others.size);
    }
    expect(sizes).toEqual([12_000, 7_000, 2_000, 0]);
    expect(others.bytes).toBe(0);
  });

  it('takes a token that an answer of after the invalidation says is good, although its floor would end it', () => {
    const memory = new Memory(1, UNBOUNDED, IGNORE);
    memory.beginEpoch(0, 1, 0);
    // Of several sources, which a broker reads as all of them.
    memory.apply(0, 1, { vseq: 1, floor: 100, target: { kind: 'all' } });
    expect(memory.accepts(0, { epoch: 1, vseq: 1, redisMs: 0, sentAtMs: 0 })).toBe(true);
    const good = memory.put(heldOf(SLOTS[0], 50, 1));
    expect([good.dead, memory.peek(SLOTS[0])]).toEqual([false, good]);
    memory.apply(0, 1, { vseq: 2, floor: 60, target: { kind: 'provider', provider: 'oauth2' } });
    expect([good.dead, memory.peek(SLOTS[0])]).toEqual([true, undefined]);
  });

  it('gives back what is of no use any more', () => {
    const memory = new Memory(1, UNBOUNDED, IGNORE);
    memory.beginEpoch(0, 1, 0);
    memory.put(heldOf(SLOTS[0], 5, 0));
    memory.reclaim({ elapsedMs: () => 1e6 - 5_001 });
    expect(memory.size).toBe(1);
    memory.reclaim({ elapsedMs: () => 1e6 - 5_000 });
    expect([memory.size, memory.bytes]).toEqual([0, 0]);
  });

  it('leaves the rest of a sweep for the next time where this one takes too long', () => {
    const memory = new Memory(1, { maxEntries: 5_000, maxBytes: 1e9 }, IGNORE);
    memory.beginEpoch(0, 1, 0);
    for (let index = 0; index < 5_000; index++) memory.put(heldOf(`slot-${String(index)}`, 1, 0));
    let nowMs = 1e6;
    // Each look at the clock is a millisecond later.
    memory.reclaim({ elapsedMs: () => nowMs++ });
    expect(memory.size).toBe(4_000);
    while (memory.size > 0) memory.reclaim({ elapsedMs: () => nowMs++ });
    expect(memory.bytes).toBe(0);
  });

  it('drops what it holds of a source, also of very many, and takes what comes after', () => {
    const many = 12_000;
    const invalidated: boolean[] = [];
    const onInvalidated: MemoryListener['onInvalidated'] = (matches) =>
      void invalidated.push(matches(SLOTS[0], 's1'), matches(SLOTS[0], 's2'));
    for (const count of [10, many]) {
      const memory = new Memory(1, { maxEntries: many + 2, maxBytes: 1e9 }, { ...IGNORE, onInvalidated });
      memory.beginEpoch(0, 1, 0);
      const ended = Array.from({ length: count }, (_, index) => memory.put(heldOf(`slot-${String(index)}`, 9, 0)));
      const other = memory.put(heldOf(SLOTS[1], 9, 0));
      invalidated.length = 0;
      memory.dropSource('s1');
      expect(invalidated).toEqual([true, false]);
      expect(memory.size).toBe(count === many ? many + 1 : 1);
      expect(ended.filter(({ dead }) => !dead)).toEqual([]);
      const later = memory.put(heldOf('slot-0', 9, 0));
      expect([...memory.entries()].map(([, held]) => held)).toEqual([other, later]);
      expect(memory.stillCounts(later)).toBe(true);
      memory.dropSource('s1');
      expect([later.dead, other.dead]).toEqual([true, false]);
    }
  });

  it('remembers a bounded number of invalidations, and sends those who ask for more back to the store', () => {
    const memory = new Memory(1, UNBOUNDED, IGNORE);
    memory.beginEpoch(0, 1, 0);
    for (let vseq = 1; vseq <= 10_000; vseq++) memory.apply(0, 1, { vseq, floor: vseq, target: { kind: 'all' } });
    expect(memory.view(0).since(1, 1)).toBeUndefined();
    expect(memory.view(0).since(1, 9_990)?.length).toBe(10);
  });
});
