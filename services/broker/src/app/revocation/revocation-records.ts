import type { AuditEntry } from '../ports/audit.js';
import type { RevocationOrder, RevocationResult, RevocationTarget } from './revocation-order.js';

/** A record names as many of the targets that were looked up as fit into this: the trail cuts longer texts. */
const NAMES_CHARACTERS = 1_000;

/** The one record of an order, before anything is done. */
export function orderedRecord(order: RevocationOrder, id: string): AuditEntry {
  const { targets, reason } = order;
  const { facts, ...about } = aboutOf(order);
  const upTo = targets[0]?.upTo;
  const known = {
    ...facts,
    ...(facts === undefined ? {} : { names: namesOf(targets) }),
    ...(upTo === undefined ? {} : { upTo }),
  };
  return {
    ...about,
    event: 'revocation.ordered',
    revocation: id,
    reason,
    ...(Object.keys(known).length === 0 ? {} : { facts: known }),
  };
}

/**
 * The one record of how it ended.
 *
 * @param floor the last generation that ended in the partition of the first target
 */
export function endedRecord(
  order: RevocationOrder,
  { id, complete, durable, broadcast, brokers, receipts, tookMs }: Omit<RevocationResult, 'audited' | 'ended'>,
  floor: number | undefined,
): AuditEntry {
  const about = aboutOf(order);
  const stragglers = receipts?.counts?.stragglers ?? receipts?.stragglers.length ?? 0;
  return {
    ...about,
    event: 'revocation.ended',
    revocation: id,
    result: complete ? 'done' : 'incomplete',
    // Partitions have floors of their own; one slot is in one of them.
    ...(about.slot === undefined || floor === undefined ? {} : { generation: floor }),
    facts: {
      ...about.facts,
      durable,
      broadcast,
      brokers: brokers.expected,
      brokersConfirmed: brokers.acked,
      ...(receipts === undefined
        ? {}
        : { nearCaches: receipts.expected, nearCachesConfirmed: receipts.expected - stragglers }),
      tookMs,
    },
  };
}

/** Redis did not take it: nothing is promised. */
export function failedRecord(order: RevocationOrder, id: string, error: unknown): AuditEntry {
  const { facts, ...about } = aboutOf(order);
  const detail = error instanceof Error ? error.message : '';
  return { ...about, event: 'revocation.ended', revocation: id, result: 'failed', facts: { ...facts, detail } };
}

/**
 * What every record of one revocation says. How targets were looked up is told, and how many they are; never what was looked
 * for, which may be a person, or the digest of a token.
 */
export function aboutOf({ targets, selectedBy, source, by, traceId }: RevocationOrder): Omit<AuditEntry, 'event'> {
  const only = targets.length === 1 ? targets[0] : undefined;
  const isPlain =
    only !== undefined && only.upTo === undefined && (selectedBy ?? only.target.kind) === only.target.kind;
  const named = only?.target.kind === 'source' ? only.target.source : source;
  return {
    by,
    selector: isPlain ? nameOf(only) : (selectedBy ?? `${String(targets.length)} targets`),
    ...(only?.target.kind === 'slot' ? { slot: only.target.slot } : {}),
    ...(named === undefined ? {} : { source: named }),
    ...(traceId === undefined ? {} : { traceId }),
    ...(isPlain ? {} : { facts: { targets: targets.length } }),
  };
}

/** The first of them, whole. */
function namesOf(targets: readonly RevocationTarget[]): string {
  let names = '';
  for (const target of targets) {
    const longer = names === '' ? nameOf(target) : `${names} ${nameOf(target)}`;
    if (longer.length > NAMES_CHARACTERS) break;
    names = longer;
  }
  return names;
}

function nameOf({ target }: RevocationTarget): string {
  switch (target.kind) {
    case 'slot':
      return `slot:${target.slot}`;
    case 'source':
      return `source:${target.source}`;
    case 'provider':
      return `provider:${target.provider}`;
    case 'all':
      return 'all';
  }
}
