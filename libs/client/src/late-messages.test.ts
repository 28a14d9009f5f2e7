import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import type { SourceHandle } from './handle.js';

const TICK_MS = 1_000;
const MAX_STALENESS_MS = 60_000;

let clock: VirtualClock;
let bed: Bed;
let handle: SourceHandle;

beforeEach(async () => {
  clock = new VirtualClock();
  bed = createBed(clock, new SeededRandom(17), { refetchOnRevoke: false });
  handle = bed.broker.source('payments');
  await bed.during(handle.get());
  await clock.advance(2 * TICK_MS);
});

afterEach(async () => {
  bed.connection.mend();
  await bed.close();
});

const isHeartbeat = (subject: string): boolean => subject.endsWith('.heartbeat');

describe('a near cache to which messages come late', () => {
  it('is not fooled by heartbeats that come late, also when no sync was ever answered', async () => {
    await bed.close();
    bed = createBed(clock, new SeededRandom(18), { refetchOnRevoke: false });
    bed.server.lifeMs = 3_600_000;
    bed.connection.outgoing = ({ subject }) => (subject.includes('.sync.') ? 'lose' : 'pass');
    // The reply to the very first sync, which is on its way already.
    bed.connection.incoming = () => 'lose';
    await clock.advance(10);
    bed.connection.incoming = () => 'pass';
    handle = bed.broker.source('payments');
    await bed.during(handle.get());
    const lateByMs = 20 * TICK_MS;
    bed.connection.incoming = ({ subject }) => (isHeartbeat(subject) ? [lateByMs] : 'lose');
    await clock.advance(2 * lateByMs);
    bed.connection.incoming = () => 'lose';
    await clock.advance(MAX_STALENESS_MS + TICK_MS);
    expect(handle.current).toBeUndefined();
  });

  it('is not fooled by late heartbeats that came before its first token', async () => {
    await bed.close();
    bed = createBed(clock, new SeededRandom(19), { refetchOnRevoke: false });
    bed.server.lifeMs = 3_600_000;
    const lateByMs = 20 * TICK_MS;
    // All is late, the replies to syncs too late to count.
    bed.connection.incoming = () => [lateByMs];
    await clock.advance(5 * TICK_MS);
    handle = bed.broker.source('payments');
    const waiting = handle.get({ timeoutMs: 2 * lateByMs });
    await clock.advance(TICK_MS / 2);
    bed.connection.incoming = () => 'lose';
    await bed.during(waiting, lateByMs);
    expect(handle.current).toBeDefined();
    // It is 25 s later, and all that was heard is of the first 6.
    await clock.advance(MAX_STALENESS_MS - lateByMs + 6 * TICK_MS);
    expect(handle.current).toBeUndefined();
  });

  it('does not take an answer that was under way for longer than it may be stale, and asks again', async () => {
    const other = bed.broker.source('payments', { scope: 'read' });
    const asked = bed.server.gets.length;
    // As when this process was stopped while the reply lay in its socket; what is asked meanwhile is not answered.
    const lateByMs = MAX_STALENESS_MS - 2 * TICK_MS;
    bed.connection.incoming = ({ subject }) => (subject.startsWith('_INBOX.') ? [lateByMs] : 'pass');
    bed.server.tamper = (reply) => (bed.server.gets.length === asked + 1 ? reply : undefined);
    const token = other.get({ timeoutMs: 2 * MAX_STALENESS_MS });
    await clock.advance(lateByMs - TICK_MS / 2);
    bed.server.tamper = (reply) => reply;
    bed.connection.mend();
    const sent = bed.server.gets.length;
    await bed.during(token, TICK_MS + 100);
    expect(bed.server.gets.length).toBe(sent + 1);
  });
});
