import { createAesGcm } from '@token-broker/foundation';
import type { TokenReply } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { applyChanges } from './invalidations.js';
import { NearCache } from './near-cache.js';
import { settlePartition } from './positions.js';
import { takeReply } from './replies.js';
import type { SlotState } from './slot-state.js';

const SLOT = 'A'.repeat(22);

let cache: NearCache;
let state: SlotState;

beforeEach(() => {
  const random = new SeededRandom(3);
  cache = new NearCache({
    clock: new VirtualClock(),
    random,
    aead: createAesGcm(random),
    maxEntries: 10,
    maxBytes: 100_000,
    effects: {
      evicted: () => undefined,
      revoked: () => undefined,
      refreshed: () => undefined,
      renamed: () => undefined,
      doubted: () => undefined,
    },
  });
  state = cache.attach('payments', SLOT, {});
});

function reply(generation: number, asOf: number): TokenReply {
  return {
    v: 1,
    slot: SLOT,
    partition: 0,
    epoch: 1,
    generation,
    asOf,
    expiresInMs: 3_600_000,
    lifeMs: 3_600_000,
    atMs: 0,
    heldMs: 0,
    verified: true,
    accessToken: `token-${String(generation)}`,
    tokenType: 'Bearer',
  };
}

describe('a floor', () => {
  it('refuses a token at or below it, even from a broker that claims to have seen the revocation', () => {
    applyChanges(cache, [{ partition: 0, epoch: 1, vseq: 4, floor: 7, slot: SLOT }], 0);
    expect(takeReply(cache, state, reply(7, 4), 0, 0)).toEqual({ kind: 'refused', why: 'revoked' });
    expect(takeReply(cache, state, reply(8, 4), 0, 0)).toMatchObject({ kind: 'kept' });
  });
});

describe('the end of a verification', () => {
  it('drops what arrived while it was asked and is as of an earlier moment than its answer', () => {
    takeReply(cache, state, reply(8, 4), 0, 0);
    settlePartition(cache, cache.partition(0), { epoch: 1, vseq: 6, readAtMs: 0 }, 0);
    expect(state.entry).toBeUndefined();
    expect(cache.partition(0)).toMatchObject({ seen: 6, heard: 6 });
  });

  it('keeps what is as of that moment or later', () => {
    takeReply(cache, state, reply(8, 6), 0, 0);
    settlePartition(cache, cache.partition(0), { epoch: 1, vseq: 6, readAtMs: 0 }, 0);
    expect(state.entry?.generation).toBe(8);
  });

  it('decides nothing for an epoch that is not the one it was asked in', () => {
    takeReply(cache, state, reply(8, 4), 0, 0);
    settlePartition(cache, cache.partition(0), { epoch: 2, vseq: 6, readAtMs: 0 }, 0);
    expect(state.entry?.generation).toBe(8);
  });
});
