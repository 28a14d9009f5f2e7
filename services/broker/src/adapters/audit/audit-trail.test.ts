import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { auditRecordSchema } from '@token-broker/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { RecordedLog, RecordedMetrics } from '../../app/fakes/recorded-telemetry.js';
import type { AuditDestination, AuditLine } from '../../app/ports/audit.js';
import { createAuditTrail, type AuditTrail } from './audit-trail.js';

/** A destination that can be broken and held up. */
class FakeDestination implements AuditDestination {
  readonly name = 'file';
  readonly batches: { readonly lines: readonly AuditLine[]; readonly durable: boolean }[] = [];
  problem: Error | undefined;
  held: Promise<void> | undefined;
  attempts = 0;
  isClosed = false;

  async deliver(lines: readonly AuditLine[], durable: boolean): Promise<void> {
    this.attempts++;
    await this.held;
    if (this.problem !== undefined) throw this.problem;
    this.batches.push({ lines, durable });
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  get records(): AuditLine['record'][] {
    return this.batches.flatMap(({ lines }) => lines.map(({ record }) => record));
  }
}

const REFUSED = { event: 'admin.refused', by: 'orders' } as const;
const ORDERED = { event: 'revocation.ordered', by: 'ops', reason: 'leaked' } as const;

let clock: VirtualClock;
let place: FakeDestination;
let log: RecordedLog;
let metrics: RecordedMetrics;
let trail: AuditTrail;

beforeEach(() => {
  clock = new VirtualClock();
  place = new FakeDestination();
  log = new RecordedLog();
  metrics = new RecordedMetrics();
  trail = trailTo(place);
});

function trailTo(...destinations: AuditDestination[]): AuditTrail {
  return createAuditTrail({
    destinations,
    clock,
    random: new SeededRandom(1),
    broker: 'b1',
    mask: (text) => text.replaceAll('s3cret', '<redacted>'),
    log,
    metrics: metrics.metrics,
  });
}

describe('a record', () => {
  it('is of the schema, says who writes it and when, and has an id of its own', async () => {
    trail.note(REFUSED);
    expect(await trail.write({ ...ORDERED, source: 'payments-api', facts: { tookMs: 1.5, durable: true } })).toBe(true);
    const [first, second] = place.records;
    for (const record of [first, second]) expect(auditRecordSchema.parse(record)).toEqual(record);
    expect(first).toMatchObject({ audit: 1, broker: 'b1', at: new Date(clock.wallMs()).toISOString(), ...REFUSED });
    expect(second).toMatchObject({ ...ORDERED, source: 'payments-api', facts: { tookMs: 1.5, durable: true } });
    expect(first?.id).not.toBe(second?.id);
  });

  it('holds no secret that the log knows, and no text without an end', async () => {
    const long = 'x'.repeat(10_000);
    await trail.write({
      ...ORDERED,
      by: 's3cret',
      reason: 'the s3cret leaked',
      selector: 's3cret',
      facts: { long, a: 's3cret' },
    });
    expect(JSON.stringify(place.records)).not.toContain('s3cret');
    expect(place.records[0]?.facts?.['long']).toHaveLength(1_024);
  });
});

describe('writing', () => {
  it('asks for a durable write for what somebody waits for, and for nothing else', async () => {
    trail.note(REFUSED);
    await clock.settle();
    await trail.write(ORDERED);
    expect(place.batches.map(({ durable }) => durable)).toEqual([false, true]);
  });

  it('gathers what comes while a batch is under way', async () => {
    let release = (): void => undefined;
    place.held = new Promise((resolve) => (release = resolve));
    for (let i = 0; i < 5; i++) trail.note(REFUSED);
    await clock.settle();
    release();
    await clock.settle();
    expect(place.batches.map(({ lines }) => lines.length)).toEqual([1, 4]);
  });

  it('keeps nobody waiting for a disk that is full, and writes everything when it is not any more', async () => {
    place.problem = new Error('ENOSPC');
    trail.note(REFUSED);
    expect(await trail.write(ORDERED)).toBe(false);
    expect(log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      'audit: records cannot be written; they wait',
      'audit: not known to be written',
    ]);
    place.problem = undefined;
    await clock.advance(1_000);
    expect(place.records.map(({ event }) => event)).toEqual(['admin.refused', 'revocation.ordered']);
    expect(log.lines.at(-1)?.message).toBe('audit: records are written again');
    expect(metrics.count('auditRecorded', 'late')).toBe(2);
  });

  it('tries again at once for a revocation', async () => {
    place.problem = new Error('ENOSPC');
    trail.note(REFUSED);
    await clock.settle();
    place.problem = undefined;
    expect(await trail.write(ORDERED)).toBe(true);
    expect(place.records).toHaveLength(2);
  });

  it('waits no longer than two seconds for a disk that hangs', async () => {
    place.held = new Promise(() => undefined);
    let isSafe: boolean | undefined;
    void trail.write(ORDERED).then((safe) => (isSafe = safe));
    await clock.advance(1_999);
    expect(isSafe).toBeUndefined();
    await clock.advance(1);
    expect(isSafe).toBe(false);
  });

  it('is not safe before it is everywhere', async () => {
    const other = new FakeDestination();
    other.problem = new Error('NATS is away');
    expect(await trailTo(place, other).write(ORDERED)).toBe(false);
    expect(place.records).toHaveLength(1);
  });
});

describe('too many records', () => {
  it('are dropped, counted, said, and told in the trail itself; a revocation still finds room', async () => {
    let release = (): void => undefined;
    place.held = new Promise((resolve) => (release = resolve));
    for (let i = 0; i < 10_050; i++) trail.note(REFUSED);
    const written = trail.write(ORDERED);
    await clock.settle();
    expect(metrics.count('auditRecorded', 'dropped')).toBe(50);
    expect(log.lines.filter(({ message }) => message.includes('further ones are dropped'))).toHaveLength(1);
    release();
    expect(await written).toBe(true);
    await clock.settle();
    expect(place.records).toHaveLength(10_002);
    expect(place.records.at(-1)).toMatchObject({ event: 'audit.gap', facts: { dropped: 50 } });
    expect(place.records.at(-2)).toMatchObject(ORDERED);
  });
});

describe('the end', () => {
  it('writes what waits, and leaves', async () => {
    trail.note(REFUSED);
    await trail.close(1_000);
    expect(place.records).toHaveLength(1);
    expect(place.isClosed).toBe(true);
  });

  it('does not wait for a destination that is away', async () => {
    place.problem = new Error('ENOSPC');
    trail.note(REFUSED);
    await clock.settle();
    await trail.close(1_000);
    expect(place.isClosed).toBe(true);
  });
});
