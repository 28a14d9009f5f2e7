import type { RevokeReply } from '@token-broker/protocol';
import type { InvalidationTarget } from '../ports/store.js';
import type { RevokedBy } from '../ports/telemetry.js';
import type { Span } from '../ports/tracing.js';

/** What dies: everything of a target that was claimed so far, or up to a generation. */
export interface RevocationTarget {
  readonly target: InvalidationTarget;
  readonly upTo?: number;
}

/** What one write of a revocation has ended: what counted above `replaced`, up to `floor`. */
export interface Ended {
  readonly target: InvalidationTarget;
  readonly partition: number;
  readonly floor: number;
  readonly replaced: number;
}

export interface RevocationOrder {
  /** One, or many that are one revocation. */
  readonly targets: readonly RevocationTarget[];
  /** What metrics and the audit call it, where the targets were looked up. Default: the kind of its target. */
  readonly selectedBy?: RevokedBy;
  /** The source that they were looked up in, where it was one. */
  readonly source?: string;
  /** Who wants it, for the audit. */
  readonly by: string;
  readonly reason: string;
  /** Of the request that brought it. */
  readonly traceId?: string;
  /** Is told of each step. Ended by who gave it. */
  readonly span?: Span;
  /** Wait for near caches, at most so long. */
  readonly waitMs?: number;
  /** The same id is the same revocation: replicas that apply one reload make one cutoff. */
  readonly id?: string;
  /** The configuration version that revokes: brokers with an older one must not write to the source any more. */
  readonly policy?: number;
}

export type RevocationResult = Pick<
  RevokeReply,
  'id' | 'nearCaches' | 'durable' | 'broadcast' | 'complete' | 'brokers' | 'receipts' | 'tookMs'
> & {
  /** By what it can be counted, now that it is dead. */
  readonly ended: readonly Ended[];
  /** The order was safe in the audit trail before anything was done, and the result before this returned. */
  readonly audited: boolean;
};
