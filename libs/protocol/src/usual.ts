import type { Timing } from './messages/events.js';

/**
 * What messages consist of that come by the thousand, or for which a moment counts. The checks here take no value that the
 * schema would not, and leave whatever is unusual to it.
 */

const FIELDS_OF_TIMING = 3;
/** Partitions are numbered below this. */
const MAX_PARTITIONS = 1_024;

export function isOrdinal(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isPartition(value: unknown): value is number {
  return isOrdinal(value) && value < MAX_PARTITIONS;
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** So many fields, and no other: the caller has looked at each of them. */
export function hasFields(value: object, count: number): boolean {
  return Object.keys(value).length === count;
}

export function isTiming(value: unknown): value is Timing {
  if (!isObject(value)) return false;
  const { tickMs, maxStalenessMs, minLifetimeMs } = value;
  return (
    isOrdinal(tickMs) &&
    tickMs >= 1 &&
    isOrdinal(maxStalenessMs) &&
    isOrdinal(minLifetimeMs) &&
    hasFields(value, FIELDS_OF_TIMING)
  );
}
