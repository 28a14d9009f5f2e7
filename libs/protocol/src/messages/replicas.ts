import { z } from 'zod';
import { identifier, milliseconds, ordinal } from '../fields.js';

/** What replicas have counted since they started, of one source or of all. */
export const sourceCountsSchema = z.object({
  /** Tokens that are held in memory now. */
  held: ordinal,
  /** Requests for tokens. */
  requests: ordinal,
  /** Of these, answered from memory. */
  memoryHits: ordinal,
  /** Of these, answered with an error. */
  refusals: ordinal,
  idpCalls: ordinal,
  idpErrors: ordinal,
  callsSaved: ordinal,
});
export type SourceCounts = z.output<typeof sourceCountsSchema>;

/** One replica as it sees itself, for `status`. */
export const replicaStatusSchema = z.object({
  broker: identifier,
  version: z.string(),
  uptimeMs: milliseconds,
  ready: z.boolean(),
  /** Why it is not ready; empty where it is. */
  problems: z.array(z.string()),
  nats: z.object({ connected: z.boolean() }),
  redis: z.object({ available: z.boolean(), leaseAgeMs: milliseconds.nullable() }),
  /** The version of the configuration that it runs; 0: none yet. Equal where all run the same. */
  policy: ordinal,
  /** Of each partition, as it has read it last; 0: not read yet. */
  epochs: z.array(ordinal),
  /** How far its wall clock is ahead of that of Redis, in ms; `null`: not known. */
  clockAheadMs: z.int().nullable(),
  /** Of all sources. */
  counts: sourceCountsSchema,
});
export type ReplicaStatus = z.output<typeof replicaStatusSchema>;

const use = z.object({ caller: identifier, requests: ordinal });
const seen = z.object({ caller: identifier, instance: identifier, seenMs: milliseconds });

/** What one replica knows of a source or a slot, for `describe`. Times are ms before or after its answer. */
export const replicaKnowledgeSchema = z.object({
  broker: identifier,
  /** Tokens that it holds. */
  held: ordinal,
  /** Of these, somebody has asked for lately. */
  inDemand: ordinal,
  /** When it would renew the next of them; absent: it plans nothing. */
  nextRefreshInMs: milliseconds.optional(),
  /** Of a slot: the token that it holds. */
  token: z
    .object({
      generation: ordinal,
      expiresInMs: milliseconds,
      lifeMs: milliseconds,
      /** Since somebody asked for it, or reported to use it; `null`: nobody has. */
      wantedAgoMs: milliseconds.nullable(),
      wantedBy: identifier.optional(),
    })
    .optional(),
  /** Of a source: its last call of the identity provider that succeeded, and the last that did not. */
  lastFetch: z.object({ agoMs: milliseconds, reason: z.string() }).optional(),
  lastFailure: z.object({ agoMs: milliseconds, code: z.string() }).optional(),
  /** Of a source: who has asked it since it started, the most eager first. */
  callers: z.array(use),
  /** Of a source: near caches that have reported to it that they use it, the latest first. */
  nearCaches: z.array(seen),
});
export type ReplicaKnowledge = z.output<typeof replicaKnowledgeSchema>;

/** What a broker asks its peers, which each answers for itself. */
export const inquirySchema = z.object({
  /** `status`: of the replica. `source`, `slot`: of the one that is named. */
  about: z.enum(['status', 'source', 'slot']),
  name: z.string().max(64).optional(),
});
export type Inquiry = z.output<typeof inquirySchema>;

/** A replica's answer to an {@link Inquiry}: the one or the other. */
export const replicaReportSchema = z.object({
  status: replicaStatusSchema.optional(),
  /** With `status`. */
  sources: z.array(sourceCountsSchema.extend({ name: identifier })).optional(),
  knowledge: replicaKnowledgeSchema.optional(),
});
export type ReplicaReport = z.output<typeof replicaReportSchema>;
