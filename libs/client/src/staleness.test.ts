import { encode } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import type { SourceHandle } from './handle.js';
import type { Token } from './token.js';

const TICK_MS = 1_000;
const MAX_STALENESS_MS = 60_000;
/** A question that nobody answers has ended by then. */
const SYNC_TIMEOUT_MS = 3 * TICK_MS;

let clock: VirtualClock;
let bed: Bed;
let handle: SourceHandle;
let first: Token;

beforeEach(async () => {
  clock = new VirtualClock();
  bed = createBed(clock, new SeededRandom(17), { refetchOnRevoke: false });
  handle = bed.broker.source('payments');
  first = await bed.during(handle.get());
  await clock.advance(2 * TICK_MS);
});

afterEach(async () => {
  bed.connection.mend();
  await bed.close();
});

const isHeartbeat = (subject: string): boolean => subject.endsWith('.heartbeat');
const isInvalidation = (subject: string): boolean => subject.includes('.invalidation.');

describe('a connected near cache', () => {
  it('is never suspect while heartbeats come', async () => {
    await clock.advance(600_000);
    expect(bed.told).toEqual([]);
    expect(bed.broker.stats().suspectMs).toBe(0);
    expect(handle.current).toBeDefined();
  });

  it('finds a lost last event by the next heartbeat, within 2.5 s of the revocation (F23)', async () => {
    const change = bed.server.revoke(bed.slot);
    expect(change.vseq).toBe(1);
    await clock.advance(2_500);
    expect(handle.current).toBeUndefined();
    expect(bed.broker.stats().invalidations).toBe(1);
    await clock.advance(1_000);
    expect(bed.broker.stats().suspect).toBe(false);
  });

  it('finds the gaps when every third event is lost, and loses no slot that was not revoked (F22)', async () => {
    const handles = Array.from({ length: 30 }, (_, index) => bed.broker.source(`s${String(index)}`));
    await bed.during(Promise.all(handles.map((each) => each.get())));
    let events = 0;
    bed.connection.incoming = ({ subject }) => (isInvalidation(subject) && ++events % 3 === 0 ? 'lose' : 'pass');
    const revoked = handles.filter((_, index) => index % 2 === 0);
    for (const { slot } of revoked) bed.server.publishInvalidation([bed.server.revoke(slot)]);
    await clock.advance(2_500);
    expect(events).toBe(15);
    expect(handles.map(({ current }) => current === undefined)).toEqual(handles.map((each) => revoked.includes(each)));
  });

  it('heals by itself when two events come in the wrong order (I7)', async () => {
    const other = bed.broker.source('payments', { scope: 'read' });
    await bed.during(other.get());
    const before = bed.server.syncs.length;
    const partition = bed.server.partitionOf(bed.slot);
    const change = (vseq: number, slot: string) => ({ partition, epoch: 1, vseq, floor: 1_000, slot });
    bed.server.vseqs[partition] = 2;
    bed.server.publishInvalidation([change(2, bed.slot)]);
    bed.server.publishInvalidation([change(1, 'A'.repeat(22))]);
    await clock.advance(2_000);
    expect(handle.current).toBeUndefined();
    expect(bed.server.syncs).toHaveLength(before);
    expect(bed.told).toEqual(['revoked']);
  });

  it('drops at once what an event names, though events before it are missing', async () => {
    const partition = bed.server.partitionOf(bed.slot);
    bed.server.vseqs[partition] = 9;
    bed.server.logFrom[partition] = 9;
    bed.server.publishInvalidation([{ partition, epoch: 1, vseq: 9, floor: 1_000, slot: bed.slot }]);
    await clock.advance(nearly(1));
    expect(handle.current).toBeUndefined();
  });

  it('asks which of its tokens count when the log does not reach back to what it missed', async () => {
    const partition = bed.server.partitionOf(bed.slot);
    bed.server.vseqs[partition] = 9;
    bed.server.logFrom[partition] = 5;
    await clock.advance(2_500);
    expect(bed.server.syncs.at(-1)).toMatchObject({ verify: true, holds: [{ source: 'payments' }] });
    expect(handle.current).toBe(first);
    expect(bed.broker.stats().suspect).toBe(false);
  });

  it('drops what is not confirmed then', async () => {
    const partition = bed.server.partitionOf(bed.slot);
    bed.server.revoke(bed.slot);
    bed.server.vseqs[partition] = 9;
    bed.server.logFrom[partition] = 5;
    await clock.advance(2_500);
    expect(handle.current).toBeUndefined();
  });
});

describe('a near cache that hears no heartbeat', () => {
  it('is suspect after three ticks, serves on, and has recovered with the next sync', async () => {
    bed.server.beats = false;
    bed.server.syncFailure = { code: 'STORE_UNAVAILABLE', message: 'Redis is down' };
    await clock.advance(3 * TICK_MS + 500);
    expect(bed.told).toEqual(['suspect']);
    expect(handle.current).toBe(first);
    bed.server.syncFailure = undefined;
    await clock.advance(6 * TICK_MS);
    expect(bed.told.slice(0, 2)).toEqual(['suspect', 'recovered']);
    expect(bed.broker.stats().suspectMs).toBeGreaterThan(0);
  });

  it('tries again with growing pauses while nobody answers', async () => {
    bed.server.beats = false;
    bed.server.syncFailure = { code: 'STORE_UNAVAILABLE', message: 'Redis is down' };
    const before = bed.server.syncs.length;
    await clock.advance(60_000);
    expect(bed.server.syncs.length - before).toBeGreaterThan(5);
    expect(bed.server.syncs.length - before).toBeLessThan(30);
  });

  it('stays trusted by syncs when only the heartbeats are lost (F19)', async () => {
    bed.connection.incoming = ({ subject }) => (isHeartbeat(subject) ? 'lose' : 'pass');
    await clock.advance(5 * MAX_STALENESS_MS);
    expect(handle.current).toBe(first);
  });

  it('does not take a heartbeat that was held back for a fresh one', async () => {
    const held: Uint8Array[] = [];
    bed.connection.incoming = ({ subject, data }) => {
      if (isHeartbeat(subject)) held.push(data);
      return 'lose';
    };
    await clock.advance(MAX_STALENESS_MS - 10_000);
    const [oldest] = held;
    bed.connection.incoming = ({ subject, data }) => (isHeartbeat(subject) && data === oldest ? 'pass' : 'lose');
    bed.connection.outgoing = () => 'lose';
    bed.nats.publish('token-broker.v1.heartbeat', oldest ?? new Uint8Array(0));
    await clock.advance(11_500);
    expect(handle.current).toBeUndefined();
  });

  it('reckons from when Redis was read, not from when the heartbeat came', async () => {
    bed.server.ageMs = 2_900;
    await clock.advance(20_000);
    bed.connection.cut();
    await clock.advance(MAX_STALENESS_MS - 2_900 - TICK_MS - 50);
    expect(handle.current).toBe(first);
    await clock.advance(TICK_MS + 60);
    expect(handle.current).toBeUndefined();
  });
});

describe('a near cache that is cut off', () => {
  it('serves to its staleness bound, then fails closed with STALE, and reconciles afterwards (F17, F18)', async () => {
    bed.connection.cut();
    bed.connection.announce({ type: 'disconnect' });
    bed.server.revoke(bed.slot);
    await clock.advance(4_000);
    expect(bed.told).toEqual(['suspect']);
    await clock.advance(MAX_STALENESS_MS - 4_000 - TICK_MS - 10);
    expect(handle.current).toBe(first);
    await clock.advance(TICK_MS + 10);
    expect(handle.current).toBeUndefined();
    const failed = handle.get().catch((error: unknown) => error);
    await clock.advance(15_000);
    expect(await failed).toMatchObject({ code: 'STALE', retryable: true });
    bed.connection.mend();
    bed.connection.announce({ type: 'reconnect' });
    const second = await bed.during(handle.get());
    expect(second.generation).toBeGreaterThan(first.generation);
    await clock.advance(2 * TICK_MS);
    expect([...bed.told].sort()).toEqual(['recovered', 'refreshed', 'revoked', 'suspect']);
    expect(handle.current).toBe(second);
  });

  it('is not trusted again for the reconnection alone: only a verification counts', async () => {
    bed.connection.cut();
    await clock.advance(MAX_STALENESS_MS + 5_000);
    bed.connection.incoming = ({ subject }) => (subject.startsWith('_INBOX') ? 'pass' : 'lose');
    bed.server.syncFailure = { code: 'STORE_UNAVAILABLE', message: 'Redis is down' };
    bed.connection.outgoing = () => 'pass';
    bed.connection.announce({ type: 'reconnect' });
    await clock.advance(3_000);
    expect(handle.current).toBeUndefined();
  });

  it('has its token back without a fetch when nothing was revoked meanwhile', async () => {
    bed.connection.cut();
    await clock.advance(MAX_STALENESS_MS + 5_000);
    expect(handle.current).toBeUndefined();
    bed.connection.mend();
    bed.connection.announce({ type: 'reconnect' });
    await clock.advance(6 * TICK_MS);
    expect(handle.current).toBe(first);
    expect(bed.server.gets).toHaveLength(1);
  });

  it('syncs within a tick of a reconnection', async () => {
    const before = bed.server.syncs.length;
    bed.connection.announce({ type: 'reconnect' });
    await clock.advance(TICK_MS + 5);
    expect(bed.server.syncs).toHaveLength(before + 1);
    expect(bed.server.syncs.at(-1)?.known).toEqual({ epochs: [1, 1, 1, 1], vseqs: [0, 0, 0, 0] });
  });

  it('fetches first when it wakes from a suspension that outlasted the token (F33)', async () => {
    bed.server.beats = false;
    await clock.advance(3_600_000);
    expect(handle.current).toBeUndefined();
    expect((await bed.during(handle.get())).generation).toBeGreaterThan(first.generation);
  });

  it('asks once for a token that only its own clock has outlived, and keeps it (F31)', async () => {
    const jumpMs = 600_000;
    bed.server.lifeMs = 300_000;
    const short = bed.broker.source('short');
    const before = await bed.during(short.get());
    await clock.advance(jumpMs);
    // The clock of Redis has not jumped with that of the client: the same token counts, and lives on.
    bed.server.redisAheadMs -= jumpMs;
    const gets = bed.server.gets.length;
    const again = await bed.during(short.get());
    expect(again.generation).toBe(before.generation);
    expect(again.expiresInMs).toBeGreaterThan(290_000);
    expect(short.current).toBe(again);
    expect(bed.server.gets).toHaveLength(gets + 1);
  });
});

describe('a new epoch', () => {
  it('is noticed by the heartbeat, and what still counts is kept under it', async () => {
    bed.server.beginEpoch({ keep: true });
    await clock.advance(3 * TICK_MS);
    expect(bed.told).toEqual(['suspect', 'recovered']);
    expect(handle.current).toMatchObject({ accessToken: first.accessToken, generation: first.generation, epoch: 2 });
    expect(bed.server.gets).toHaveLength(1);
  });

  it.each([1, 2, 3, 4, 5])(
    'is asked about soon, however often nobody has answered before, also where it is heard during such a question (%s)',
    async (questions) => {
      bed.server.beats = false;
      bed.connection.incoming = ({ subject }) => (isHeartbeat(subject) || isInvalidation(subject) ? 'pass' : 'lose');
      const before = bed.server.syncs.length;
      while (bed.server.syncs.length < before + questions) await clock.advance(10);
      // That one is under way, and will not be answered either.
      bed.server.beats = true;
      bed.server.beginEpoch({ keep: true });
      bed.server.heartbeat();
      await clock.advance(10);
      bed.connection.mend();
      bed.connection.incoming = () => 'pass';
      await clock.advance(SYNC_TIMEOUT_MS + TICK_MS + 100);
      expect(handle.current).toMatchObject({ epoch: 2 });
    },
  );

  it('never makes a client step back from what it kept into the new epoch (G3)', async () => {
    bed.server.beginEpoch({ keep: true });
    await clock.advance(3 * TICK_MS);
    bed.server.tamper = (reply) => ({ ...reply, generation: first.generation - 1, accessToken: 'older' });
    await expect(bed.during(handle.get({ minTtlMs: 1_799_999 }), 3_000)).resolves.toMatchObject({
      generation: first.generation,
    });
    await clock.advance(3_590_000);
    await expect(bed.during(handle.get(), 3_000)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
  });

  it('whose first news is a revocation drops what that names, and says so', async () => {
    bed.server.beginEpoch({ keep: true });
    bed.server.publishInvalidation([bed.server.revoke(bed.slot)]);
    await clock.advance(5);
    expect(handle.current).toBeUndefined();
    expect(bed.told).toContain('revoked');
  });

  it('drops what does not count any more', async () => {
    bed.server.beginEpoch({ keep: false });
    await clock.advance(3 * TICK_MS);
    expect(handle.current).toBeUndefined();
    const second = await bed.during(handle.get());
    expect(second.epoch).toBe(2);
  });

  it('makes answers and events of the older one count for nothing', async () => {
    bed.server.issue('payments', bed.slot);
    const old = bed.server.refreshedEvent(bed.slot);
    bed.server.beginEpoch({ keep: false });
    await clock.advance(3 * TICK_MS);
    const second = await bed.during(handle.get());
    bed.server.publishRefreshed({ ...old, generation: 100_000 });
    bed.server.publishInvalidation([
      { partition: bed.server.partitionOf(bed.slot), epoch: 1, vseq: 1, floor: 100_000, slot: bed.slot },
    ]);
    bed.nats.publish(
      'token-broker.v1.heartbeat',
      encode({
        v: 1,
        broker: 'b0',
        ageMs: 0,
        atMs: bed.server.redisMs,
        epochs: [1, 1, 1, 1],
        vseqs: [50, 50, 50, 50],
        timing: bed.server.timing,
      }),
    );
    await clock.advance(5);
    expect(handle.current).toBe(second);
    expect(bed.broker.stats().suspect).toBe(false);
  });

  it('that a reply brings is taken, and the other tokens of the partition are verified', async () => {
    bed.server.beats = false;
    bed.server.beginEpoch({ keep: true });
    const handles = Array.from({ length: 20 }, (_, index) => bed.broker.source(`n${String(index)}`));
    await bed.during(Promise.all(handles.map((each) => each.get())));
    await clock.advance(2 * TICK_MS);
    expect(handle.current?.epoch).toBe(2);
    expect(bed.server.syncs.some(({ verify }) => verify === true)).toBe(true);
    expect(handles.every(({ current }) => current !== undefined)).toBe(true);
  });

  it('is cut off too when nobody confirms anything', async () => {
    bed.server.beginEpoch({ keep: true });
    bed.server.syncFailure = { code: 'STORE_UNAVAILABLE', message: 'Redis is down' };
    await clock.advance(MAX_STALENESS_MS - 2 * TICK_MS);
    expect(handle.current).toBeDefined();
    await clock.advance(3 * TICK_MS);
    expect(handle.current).toBeUndefined();
  });
});

describe('the timing of the brokers', () => {
  it('is taken over, for what is held too', async () => {
    Object.assign(bed.server.timing, { maxStalenessMs: 10_000, minLifetimeMs: 3_000_000 });
    await clock.advance(2 * TICK_MS);
    expect(handle.current).toBe(first);
    bed.connection.cut();
    await clock.advance(10_100);
    expect(handle.current).toBeUndefined();
  });

  it('with another number of partitions makes everything unknown', async () => {
    bed.server.epochs.push(1);
    bed.server.vseqs.push(0);
    await clock.advance(2 * TICK_MS);
    expect(handle.current).toBeUndefined();
    await bed.during(handle.get());
    expect(handle.current).toBeDefined();
  });
});

/** Just after so many latencies of the network. */
function nearly(latencies: number): number {
  return latencies * bed.nats.latencyMs + 0.5;
}

it('knows its bound from its first token, also when it is cut off before it has heard anything else', async () => {
  const early = createBed(clock, new SeededRandom(18), { refetchOnRevoke: false });
  early.server.timing = { tickMs: 100, maxStalenessMs: 2_000, minLifetimeMs: 1_000 };
  early.server.syncFailure = { code: 'STORE_UNAVAILABLE', message: 'Redis is away' };
  early.connection.incoming = ({ subject }) => (isHeartbeat(subject) ? 'lose' : 'pass');
  const cutOff = early.broker.source('payments');
  await early.during(cutOff.get());
  await clock.advance(1_500);
  expect(cutOff.current).toBeDefined();
  await clock.advance(600);
  expect(cutOff.current).toBeUndefined();
  await early.close();
});
