import { z } from 'zod';
import { identifier, milliseconds, ordinal, reason, slot, version } from '../fields.js';
import { LIMITS } from '../limits.js';
import { nearCacheSchema } from './near-cache.js';
import { selectorSchema } from './selector.js';

/** Body of `admin.<caller>.revoke`. */
export const revokeRequestSchema = z
  .strictObject({
    v: version.optional(),
    selector: selectorSchema,
    /** Counts what would go; changes nothing. */
    dryRun: z.boolean().optional(),
    /** Waits until every connected near cache has confirmed, at most `timeoutMs`. */
    wait: z.boolean().optional(),
    timeoutMs: milliseconds.max(LIMITS.deadlineMs).optional(),
    /** Also takes the tokens back at the identity provider, where it has a way to (RFC 7009). */
    atProvider: z.boolean().optional(),
    /** Of a slot or a source: fetches the successor of each token first, and revokes nothing that has none. */
    graceful: z.boolean().optional(),
    /** For the audit trail. Required, but for a dry run. */
    reason: reason.optional(),
  })
  .superRefine(({ dryRun, reason: given }, context) => {
    if (dryRun !== true && given === undefined)
      context.addIssue({ code: 'custom', path: ['reason'], message: 'is required: it is written to the audit trail' });
  });
export type RevokeRequest = z.output<typeof revokeRequestSchema>;

/** Who has confirmed. Lists are cut so that a reply fits; counts and percentiles are of all. */
export const receiptsSchema = z.object({
  expected: ordinal,
  confirmed: z.array(nearCacheSchema.extend({ afterMs: z.number().min(0) })),
  stragglers: z.array(nearCacheSchema),
  /** How many of those expected have confirmed, and have not. */
  counts: z.object({ confirmed: ordinal, stragglers: ordinal }).optional(),
  /** From the order to the receipts that came; absent: none came. */
  afterMs: z.object({ p50: z.number().min(0), p99: z.number().min(0), max: z.number().min(0) }).optional(),
  /** A near cache that is cut off serves nothing for longer than this after it was last verified. */
  maxStalenessMs: milliseconds.optional(),
});
export type Receipts = z.output<typeof receiptsSchema>;

/** What came of fetching successors first. Tokens that have none yet were not revoked. */
export const gracefulSchema = z.object({
  replaced: ordinal,
  failed: ordinal,
  /** Some of those that failed, and why. */
  failures: z.array(z.object({ source: identifier, slot, code: z.string(), message: z.string() })),
});
export type GracefulOutcome = z.output<typeof gracefulSchema>;

/** Reply to `revoke`: what is durable and who has confirmed, never more than is true. */
export const revokeReplySchema = z.object({
  v: version,
  id: z.string(),
  dryRun: z.boolean(),
  /** Tokens in Redis that went, or would go. Absent: they went, and Redis failed before they were counted. */
  slots: ordinal.optional(),
  /** There are more: only so many were counted. */
  truncated: z.boolean().optional(),
  /** The same by source, the first thousand sources. */
  sources: z.array(z.object({ name: identifier, slots: ordinal })).optional(),
  /** Fetches in the air whose token might be meant: discarded without a look. */
  inFlight: ordinal.optional(),
  /** Tokens that might be meant, and that this broker cannot look into: they stay. */
  unjudged: ordinal.optional(),
  /** Near caches that were connected. */
  nearCaches: ordinal,
  /** As many Redis replicas confirmed as the configuration asks for. */
  durable: z.boolean(),
  /** NATS took the event. `false`: near caches learn of it when they sync, or stop within their staleness bound. */
  broadcast: z.boolean(),
  /** Every broker has confirmed or lost its lease, and the revocation stood in Redis after that. */
  complete: z.boolean(),
  /**
   * The order was safe in the audit trail before anything was done, and its result before this reply. `false`: the trail
   * could not be written, and it was revoked all the same. Absent in a dry run, and in replies of older brokers.
   */
  audited: z.boolean().optional(),
  brokers: z.object({ expected: ordinal, acked: ordinal }),
  receipts: receiptsSchema.optional(),
  graceful: gracefulSchema.optional(),
  /** With `atProvider`: tokens that were to be taken back at the identity provider; the sum of the other three. */
  provider: z
    .object({
      asked: ordinal,
      revoked: ordinal,
      /** The identity provider has no way to. Like those that failed: good until they expire for whoever has one. */
      unsupported: ordinal,
      failed: ordinal,
    })
    .optional(),
  tookMs: z.number().min(0),
});
export type RevokeReply = z.output<typeof revokeReplySchema>;
