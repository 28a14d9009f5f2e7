import { z } from 'zod';
import { identifier, ordinal, slot } from '../fields.js';

/** What the audit trail tells of. A closed list: a reader that does not know an event is older than its writer. */
export const AUDIT_EVENTS = [
  /** Before anything is done. */
  'revocation.ordered',
  'revocation.ended',
  /** At the identity provider (RFC 7009). */
  'revocation.taken-back',
  /** An operator kept the brokers from fetching tokens of a source, or let them again. */
  'source.paused',
  'source.resumed',
  /** An operator asked for newer tokens ahead of time. */
  'refresh.ordered',
  /** An operator gave the brokers a refresh token to spend. */
  'refresh-token.set',
  /** The identity provider refuses it: its family is over. */
  'refresh-token.refused',
  /** A caller gave a subject or actor token that is not good, or not its own. */
  'subject-token.refused',
  /** An operator had the brokers read their configuration again. */
  'configuration.reload',
  /** Another configuration is in force in a broker. */
  'configuration.in-force',
  /** An operators' verb of a caller that is no operator, or one that could not be done. */
  'admin.refused',
  'admin.failed',
  /** A request at the HTTP door without credentials that count. */
  'http.refused',
  /** A request whose answer would have gone to somebody else's inbox. */
  'reply-subject.forged',
  /** Records were dropped before this one: `facts.dropped` says how many. */
  'audit.gap',
] as const;
export type AuditEvent = (typeof AUDIT_EVENTS)[number];

/** Figures and flags that belong to one kind of event: texts, numbers and booleans now; of a later version, whatever it has. */
const auditFactsSchema = z.record(z.string(), z.json());

/** One record of the audit trail: a line of a file or of standard output, or a message of a stream. Holds no secret. */
export const auditRecordSchema = z.object({
  /** The version of this schema. It also tells a record from a line of the log, where both are on standard output. */
  audit: z.literal(1),
  /** Unique. A record may be written twice, with the same id. */
  id: z.string().min(1).max(64),
  /** By the wall clock of the broker, ISO 8601 in UTC. */
  at: z.iso.datetime(),
  /** Who writes. */
  broker: identifier,
  /** One of {@link AUDIT_EVENTS}; another one is of a newer broker. */
  event: z.string().min(1).max(64),
  /** The caller or operator; `token-broker` and `configuration` for what brokers do by themselves. */
  by: z.string().max(128),
  source: identifier.optional(),
  slot: slot.optional(),
  /** Of the token; of the revocation of a slot, the last generation that it ended. */
  generation: ordinal.optional(),
  /**
   * What a revocation hits: `source:NAME`, `slot:SLOT`, `provider:NAME`, `all`; of one whose targets were looked up, how: `caller`,
   * `subject`, `token`, `issued-before`, `graceful`. Never what was looked for.
   */
  selector: z.string().max(256).optional(),
  /** The id of the revocation: its records belong together. */
  revocation: z.string().max(128).optional(),
  /** In the words of whoever wanted it. */
  reason: z.string().optional(),
  /** How it ended; absent where something is only ordered or told. */
  result: z.enum(['done', 'incomplete', 'refused', 'failed']).optional(),
  /** Of the request's `traceparent` (W3C Trace Context), where it had one. */
  traceId: z
    .string()
    .regex(/^[\da-f]{32}$/)
    .optional(),
  facts: auditFactsSchema.optional(),
});
export type AuditRecord = z.output<typeof auditRecordSchema>;
