import { createAesGcm } from '@token-broker/foundation';
import type { Change } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createToken } from '../token.js';
import { isTrusted } from './entry.js';
import { applyChanges, rejectGeneration } from './invalidations.js';
import { NearCache } from './near-cache.js';
import { takeReply } from './replies.js';

const SOURCES = ['payments', 'ledger'];
const PARTITIONS = 2;
const SLOTS = 6;

/** A near cache, and what its listeners were told of each slot, in order. */
class Bed {
  readonly told = new Map<string, string[]>();
  readonly clock: VirtualClock;
  readonly cache: NearCache;

  constructor(sweptAtOnce: number, maxEntries = 100) {
    this.clock = new VirtualClock();
    const random = new SeededRandom(5);
    const ignored = (): undefined => undefined;
    this.cache = new NearCache({
      ...{ clock: this.clock, random, aead: createAesGcm(random), maxEntries, maxBytes: 1e9, sweptAtOnce },
      effects: {
        ...{ evicted: ignored, doubted: ignored, renamed: ignored },
        revoked: ({ slot }, { epoch, generation }, sweeping) => {
          this.#tell(slot, `revoked ${String(epoch)}.${String(generation)}${sweeping ? ' with all' : ''}`);
        },
        refreshed: ({ slot }, { epoch, generation }) => {
          this.#tell(slot, `refreshed ${String(epoch)}.${String(generation)}`);
        },
      },
    });
  }

  get nowMs(): number {
    return this.clock.elapsedMs();
  }

  take(number: number, epoch: number, generation: number, asOf: number): void {
    const { source, slot, partition } = addressOf(number);
    const state = this.cache.attach(source, slot, {});
    const reply = {
      ...({ v: 1, slot, partition, epoch, generation, asOf, expiresInMs: 3_600_000 } as const),
      ...{ lifeMs: 3_600_000, atMs: 0, heldMs: 0, verified: true, accessToken: 'token', tokenType: 'Bearer' },
    };
    takeReply(this.cache, state, reply, this.nowMs, this.nowMs);
  }

  apply(changes: readonly Change[]): void {
    applyChanges(this.cache, changes, this.nowMs);
  }

  /** The generation that a handle of the slot gives. */
  served(number: number): number | undefined {
    const entry = this.cache.find(addressOf(number).slot)?.entry;
    return entry !== undefined && isTrusted(entry, this.nowMs) ? entry.generation : undefined;
  }

  #tell(slot: string, what: string): void {
    this.told.set(slot, [...(this.told.get(slot) ?? []), what]);
  }
}

function addressOf(number: number): { source: string; slot: string; partition: number } {
  const source = SOURCES[number % SOURCES.length] ?? '';
  return { source, slot: `slot-${String(number)}`, partition: Math.floor(number / SOURCES.length) % PARTITIONS };
}

const revocationOf = (sources: string[] | undefined, vseq: number, floor: number): Change => ({
  ...{ partition: 0, epoch: 1, vseq, floor },
  ...(sources === undefined ? {} : { sources }),
});

describe('a revocation of a source with more slots than are looked at in one turn', () => {
  const MANY = 40;

  function filled(sweptAtOnce: number): Bed {
    const bed = new Bed(sweptAtOnce);
    for (let number = 0; number < MANY; number++) bed.take(number, 1, 1, 0);
    return bed;
  }

  const ofPayments = Array.from({ length: MANY }, (_, number) => number).filter(
    (number) => addressOf(number).source === 'payments' && addressOf(number).partition === 0,
  );

  it('ends all of their tokens at once, and tells listeners a part at a time', async () => {
    const bed = filled(4);
    bed.apply([revocationOf(['payments'], 1, 1)]);
    expect(ofPayments).toHaveLength(10);
    for (const number of ofPayments) expect(bed.served(number)).toBeUndefined();
    expect([bed.served(1), bed.served(2)]).toEqual([1, 1]);
    expect(bed.told.size).toBe(4);
    await bed.clock.advance(1);
    expect([...bed.told]).toEqual(ofPayments.map((number) => [addressOf(number).slot, ['revoked 1.1']]));
  });

  it('tells of a token before its successor takes its place, wherever the sweep stands', async () => {
    const bed = filled(1);
    bed.apply([revocationOf(['payments'], 1, 1)]);
    const last = ofPayments.at(-1) ?? 0;
    bed.take(last, 1, 2, 1);
    expect(bed.told.get(addressOf(last).slot)).toEqual(['revoked 1.1', 'refreshed 1.2']);
    await bed.clock.advance(100);
    expect(bed.told.get(addressOf(last).slot)).toHaveLength(2);
    expect(bed.served(last)).toBe(2);
  });

  it('is not forgotten when another epoch begins before the sweep has come to its end', async () => {
    const bed = filled(1);
    bed.apply([revocationOf(undefined, 1, 1)]);
    bed.cache.hear(bed.cache.partition(0), 2, 0, bed.nowMs);
    for (const number of ofPayments) expect(bed.served(number)).toBeUndefined();
    await bed.clock.advance(100);
    for (const number of ofPayments) expect(bed.told.get(addressOf(number).slot)).toEqual(['revoked 1.1 with all']);
    // And its numbers say nothing about those of the next one.
    bed.take(0, 2, 1, 0);
    expect(bed.served(0)).toBe(1);
  });

  it('ends a slot with all others where everything was revoked, whatever is revoked before the sweep comes by', async () => {
    const bed = filled(1);
    const last = ofPayments.at(-1) ?? 0;
    const slotBefore = ofPayments.at(-2) ?? 0;
    bed.take(last, 1, 3, 0);
    bed.apply([revocationOf(undefined, 1, 2)]);
    bed.apply([{ ...revocationOf(undefined, 2, 2), slot: addressOf(slotBefore).slot }]);
    bed.apply([revocationOf(['payments'], 3, 3)]);
    await bed.clock.advance(100);
    expect(bed.told.get(addressOf(slotBefore).slot)).toEqual(['revoked 1.1 with all']);
    expect(bed.told.get(addressOf(last).slot)?.at(-1)).toBe('revoked 1.3');
  });

  it('lets its timers go with the client', () => {
    const bed = filled(1);
    bed.apply([revocationOf(['payments'], 1, 1)]);
    expect(bed.clock.pendingTimers).toBe(1);
    bed.cache.clear();
    expect(bed.clock.pendingTimers).toBe(0);
  });
});

const step = fc.record({
  what: fc.constantFrom(
    ...['reply', 'reply', 'reply', 'source', 'source', 'all', 'slot', 'epoch', 'rejected', 'once', 'wait', 'forget'],
  ),
  number: fc.integer({ min: 0, max: SLOTS - 1 }),
  /** How far back the floor of a revocation is. */
  back: fc.integer({ min: 0, max: 3 }),
  passedMs: fc.integer({ min: 0, max: 2 }),
});

describe('a sweep of one slot at a time', () => {
  it('shows nobody anything else than one that is done at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 3, max: 10 }),
        async (steps, maxEntries) => {
          const beds = [new Bed(1, maxEntries), new Bed(Number.POSITIVE_INFINITY, maxEntries)] as const;
          const epochs = Array.from({ length: PARTITIONS }, () => 1);
          const vseqs = Array.from({ length: PARTITIONS }, () => 0);
          const generations = Array.from({ length: PARTITIONS }, () => 0);
          for (const { what, number, back, passedMs } of steps) {
            const { source, slot, partition } = addressOf(number);
            if (what === 'epoch') {
              epochs[partition] = (epochs[partition] ?? 0) + 1;
              vseqs[partition] = 0;
            }
            const isRevocation = what === 'source' || what === 'all' || what === 'slot';
            if (isRevocation) vseqs[partition] = (vseqs[partition] ?? 0) + 1;
            const last = (generations[partition] ?? 0) + (what === 'reply' || what === 'once' ? 1 : 0);
            generations[partition] = last;
            const [epoch, vseq] = [epochs[partition] ?? 0, vseqs[partition] ?? 0];
            const change = {
              ...{ partition, epoch, vseq, floor: Math.max(1, last - back) },
              ...(what === 'source' ? { sources: [source] } : {}),
              ...(what === 'slot' ? { slot } : {}),
            };
            for (const bed of beds) {
              const state = bed.cache.find(slot);
              if (what === 'reply') bed.take(number, epoch, last, vseq);
              else if (isRevocation) bed.apply([change]);
              else if (what === 'epoch') bed.cache.hear(bed.cache.partition(partition), epoch, vseq, bed.nowMs);
              else if (what === 'wait') await bed.clock.advance(passedMs);
              else if (state === undefined) continue;
              else if (what === 'rejected') rejectGeneration(bed.cache, state, { epoch, generation: last }, bed.nowMs);
              else if (what === 'once') {
                const content = { accessToken: 'x', tokenType: 'Bearer', scope: undefined, username: undefined };
                const token = { ...content, epoch, generation: last, verified: false, expiresAtMs: 1e9 };
                bed.cache.passOn(state, createToken(token, bed.clock), bed.nowMs);
              } else bed.cache.forget(state);
            }
            const served = beds.map((bed) => Array.from({ length: SLOTS }, (_, each) => bed.served(each)));
            expect(served[0]).toEqual(served[1]);
          }
          for (const bed of beds) await bed.clock.advance(100);
          // Where a source is revoked and then everything, before the sweep has come by, both are true of its tokens.
          const told = beds.map((bed) => JSON.stringify(Object.fromEntries(bed.told)).replaceAll(' with all', ''));
          expect(JSON.parse(told[0] ?? '')).toEqual(JSON.parse(told[1] ?? ''));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
