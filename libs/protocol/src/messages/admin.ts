import { z } from 'zod';
import { identifier, milliseconds, ordinal, partition, slot, version } from '../fields.js';
import { LIMITS } from '../limits.js';

/** What a revocation hits: exactly one of the three. */
export const selectorSchema = z.union(
  [z.strictObject({ slot }), z.strictObject({ source: identifier }), z.strictObject({ all: z.literal(true) })],
  { error: 'must be one of {slot}, {source} or {all: true}' },
);
export type Selector = z.output<typeof selectorSchema>;

/** Body of `admin.<caller>.revoke`. */
export const revokeRequestSchema = z.strictObject({
  v: version.optional(),
  selector: selectorSchema,
  /** Counts what would go; changes nothing. */
  dryRun: z.boolean().optional(),
  /** Waits until every connected near cache has confirmed, at most `timeoutMs`. */
  wait: z.boolean().optional(),
  timeoutMs: milliseconds.max(LIMITS.deadlineMs).optional(),
  reason: z.string().max(500).optional(),
});
export type RevokeRequest = z.output<typeof revokeRequestSchema>;

const nearCacheSchema = z.object({ caller: identifier, instance: identifier });

/** Reply to `revoke`: what is durable and who has confirmed, never more than is true. */
export const revokeReplySchema = z.object({
  v: version,
  id: z.string(),
  dryRun: z.boolean(),
  /** Tokens in Redis that went, or would go. */
  slots: ordinal,
  /** Near caches that were connected. */
  nearCaches: ordinal,
  /** As many Redis replicas confirmed as the configuration asks for. */
  durable: z.boolean(),
  /** NATS took the event. `false`: near caches learn of it when they sync, or stop within their staleness bound. */
  broadcast: z.boolean(),
  /** Every broker has confirmed or lost its lease, and the revocation stood in Redis after that. */
  complete: z.boolean(),
  brokers: z.object({ expected: ordinal, acked: ordinal }),
  receipts: z
    .object({
      expected: ordinal,
      confirmed: z.array(nearCacheSchema.extend({ afterMs: z.number().min(0) })),
      stragglers: z.array(nearCacheSchema),
    })
    .optional(),
  tookMs: z.number().min(0),
});
export type RevokeReply = z.output<typeof revokeReplySchema>;

export const listRequestSchema = z.strictObject({
  v: version.optional(),
  source: identifier.optional(),
  limit: z.int().min(1).max(1_000).optional(),
});
export type ListRequest = z.output<typeof listRequestSchema>;

export const listReplySchema = z.object({
  v: version,
  slots: z.array(
    z.object({
      source: identifier,
      slot,
      partition,
      epoch: ordinal,
      generation: ordinal,
      expiresInMs: milliseconds,
    }),
  ),
  /** There are more than `limit`. */
  truncated: z.boolean(),
});
export type ListReply = z.output<typeof listReplySchema>;

/** Body of `status` and `reload`. */
export const emptyRequestSchema = z.strictObject({ v: version.optional() });

export const statusReplySchema = z.object({
  v: version,
  broker: identifier,
  version: z.string(),
  uptimeMs: milliseconds,
  ready: z.boolean(),
  nats: z.object({ connected: z.boolean() }),
  redis: z.object({ available: z.boolean(), leaseAgeMs: milliseconds.nullable() }),
  brokers: z.array(identifier),
  partitions: z.array(z.object({ epoch: ordinal, vseq: ordinal })),
  sources: z.array(
    z.object({
      name: identifier,
      provider: z.string(),
      heldSlots: ordinal,
      idpCalls: ordinal,
      idpErrors: ordinal,
      callsSaved: ordinal,
    }),
  ),
  nearCaches: z.array(nearCacheSchema.extend({ seenMs: milliseconds })),
});
export type StatusReply = z.output<typeof statusReplySchema>;

export const reloadReplySchema = z.object({
  v: version,
  outcome: z.enum(['reloaded', 'unchanged', 'refused']),
  /** Why it was refused: path, line and sentence of each problem. */
  problems: z.array(z.string()),
});
export type ReloadReply = z.output<typeof reloadReplySchema>;
