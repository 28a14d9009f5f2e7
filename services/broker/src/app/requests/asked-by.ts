import type { AuditEntry } from '../ports/audit.js';
import type { ServiceRequest } from '../ports/bus.js';

/** Whose request it was, as the audit trail has it. */
export function askedBy({ caller, trace }: ServiceRequest): Pick<AuditEntry, 'by' | 'traceId'> {
  return { by: caller, ...(trace === undefined ? {} : { traceId: trace.traceId }) };
}
