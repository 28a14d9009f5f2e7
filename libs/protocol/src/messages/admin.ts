import { z } from 'zod';
import { givenToken, identifier, milliseconds, ordinal, partition, reason, slot, version } from '../fields.js';
import { nearCacheSchema } from './near-cache.js';
import { replicaStatusSchema, sourceCountsSchema } from './replicas.js';

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

/** Body of `status`. */
export const emptyRequestSchema = z.strictObject({ v: version.optional() });

/** Body of `reload`. */
export const reloadRequestSchema = z.strictObject({
  v: version.optional(),
  /** For the audit trail. */
  reason: reason.optional(),
});
export type ReloadRequest = z.output<typeof reloadRequestSchema>;

/** Where the line of refresh tokens of one source stands, where its grant spends them. */
export const refreshTokenStatusSchema = z.object({
  /** `missing`: never seeded. `exhausted`: the identity provider refuses it. Both need an operator. */
  state: z.enum(['missing', 'ready', 'spending', 'exhausted']),
  /** How often it has rotated since an operator put one there. */
  sequence: ordinal,
  /** Redis time of the seed or the latest rotation; 0: never. */
  changedAtMs: milliseconds,
});
export type RefreshTokenStatus = z.output<typeof refreshTokenStatusSchema>;

/** Where the budget of one source's upstream identity stands, in the whole cluster. */
export const budgetStatusSchema = z.object({
  limits: z.array(
    z.object({
      /** Calls in each window, the reserve included. */
      limit: ordinal,
      /** A duration, `day` or `month`. */
      window: z.string(),
      /** Calls that count now, of `limit - reserve`. */
      used: ordinal,
      /** What is kept for refetching after a revocation. */
      reserve: ordinal,
      /** Calls that count now, of `reserve`. */
      reserveUsed: ordinal,
      /** When nothing would be left if it went on as of late; absent: it does not come to that, or nothing is known yet. */
      exhaustedInMs: milliseconds.optional(),
    }),
  ),
  /** How long the identity provider wants no calls, from now; 0: it takes them. */
  pausedMs: milliseconds,
  /** `open`: it fails, and no calls are made. `half-open`: one call at a time finds out whether it still does. */
  breaker: z.enum(['closed', 'open', 'half-open']),
  /** How long this source's credential is not tried, since it was refused; 0: it is good. */
  credentialPausedMs: milliseconds,
  /** Calls under way. */
  open: ordinal,
});
export type BudgetStatus = z.output<typeof budgetStatusSchema>;

export const statusReplySchema = z.object({
  v: version,
  broker: identifier,
  version: z.string(),
  uptimeMs: milliseconds,
  ready: z.boolean(),
  nats: z.object({ connected: z.boolean() }),
  redis: z.object({
    available: z.boolean(),
    leaseAgeMs: milliseconds.nullable(),
    /** What the server is not like that it has to be: such as that it evicts keys. A sentence each. */
    problems: z.array(z.string()).optional(),
  }),
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
      /** Absent: the source spends none, or the journal could not be read. */
      refreshToken: refreshTokenStatusSchema.optional(),
      /** Absent: it could not be read. */
      budget: budgetStatusSchema.optional(),
      /** Redis time since which an operator has it paused; absent: it is not. */
      pausedSinceMs: milliseconds.optional(),
      /** The sums over the replicas that answered. */
      all: sourceCountsSchema.optional(),
    }),
  ),
  /** The first of them. */
  nearCaches: z.array(nearCacheSchema.extend({ seenMs: milliseconds })),
  /** How many there are. */
  nearCachesTotal: ordinal.optional(),
  /** Each replica that answered, as it sees itself. */
  replicas: z.array(replicaStatusSchema).optional(),
  /** Replicas with a lease that did not answer. */
  silent: z.array(identifier).optional(),
});
export type StatusReply = z.output<typeof statusReplySchema>;

export const reloadReplySchema = z.object({
  v: version,
  outcome: z.enum(['reloaded', 'unchanged', 'refused']),
  /** Why it was refused: path, line and sentence of each problem. */
  problems: z.array(z.string()),
});
export type ReloadReply = z.output<typeof reloadReplySchema>;

/** Body of `refresh-token`: an operator puts a refresh token there, the first one or in place of one that is refused. */
export const setRefreshTokenRequestSchema = z.strictObject({
  v: version.optional(),
  source: identifier,
  refreshToken: givenToken,
  /** For the audit trail. */
  reason: reason.optional(),
});
export type SetRefreshTokenRequest = z.output<typeof setRefreshTokenRequestSchema>;

/** Reply to `refresh-token`: it is in the journal. One that was spent before is answered `BAD_REQUEST`. */
export const setRefreshTokenReplySchema = z.object({
  v: version,
  source: identifier,
  /** How often it has rotated: 0, a family begins. */
  sequence: ordinal,
  /** Replicas of Redis that have confirmed the write. */
  replicas: ordinal,
  /** There was one before, which is never used again. */
  replaced: z.boolean(),
});
export type SetRefreshTokenReply = z.output<typeof setRefreshTokenReplySchema>;
