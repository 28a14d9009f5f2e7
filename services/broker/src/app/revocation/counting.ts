import type { RevokeReply } from '@token-broker/protocol';
import { StoreError, type CountRequest, type Store } from '../ports/store.js';
import type { Ended, RevocationTarget } from './revocation-order.js';
import type { FoundSlot } from './selection.js';

/** No more are counted, give or take one page: Redis needs a second for 150,000. */
const COUNT_LIMIT = 100_000;
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

/** One page after the other, so that Redis has time for others. */
async function countAll(store: Store, requests: readonly CountRequest[]): Promise<Counts> {
  const bySource = new Map<string, number>();
  let slots = 0;
  for (const request of requests) {
    let cursor: string | undefined;
    do {
      if (slots >= COUNT_LIMIT) return { ...countsOf(slots, bySource), truncated: true };
      const page = await store.count(request, cursor);
      for (const [source, many] of page.bySource) {
        slots += many;
        add(bySource, source, many);
      }
      cursor = page.next;
    } while (cursor !== undefined);
  }
  return countsOf(slots, bySource);
}

function add(bySource: Map<string, number>, source: string, many: number): void {
  bySource.set(source, (bySource.get(source) ?? 0) + many);
}

function countsOf(slots: number, bySource: ReadonlyMap<string, number>): Counts {
  const rows = [...bySource].flatMap(([name, many]) => (name === '' ? [] : [{ name, slots: many }]));
  return { slots, sources: rows.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, SOURCES_NAMED) };
}
