import { z } from 'zod';
import { identifier, milliseconds, ordinal, partition, slot, version } from '../fields.js';
import { budgetStatusSchema, refreshTokenStatusSchema } from './admin.js';
import { replicaKnowledgeSchema } from './replicas.js';

/** Body of `describe`: exactly one of the two. */
export const describeRequestSchema = z
  .strictObject({ v: version.optional(), source: identifier.optional(), slot: slot.optional() })
  .refine((body) => (body.source === undefined) !== (body.slot === undefined), {
    error: 'exactly one of source and slot must be given',
  });
export type DescribeRequest = z.output<typeof describeRequestSchema>;

/** Reply to `describe`: all that is known of a source or a slot, but for the tokens. */
export const describeReplySchema = z.object({
  v: version,
  source: identifier,
  /** Present where it is a slot that was asked about. */
  slot: slot.optional(),
  partition: partition.optional(),
  provider: z.string(),
  grant: z.string(),
  /** Where tokens are fetched: the issuer, or the token endpoint. */
  endpoint: z.string(),
  clientId: z.string(),
  scopes: z.array(z.string()),
  keepWarm: z.boolean(),
  /** Renewed without being asked for. */
  refreshAhead: z.boolean(),
  /** Callers whose policy grants it. */
  allowed: z.array(identifier),
  /** Tokens that Redis holds: the first of them, the one that ends first in front; `null` where it could not be read. */
  tokens: z.array(z.object({ slot, epoch: ordinal, generation: ordinal, expiresInMs: milliseconds })).nullable(),
  /** There are more. */
  truncated: z.boolean(),
  /** The last fetch of the slot (of a source: without parameters) failed, and none is tried for `retryInMs`. */
  failure: z.object({ code: z.string(), message: z.string(), retryInMs: milliseconds }).optional(),
  budget: budgetStatusSchema.optional(),
  refreshToken: refreshTokenStatusSchema.optional(),
  /** Replicas that answered. */
  replicas: z.array(replicaKnowledgeSchema),
  /** Replicas with a lease that did not. */
  silent: z.array(identifier),
});
export type DescribeReply = z.output<typeof describeReplySchema>;
