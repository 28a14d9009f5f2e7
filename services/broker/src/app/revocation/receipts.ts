import type { Receipts } from '@token-broker/protocol';
import type { Collector } from '../cluster/acknowledgements.js';
import type { Presence } from '../ports/store.js';

/** Near caches that a reply names, so that it fits into a message however many there are. Counts are of all of them. */
const CONFIRMED_NAMED = 200;
const STRAGGLERS_NAMED = 1_000;

/** Who has confirmed every one of these messages, each by its slowest receipt. */
export function confirmedByAll(collectors: readonly Pick<Collector, 'confirmed'>[]): ReadonlyMap<string, number> {
  const [first, ...others] = collectors;
  if (first === undefined) return new Map();
  if (others.length === 0) return first.confirmed;
  const slowest = new Map<string, number>();
  for (const [who, afterMs] of first.confirmed) {
    const later = others.map(({ confirmed }) => confirmed.get(who));
    if (later.every((ms) => ms !== undefined)) slowest.set(who, Math.max(afterMs, ...later));
  }
  return slowest;
}

/** Waits for the near caches that are connected, and says who has confirmed, and how late. */
export async function collectReceipts(
  present: readonly Presence[],
  collectors: readonly Collector[],
  { waitMs, maxStalenessMs }: { readonly waitMs: number; readonly maxStalenessMs: number },
): Promise<Receipts> {
  const expected = present.map(({ caller, instance }) => `${caller}/${instance}`);
  await Promise.all(collectors.map((collector) => collector.waitFor(expected, waitMs)));
  return receiptsOf(expected, confirmedByAll(collectors), maxStalenessMs);
}

export function receiptsOf(
  expected: readonly string[],
  confirmed: ReadonlyMap<string, number>,
  maxStalenessMs: number,
): Receipts {
  const stragglers = expected.filter((who) => !confirmed.has(who));
  const slowestFirst = [...confirmed].sort(([, a], [, b]) => b - a);
  const times = slowestFirst.map(([, afterMs]) => afterMs).reverse();
  return {
    expected: expected.length,
    // The slowest are those that an operator may want to look at.
    confirmed: slowestFirst.slice(0, CONFIRMED_NAMED).map(([who, afterMs]) => ({ ...nearCacheOf(who), afterMs })),
    stragglers: stragglers.slice(0, STRAGGLERS_NAMED).map(nearCacheOf),
    counts: { confirmed: expected.length - stragglers.length, stragglers: stragglers.length },
    ...(times.length === 0
      ? {}
      : { afterMs: { p50: percentile(times, 0.5), p99: percentile(times, 0.99), max: percentile(times, 1) } }),
    maxStalenessMs,
  };
}

/** The value that `share` of the sorted figures do not exceed (nearest rank). */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

function nearCacheOf(who: string): { caller: string; instance: string } {
  const [caller = '', instance = ''] = who.split('/');
  return { caller, instance };
}
