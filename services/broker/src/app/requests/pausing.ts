import { decode, failure, LIMITS, pauseRequestSchema, type Failure, type PauseReply } from '@token-broker/protocol';
import type { LeaseKeeper } from '../cluster/lease-keeper.js';
import type { ServiceRequest } from '../ports/bus.js';
import type { Audit, AuditEntry } from '../ports/audit.js';
import { StoreError, type Store } from '../ports/store.js';
import type { Sources } from '../sources/sources.js';
import { askedBy } from './asked-by.js';

export interface PausingPorts {
  readonly store: Store;
  readonly sources: Sources;
  readonly leaseKeeper: LeaseKeeper;
  readonly audit: Audit;
}

/**
 * The verbs `pause` and `resume`. When it resolves, no fetch of the source is claimed any more by any replica, or may be
 * again; one that was claimed before goes on to its end, and a revocation discards what it brings. Rejects with a
 * `StoreError`: then some partitions may have it and others not, and doing it again mends that.
 */
export async function pauseSource(
  { store, sources, leaseKeeper, audit }: PausingPorts,
  request: ServiceRequest,
  paused: boolean,
): Promise<PauseReply | Failure> {
  const decoded = decode(pauseRequestSchema, request.body, LIMITS.requestBytes);
  if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
  const { source, reason } = decoded.value;
  // A source that was removed while it was paused may be resumed, so that it is not if it comes again.
  if (sources.source(source) === undefined && (paused || !leaseKeeper.paused.has(source)))
    return failure('UNKNOWN_SOURCE', `there is no source "${source}"`);
  const about: AuditEntry = {
    ...askedBy(request),
    event: paused ? 'source.paused' : 'source.resumed',
    source,
    ...(reason === undefined ? {} : { reason }),
  };
  const { changed, sinceMs } = await store.pause(source, paused).catch((error: unknown) => {
    // Some partitions may have it.
    if (error instanceof StoreError) audit.note({ ...about, result: 'failed', facts: { detail: error.message } });
    throw error;
  });
  audit.note({ ...about, result: 'done', facts: { changed } });
  // The others hear of it at their next tick; this one is asked for its status first.
  await leaseKeeper.readAlong();
  return { v: 1, source, paused, changed, ...(sinceMs === undefined ? {} : { sinceMs }) };
}
