import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import { accessTokenOf } from './fakes/fake-broker.js';
import type { SourceHandle } from './handle.js';
import type { Token } from './token.js';

let clock: VirtualClock;
let bed: Bed;
let handle: SourceHandle;
let first: Token;

beforeEach(async () => {
  clock = new VirtualClock();
  bed = createBed(clock, new SeededRandom(13), { refetchOnRevoke: false });
  handle = bed.broker.source('payments');
  first = await bed.during(handle.get(), 2);
});

afterEach(async () => {
  await bed.close();
});

describe('a refreshed event with a push', () => {
  it('replaces the token without a request', async () => {
    const record = bed.server.issue('payments', bed.slot);
    bed.server.publishRefreshed(bed.server.refreshedEvent(bed.slot));
    await clock.advance(5);
    expect(handle.current?.accessToken).toBe(accessTokenOf(record));
    expect(bed.server.gets).toHaveLength(1);
    expect(bed.broker.stats().pushes).toBe(1);
    expect(bed.told).toEqual(['refreshed']);
  });

  it('has no effect when it comes ten times (F20)', async () => {
    bed.server.issue('payments', bed.slot);
    const event = bed.server.refreshedEvent(bed.slot);
    bed.server.publishRefreshed(event);
    await clock.advance(5);
    const second = handle.current;
    for (let again = 0; again < 10; again++) bed.server.publishRefreshed(event);
    await clock.advance(2_000);
    expect(handle.current).toBe(second);
    expect(bed.broker.stats().pushes).toBe(1);
    await clock.advance(5);
    expect(bed.server.gets).toHaveLength(1);
  });

  it('never makes a client step back to an older generation (G3)', async () => {
    bed.server.issue('payments', bed.slot);
    const older = bed.server.refreshedEvent(bed.slot);
    bed.server.issue('payments', bed.slot);
    bed.server.publishRefreshed(bed.server.refreshedEvent(bed.slot));
    bed.server.publishRefreshed(older);
    await clock.advance(5);
    expect(handle.current?.generation).toBe(bed.server.records.get(bed.slot)?.generation);
  });

  it("lives to its true expiry and not beyond, by Redis's clock", async () => {
    await clock.advance(10_000);
    bed.server.issue('payments', bed.slot, 100_000);
    bed.server.publishRefreshed(bed.server.refreshedEvent(bed.slot));
    await clock.advance(1);
    const leftMs = 100_000 - 1;
    expect(handle.current?.expiresInMs).toBeLessThanOrEqual(leftMs);
    expect(handle.current?.expiresInMs).toBeGreaterThan(leftMs - 10);
  });

  it("is never held for longer than its life, though Redis's clock has jumped ahead", async () => {
    bed.server.redisAheadMs += 600_000;
    bed.server.issue('payments', bed.slot, 100_000);
    bed.server.publishRefreshed(bed.server.refreshedEvent(bed.slot));
    await clock.advance(1);
    expect(handle.current?.generation).toBeGreaterThan(first.generation);
    expect(handle.current?.expiresInMs).toBeLessThanOrEqual(100_000);
  });

  it('that came late has aged on its way', async () => {
    bed.server.issue('payments', bed.slot, 100_000);
    const event = bed.server.refreshedEvent(bed.slot);
    await clock.advance(40_000);
    bed.server.publishRefreshed(event);
    await clock.advance(1);
    expect(handle.current?.generation).toBe(event.generation);
    expect(handle.current?.expiresInMs).toBeLessThanOrEqual(60_000);
  });

  it.each([
    ['another slot', { slot: 'A'.repeat(22) }],
    ['a later generation', { generation: 10_000 }],
    ['a later channel', { push: 'rotated' }],
  ])('cannot be passed off as that of %s', async (_what, change) => {
    bed.server.issue('payments', bed.slot);
    const event = bed.server.refreshedEvent(bed.slot);
    const forged =
      'push' in change
        ? {
            ...event,
            push: { sealed: event.push?.sealed ?? '', channelVersion: (event.push?.channelVersion ?? 0) + 1 },
          }
        : { ...event, ...change };
    bed.server.publishRefreshed(forged);
    await clock.advance(5);
    expect(handle.current).toBe(first);
    expect(bed.broker.stats().pushes).toBe(0);
  });

  it('is not taken when it has not seen an invalidation that this client knows of', async () => {
    bed.server.issue('payments', bed.slot);
    const event = bed.server.refreshedEvent(bed.slot);
    bed.server.heartbeat();
    const partition = bed.server.partitionOf(bed.slot);
    bed.server.vseqs[partition] = 1;
    bed.server.publishInvalidation([{ partition, epoch: 1, vseq: 1, floor: 1, slot: 'B'.repeat(22) }]);
    await clock.advance(5);
    bed.server.publishRefreshed(event);
    await clock.advance(5);
    expect(bed.broker.stats().pushes).toBe(0);
    expect(handle.current).toBe(first);
  });
});

describe('a refreshed event without a push', () => {
  it('keeps the token, which is still good, and renews it by one request when it is next used', async () => {
    const record = bed.server.issue('payments', bed.slot);
    bed.server.publishRefreshed(bed.server.refreshedEvent(bed.slot, { push: false }));
    await clock.advance(1_100);
    expect(bed.server.gets).toHaveLength(1);
    expect(handle.current).toBe(first);
    expect(await handle.get()).toBe(first);
    await clock.advance(5);
    expect(bed.server.gets.slice(1)).toEqual([{ minGeneration: record.generation }]);
    expect(handle.current?.generation).toBe(record.generation);
  });

  it('makes a broker that lags be asked again', async () => {
    const record = bed.server.issue('payments', bed.slot);
    bed.server.publishRefreshed(bed.server.refreshedEvent(bed.slot, { push: false }));
    await clock.advance(1_100);
    bed.server.tamper = (reply) =>
      bed.server.gets.length < 4 ? { ...reply, generation: first.generation, accessToken: 'old' } : reply;
    expect(handle.current).toBe(first);
    await clock.advance(200);
    expect(handle.current?.generation).toBe(record.generation);
    expect(bed.server.gets).toHaveLength(4);
  });
});
