import { AUDIT_EVENTS, type AuditRecord } from '@token-broker/protocol';
import { usageFailure } from '../command-failure.js';

/** Which records are wanted. */
export interface AuditFilter {
  /** Wall clock, ms. */
  readonly sinceMs?: number;
  /** An event, or what stands before its dot. */
  readonly event?: string;
  readonly by?: string;
  readonly source?: string;
}

export function isWanted(record: AuditRecord, { sinceMs, event, by, source }: AuditFilter): boolean {
  if (sinceMs !== undefined && Date.parse(record.at) < sinceMs) return false;
  if (event !== undefined && !isOf(record.event, event)) return false;
  if (by !== undefined && record.by !== by) return false;
  return source === undefined || record.source === source;
}

/** @throws {CommandFailure} for one that no broker of this version writes */
export function requireEvent(text: string): string {
  if (AUDIT_EVENTS.some((event) => isOf(event, text))) return text;
  throw usageFailure('--event is no event of the audit trail', `There are ${AUDIT_EVENTS.join(', ')}.`);
}

function isOf(event: string, wanted: string): boolean {
  return event === wanted || event.startsWith(`${wanted}.`);
}
