import { encode, type Change } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import type { SourceHandle } from './handle.js';
import type { Token } from './token.js';

let clock: VirtualClock;
let bed: Bed;
let handle: SourceHandle;
let first: Token;

async function begin(options: Parameters<typeof createBed>[2] = {}): Promise<void> {
  clock = new VirtualClock();
  bed = createBed(clock, new SeededRandom(11), { refetchOnRevoke: false, ...options });
  handle = bed.broker.source('payments');
  first = await bed.during(handle.get());
}

beforeEach(() => begin());

afterEach(async () => {
  await bed.close();
});

describe('a revocation', () => {
  it('empties the near cache when its event arrives, and the next use gets another token (I1)', async () => {
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(bed.nats.latencyMs);
    expect(handle.current).toBeUndefined();
    const second = await bed.during(handle.get());
    expect(second.generation).toBeGreaterThan(first.generation);
    expect(bed.broker.stats().invalidations).toBe(1);
  });

  it('tells the listeners of the handle and of the client, once', async () => {
    const revoked: unknown[] = [];
    const unsubscribe = handle.on('revoked', (event) => revoked.push(event.generation));
    const change = bed.server.revoke(bed.slot);
    for (let again = 0; again < 10; again++) bed.server.publishInvalidation([change]);
    await clock.advance(5);
    expect(revoked).toEqual([first.generation]);
    expect(bed.told).toEqual(['revoked']);
    unsubscribe();
    await bed.during(handle.get());
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(5);
    expect(revoked).toHaveLength(1);
  });

  it('is not disturbed by a listener that throws', async () => {
    handle.on('revoked', () => {
      throw new Error('of the listener');
    });
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(5);
    expect(bed.told).toEqual(['revoked']);
  });

  it('does nothing more when its event comes ten times (F20)', async () => {
    const change = bed.server.revoke(bed.slot);
    bed.server.publishInvalidation([change]);
    await clock.advance(5);
    const second = await bed.during(handle.get());
    for (let again = 0; again < 10; again++) bed.server.publishInvalidation([change]);
    await clock.advance(5);
    expect(handle.current).toBe(second);
    expect(bed.broker.stats()).toMatchObject({ invalidations: 1, suspect: false });
  });

  it('outlives a refreshed event of an earlier generation that comes after it (F21)', async () => {
    bed.server.issue('payments', bed.slot);
    const late = bed.server.refreshedEvent(bed.slot);
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(5);
    bed.server.publishRefreshed(late);
    await clock.advance(5);
    expect(handle.current).toBeUndefined();
    expect(bed.broker.stats().pushes).toBe(0);
  });

  it('outlives a reply that was written before it and comes after it (F24)', async () => {
    const other = bed.broker.source('other');
    const stale = { generation: 0, asked: 0 };
    bed.server.tamper = (reply) => {
      stale.asked++;
      if (stale.asked > 1) return reply;
      stale.generation = reply.generation;
      // The reply is on its way when the revocation overtakes it.
      bed.server.publishInvalidation([bed.server.revoke(other.slot)]);
      return reply;
    };
    const token = await bed.during(other.get());
    expect(token.generation).toBeGreaterThan(stale.generation);
    expect(other.current).toBe(token);
    const partition = bed.server.partitionOf(other.slot);
    expect(bed.server.gets.at(-1)).toEqual({ after: { epoch: 1, vseq: bed.server.vseqs[partition] } });
  });

  it('lets callers fail rather than take an answer that has not seen it', async () => {
    const old = { asOf: 0, generation: first.generation };
    bed.server.tamper = (reply) => ({ ...reply, ...old });
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(5);
    await expect(bed.during(handle.get(), 3_000)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    expect(handle.current).toBeUndefined();
  });

  it('holds against an answer without Redis too', async () => {
    const old = { asOf: 0, generation: first.generation, verified: false };
    bed.server.tamper = (reply) => ({ ...reply, ...old });
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(5);
    await expect(bed.during(handle.get(), 3_000)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
  });

  it('of a source hits each of its slots, and no other source', async () => {
    const scoped = bed.broker.source('payments', { scope: 'read' });
    const other = bed.broker.source('other');
    await bed.during(Promise.all([scoped.get(), other.get()]));
    bed.server.publishInvalidation(cutoff({ sources: ['payments'] }));
    await clock.advance(5);
    expect([handle.current, scoped.current]).toEqual([undefined, undefined]);
    expect(other.current).toBeDefined();
  });

  it('of everything hits everything', async () => {
    const other = bed.broker.source('other');
    await bed.during(other.get());
    bed.server.publishInvalidation(cutoff({}));
    await clock.advance(5);
    expect([handle.current, other.current]).toEqual([undefined, undefined]);
  });

  it('is confirmed by a receipt only where one is asked for', async () => {
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)], { id: 'quiet' });
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)], { id: 'loud', receipts: true });
    await clock.advance(5);
    expect(bed.server.receipts).toEqual(['loud']);
    expect(bed.connection.published.filter(({ subject }) => subject === 'token-broker.v1.ack.orders')).toHaveLength(1);
  });

  it('that cannot be read leads to a sync', async () => {
    const before = bed.server.syncs.length;
    bed.nats.publish('token-broker.v1.invalidation.0', encode({ v: 2 }));
    await clock.advance(1_100);
    expect(bed.server.syncs.length).toBeGreaterThan(before);
  });

  /** A cutoff in each partition, as brokers publish it. */
  function cutoff(selector: Pick<Change, 'sources'>): Change[] {
    return bed.server.vseqs.map((vseq, partition) => {
      bed.server.vseqs[partition] = vseq + 1;
      return { partition, epoch: 1, vseq: vseq + 1, floor: 1_000, ...selector };
    });
  }
});

describe('the successor of a revoked token', () => {
  beforeEach(async () => {
    await bed.close();
    await begin({ refetchOnRevoke: true });
  });

  it('is fetched at once when the token was in use', async () => {
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(60);
    expect(handle.current?.generation).toBeGreaterThan(first.generation);
    expect(bed.told).toEqual(['revoked', 'refreshed']);
  });

  it('is left to the next use when the token was not used for a minute', async () => {
    await clock.advance(61_000);
    const before = bed.server.gets.length;
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(1_000);
    expect(bed.server.gets).toHaveLength(before);
  });

  it('is left to the next use when everything was revoked', async () => {
    bed.server.publishInvalidation([bed.server.revoke(bed.slot, 'all')]);
    await clock.advance(1_000);
    expect(bed.server.gets).toHaveLength(1);
    expect(handle.current).toBeUndefined();
  });
});

describe('a report that the resource server refused a token', () => {
  it('drops the token, and what comes next is newer', async () => {
    expect(await bed.during(handle.reportRejected(first))).toBe('dropped');
    expect(bed.server.rejections).toEqual([{ epoch: first.epoch, generation: first.generation }]);
    expect(handle.current).toBeUndefined();
    let asked = 0;
    bed.server.tamper = (reply) => {
      // The first broker that is asked has not heard of it.
      if (++asked === 1) return reply;
      bed.server.issue('payments', bed.slot);
      return { ...reply, generation: reply.generation + 50 };
    };
    const second = await bed.during(handle.get());
    expect(second.generation).toBeGreaterThan(first.generation);
    expect(bed.server.gets.slice(1)).toMatchObject([
      { minGeneration: first.generation + 1 },
      { minGeneration: first.generation + 1 },
    ]);
  });

  it('names the parameters of the slot', async () => {
    const scoped = bed.broker.source('payments', { scope: 'read', audience: 'a' });
    await bed.during(scoped.reportRejected(await bed.during(scoped.get())));
    expect(bed.server.rejections.at(-1)).toMatchObject({ scope: ['read'], audience: 'a' });
  });

  it('keeps the token when reports come too fast', async () => {
    bed.server.rejectedOutcome = 'limited';
    expect(await bed.during(handle.reportRejected(first))).toBe('limited');
    expect(handle.current).toBe(first);
  });

  it('drops the token too when a newer one was current already', async () => {
    bed.server.rejectedOutcome = 'stale';
    bed.server.issue('payments', bed.slot);
    expect(await bed.during(handle.reportRejected(first))).toBe('stale');
    expect((await bed.during(handle.get())).generation).toBeGreaterThan(first.generation);
  });

  it('of an older token leaves the newer one alone', async () => {
    bed.server.issue('payments', bed.slot);
    bed.server.publishRefreshed(bed.server.refreshedEvent(bed.slot));
    await clock.advance(5);
    const second = handle.current;
    bed.server.rejectedOutcome = 'stale';
    await bed.during(handle.reportRejected(first));
    expect(handle.current).toBe(second);
    expect(second?.generation).toBeGreaterThan(first.generation);
  });

  it('is sent once for one generation, however many callers report it', async () => {
    const outcomes = await bed.during(Promise.all(Array.from({ length: 100 }, () => handle.reportRejected(first))));
    expect(new Set(outcomes)).toEqual(new Set(['dropped']));
    expect(bed.server.rejections).toHaveLength(1);
  });
});
