import { randomId, within, type Clock, type Random } from '@token-broker/foundation';
import type { AuditRecord } from '@token-broker/protocol';
import type { Audit, AuditDestination, AuditEntry, AuditLine } from '../../app/ports/audit.js';
import type { Log, Metrics } from '../../app/ports/telemetry.js';
import { AuditQueue } from './audit-queue.js';

/** How long a revocation waits for its record: a disk that hangs must not keep a leaked token alive. */
const WRITE_LIMIT_MS = 2_000;
const MAX_TEXT_CHARACTERS = 1_024;

export interface AuditTrailOptions {
  readonly destinations: readonly AuditDestination[];
  readonly clock: Clock;
  readonly random: Random;
  readonly broker: string;
  /** Takes registered secrets out of a text: the last defence, since no entry should hold one. */
  readonly mask: (text: string) => string;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'auditRecorded'>;
}

/** {@link Audit} with what its owner needs beside it. */
export interface AuditTrail extends Audit {
  /** Files were moved away: the next record goes to new ones. */
  reopen(): void;
  /** Writes what waits, at most for `limitMs`, and leaves. */
  close(limitMs: number): Promise<void>;
}

/** Makes records of entries, and has each brought to every destination. */
export function createAuditTrail(options: AuditTrailOptions): AuditTrail {
  const { clock, random, broker, mask, log, metrics } = options;
  const places = options.destinations.map((destination) => ({ dropped: 0, queue: queueFor(destination) }));

  function queueFor(destination: AuditDestination): AuditQueue {
    const to = destination.name;
    return new AuditQueue({
      destination,
      clock,
      onState(failure) {
        if (failure === undefined) log.info('audit: records are written again', { to });
        else log.error('audit: records cannot be written; they wait', { to, detail: failure.message });
      },
    });
  }

  const lineOf = (entry: AuditEntry): AuditLine => {
    const record: AuditRecord = {
      audit: 1,
      id: randomId(random),
      at: new Date(clock.wallMs()).toISOString(),
      broker,
      ...cleaned(entry, mask),
    };
    return { record, text: JSON.stringify(record) };
  };

  const bring = async (place: (typeof places)[number], line: AuditLine, durable: boolean): Promise<boolean> => {
    const { queue } = place;
    const delivery = await queue.append(line, durable);
    metrics.auditRecorded(delivery);
    if (delivery === 'dropped') {
      if (place.dropped === 0) log.error('audit: too many records wait; further ones are dropped', { to: queue.name });
      place.dropped++;
    } else if (delivery === 'written' && place.dropped > 0) {
      void tellGap(place);
    }
    return delivery === 'written';
  };

  /** In the room that is kept for revocations, since the queue may be as full as before. */
  const tellGap = async (place: (typeof places)[number]): Promise<void> => {
    const { queue, dropped } = place;
    place.dropped = 0;
    log.warn('audit: records were dropped', { to: queue.name, dropped });
    const delivery = await queue.append(lineOf({ event: 'audit.gap', by: 'token-broker', facts: { dropped } }), true);
    metrics.auditRecorded(delivery);
    if (delivery === 'dropped') place.dropped += dropped;
  };

  return {
    note(entry) {
      const line = lineOf(entry);
      for (const place of places) void bring(place, line, false);
    },
    async write(entry) {
      const line = lineOf(entry);
      const all = Promise.all(places.map((place) => bring(place, line, true)));
      const told = await within(clock, WRITE_LIMIT_MS, all);
      const isSafe = told.inTime && told.value.every(Boolean);
      if (!isSafe) log.error('audit: not known to be written', { event: entry.event, by: entry.by });
      return isSafe;
    },
    reopen() {
      for (const { queue } of places) queue.reopen();
    },
    async close(limitMs) {
      await within(clock, limitMs, Promise.all(places.map(({ queue }) => queue.close().catch(() => undefined))));
    },
  };
}

/** Texts without secrets, and none too long. Fields that are absent stay absent. */
function cleaned(
  entry: AuditEntry,
  mask: (text: string) => string,
): Omit<AuditEntry, 'facts'> & Pick<AuditRecord, 'facts'> {
  const clean = (text: string): string => mask(text).slice(0, MAX_TEXT_CHARACTERS);
  const { by, reason, selector, facts, ...rest } = entry;
  return {
    ...rest,
    by: clean(by),
    ...(selector === undefined ? {} : { selector: clean(selector) }),
    ...(reason === undefined ? {} : { reason: clean(reason) }),
    ...(facts === undefined
      ? {}
      : {
          facts: Object.fromEntries(
            Object.entries(facts).map(([name, fact]) => [name, typeof fact === 'string' ? clean(fact) : fact]),
          ),
        }),
  };
}
