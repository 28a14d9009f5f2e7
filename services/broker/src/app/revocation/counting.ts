import type { RevokeReply } from '@token-broker/protocol';
import { StoreError, type CountRequest, type Store } from '../ports/store.js';
import { inTurns } from './in-turns.js';
import type { Ended, RevocationTarget } from './revocation-order.js';
import type { FoundSlot } from './selection.js';

/** No more are counted, give or take a few pages: Redis needs a second for 150,000. */
const COUNT_LIMIT = 100_000;
/** Partitions that are counted at once, one page of each at a time: Redis has others to serve. */
const PARTITIONS_AT_ONCE = 4;
/** Sources that a reply counts by name. */
const SOURCES_NAMED = 1_000;

/** How many tokens go. None of its fields: nobody knows. */
export type Counts = Pick<RevokeReply, 'slots' | 'sources' | 'truncated'>;

/** Of slots that were looked up one by one. */
export function countFound(found: readonly FoundSlot[]): Counts {
  const bySource = new Map<string, number>();
  for (const { source } of found) add(bySource, source, 1);
  return countsOf(found.length, bySource);
}

/** What would go. Rejects with a `StoreError` where Redis is away. */
export function countStanding(store: Store, targets: readonly RevocationTarget[], partitions: number): Promise<Counts> {
  const requests = Array.from({ length: partitions }, (_, partition) =>
    targets.flatMap(({ target, upTo }): CountRequest[] =>
      target.kind === 'slot' ? [] : [{ target, partition, ...(upTo === undefined ? {} : { upTo }) }],
    ),
  );
  return countAll(store, requests.flat());
}

/** What has gone. It is dead already: that it could not be counted is no failure. */
export async function countEnded(store: Store, ended: readonly Ended[]): Promise<Counts> {
  const requests = ended.flatMap(({ target, partition, floor, replaced }): CountRequest[] =>
    target.kind === 'slot' ? [] : [{ target, partition, above: replaced, upTo: floor }],
  );
  try {
    return await countAll(store, requests);
  } catch (error) {
    if (error instanceof StoreError) return {};
    throw error;
  }
}

async function countAll(store: Store, requests: readonly CountRequest[]): Promise<Counts> {
  const bySource = new Map<string, number>();
  const seen = { slots: 0, all: true };
  await inTurns(requests, PARTITIONS_AT_ONCE, async (request) => {
    let cursor: string | undefined;
    do {
      if (seen.slots >= COUNT_LIMIT) {
        seen.all = false;
        return;
      }
      const page = await store.count(request, cursor);
      for (const [source, many] of page.bySource) {
        seen.slots += many;
        add(bySource, source, many);
      }
      cursor = page.next;
    } while (cursor !== undefined);
  });
  return { ...countsOf(seen.slots, bySource), ...(seen.all ? {} : { truncated: true }) };
}

function add(bySource: Map<string, number>, source: string, many: number): void {
  bySource.set(source, (bySource.get(source) ?? 0) + many);
}

function countsOf(slots: number, bySource: ReadonlyMap<string, number>): Counts {
  const rows = [...bySource].flatMap(([name, many]) => (name === '' ? [] : [{ name, slots: many }]));
  return { slots, sources: rows.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, SOURCES_NAMED) };
}
