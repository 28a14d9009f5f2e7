import { createAesGcm } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyChanges } from './invalidations.js';
import { NearCache } from './near-cache.js';
import type { Positions } from './partitions.js';
import { takeReply } from './replies.js';

const PARTITIONS = 3;
const slotOf = (partition: number): string => `slot-of-partition-${String(partition)}-xx`;

function createCache(clock: VirtualClock): NearCache {
  const random = new SeededRandom(3);
  const ignored = (): undefined => undefined;
  const effects = { evicted: ignored, revoked: ignored, refreshed: ignored, renamed: ignored, doubted: ignored };
  return new NearCache({ clock, random, aead: createAesGcm(random), maxEntries: 10, maxBytes: 100_000, effects });
}

/** What a heartbeat means: every partition hears of it, there and then. */
function hearEach(cache: NearCache, { epochs, vseqs }: Positions, atMs: number, nowMs: number): void {
  for (let index = 0; index < epochs.length; index++) {
    const partition = cache.partition(index);
    const vseq = vseqs[index] ?? 0;
    if (cache.hear(partition, epochs[index] ?? 0, vseq, nowMs) !== 'older') partition.verify(vseq, atMs, cache.timing);
  }
}

function take(
  cache: NearCache,
  partition: number,
  generation: number,
  asOf: number,
  epoch: number,
  nowMs: number,
): void {
  const state = cache.attach('payments', slotOf(partition), {});
  const reply = {
    ...({ v: 1, slot: state.slot, partition, epoch, generation, asOf, expiresInMs: 3_600_000 } as const),
    ...{ lifeMs: 3_600_000, atMs: 0, heldMs: 0, verified: true, accessToken: 'token', tokenType: 'Bearer' },
  };
  takeReply(cache, state, reply, nowMs, nowMs);
}

function stateOf(cache: NearCache, nowMs: number): unknown {
  return {
    isSuspect: cache.isSuspect(nowMs),
    partitions: [...cache.partitions()].map(({ epoch, seen, heard, trustedUntilMs, heldCount, unconfirmed }) => ({
      ...{ epoch, seen, heard, trustedUntilMs, heldCount, unconfirmed: unconfirmed.size },
    })),
  };
}

const index = fc.integer({ min: 0, max: PARTITIONS - 1 });
const step = fc.record({
  what: fc.constantFrom('heartbeat', 'heartbeat', 'heartbeat', 'moved', 'reply', 'invalidation', 'epoch', 'drop'),
  partition: index,
  passedMs: fc.integer({ min: 0, max: 2_000 }),
  ageMs: fc.integer({ min: 0, max: 500 }),
  /** What brokers say of a partition may be behind what another one has said. */
  lag: fc.constantFrom(0, 0, 0, 1),
});

describe('a heartbeat', () => {
  it('means the same as if each partition heard of it at once, though most of them do not look', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const clock = new VirtualClock();
        const [cache, model] = [createCache(clock), createCache(clock)];
        const epochs = Array.from({ length: PARTITIONS }, () => 1);
        const vseqs = Array.from({ length: PARTITIONS }, () => 0);
        let nowMs = 0;
        let generation = 1;
        for (const { what, partition, passedMs, ageMs, lag } of steps) {
          nowMs += passedMs;
          generation++;
          const vseq = vseqs[partition] ?? 0;
          if (what === 'epoch') epochs[partition] = (epochs[partition] ?? 0) + 1;
          if (what === 'moved' || what === 'invalidation') vseqs[partition] = vseq + 1;
          const said = {
            epochs: [...epochs],
            vseqs: vseqs.map((each, number) => (number === partition ? Math.max(0, each - lag) : each)),
          };
          const epoch = epochs[partition] ?? 0;
          const change = { partition, epoch, vseq: vseq + 1, floor: generation - 1 };
          for (const each of [cache, model]) {
            if (what === 'reply') take(each, partition, generation, vseq, epoch, nowMs);
            else if (what === 'invalidation') applyChanges(each, [change], nowMs);
            else if (what === 'drop') each.drop(each.attach('payments', slotOf(partition), {}), nowMs);
          }
          if (what === 'heartbeat' || what === 'epoch') {
            cache.hearAll(said, nowMs - ageMs, nowMs);
            hearEach(model, said, nowMs - ageMs, nowMs);
          }
          // Of those that hold nothing, only what is asked for by name has to be up to date.
          for (let number = 0; number < PARTITIONS; number++) for (const each of [cache, model]) each.partition(number);
          expect(stateOf(cache, nowMs)).toEqual(stateOf(model, nowMs));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('that says nothing new leaves partitions alone that hold nothing, until they are asked for', () => {
    const clock = new VirtualClock();
    const cache = createCache(clock);
    const said = { epochs: [1, 1], vseqs: [4, 5] };
    cache.hearAll(said, 0, 0);
    take(cache, 0, 1, 4, 1, 0);
    const [holding, idle] = [...cache.partitions()];
    cache.hearAll({ epochs: [...said.epochs], vseqs: [...said.vseqs] }, 900, 1_000);
    expect([holding?.trustedUntilMs, idle?.trustedUntilMs]).toEqual([60_900, 60_000]);
    expect(cache.partition(1).trustedUntilMs).toBe(60_900);
  });
});
