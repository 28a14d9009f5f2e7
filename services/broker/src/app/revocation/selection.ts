import { createHash } from 'node:crypto';
import type { RecordContent } from '../../domain/record.js';
import type { ScannedRecord, ScannedSlot, ScanPage, Store } from '../ports/store.js';
import type { Source, Sources } from '../sources/sources.js';
import type { RecordCodec } from '../tokens/record-codec.js';
import { inTurns } from './in-turns.js';

/** Partitions that are gone through at once. Each opens one page at a time, and other work comes between two pages. */
const PARTITIONS_AT_ONCE = 2;

export interface SelectionPorts {
  readonly store: Store;
  readonly sources: Sources;
  readonly codec: RecordCodec;
}

/** Whether a token is meant. `unknown`: it may be, and nothing here can tell. */
export type Verdict = 'meant' | 'other' | 'unknown';

/** What is looked for. */
export interface Wanted {
  /** Only tokens of this source. */
  readonly source?: string;
  /** @param content `undefined`: it cannot be opened here */
  judge(content: RecordContent | undefined, record: ScannedRecord): Verdict;
  /** Whether a fetch in the air may bring what is meant. `undefined`: of a source that its note does not name. */
  mayBring(source: Source | undefined): boolean;
}

export interface FoundSlot {
  readonly slot: string;
  readonly source: string;
}

export interface Selection {
  /** Slots with what is meant, those with a fetch in the air that may bring it included. */
  readonly slots: readonly FoundSlot[];
  /** Fetches in the air among them, which nobody could judge. */
  readonly inFlight: number;
  /** Tokens that may be meant and are not among them, since nothing here can tell. */
  readonly unjudged: number;
}

/**
 * Goes through all tokens that Redis has, and what is in the air. Each partition from its beginning to its end: what is there
 * when it begins is found. What is fetched for a wish that comes later is of later.
 */
export async function selectSlots(ports: SelectionPorts, partitions: number, wanted: Wanted): Promise<Selection> {
  const found = new Map<string, FoundSlot>();
  const inFlight = new Set<string>();
  const unjudged = new Set<string>();
  await inTurns(
    Array.from({ length: partitions }, (_, partition) => partition),
    PARTITIONS_AT_ONCE,
    async (partition) => {
      let cursor: string | undefined;
      do {
        const page: ScanPage = await ports.store.scan(partition, cursor, true);
        for (const scanned of page.slots) {
          const { slot, record, flight } = scanned;
          const verdict = judge(ports, scanned, partition, page.asOf.epoch, wanted);
          const isCaught = verdict !== 'meant' && mayBring(ports, scanned, wanted);
          const source = record?.source ?? flight?.source ?? '';
          if (verdict === 'meant' || isCaught) found.set(slot, { slot, source });
          if (isCaught) inFlight.add(slot);
          if (verdict === 'unknown' && !isCaught) unjudged.add(slot);
        }
        cursor = page.next;
      } while (cursor !== undefined);
    },
  );
  for (const slot of found.keys()) unjudged.delete(slot);
  return { slots: [...found.values()], inFlight: inFlight.size, unjudged: unjudged.size };
}

function judge(
  { sources, codec }: SelectionPorts,
  { slot, record }: ScannedSlot,
  partition: number,
  epoch: number,
  wanted: Wanted,
): Verdict {
  if (record === undefined) return 'other';
  if (wanted.source !== undefined && wanted.source !== record.source) return 'other';
  // A token of a source that is gone was cut off, or will be: nobody hands it out.
  if (sources.source(record.source) === undefined) return 'other';
  const opened = codec.openScanned({ slot, partition, ...record }, epoch);
  return wanted.judge(opened.ok ? opened.value : undefined, record);
}

function mayBring({ sources }: SelectionPorts, { flight }: ScannedSlot, wanted: Wanted): boolean {
  if (flight === undefined) return false;
  if (flight.source === '') return wanted.mayBring(undefined);
  if ((wanted.source ?? flight.source) !== flight.source) return false;
  return wanted.mayBring(sources.source(flight.source));
}

/** The slots with this very token, by its SHA-256 in hexadecimal digits. */
export function withToken(tokenSha256: string, source: string | undefined): Wanted {
  return {
    ...(source === undefined ? {} : { source }),
    judge(content) {
      if (content === undefined) return 'unknown';
      const digest = createHash('sha256').update(content.token.accessToken).digest('hex');
      return digest === tokenSha256 ? 'meant' : 'other';
    },
    // Whoever names a token has seen it: its fetch is over.
    mayBring: () => false,
  };
}

/** The slots on behalf of a subject. */
export function onBehalfOf(subject: string, source: string | undefined, sources: Sources): Wanted {
  const takesSubjects = (of: Source | undefined): boolean => of?.configuration.subjectToken !== undefined;
  return {
    ...(source === undefined ? {} : { source }),
    judge(content, record) {
      if (content === undefined) return takesSubjects(sources.source(record.source)) ? 'unknown' : 'other';
      if (content.parameters.subjectHash === undefined) return 'other';
      const { subjects = [] } = content;
      // Written by a version that noted no names, or of a token that names nobody.
      if (subjects.length === 0) return 'unknown';
      return subjects.includes(subject) ? 'meant' : 'other';
    },
    // Nobody has noted yet whose it will be: one fetch too many harms nobody, one token too few would.
    mayBring: (of) => of === undefined || takesSubjects(of),
  };
}
