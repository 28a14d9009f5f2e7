import { z } from 'zod';
import { changeSchema, timingSchema } from './events.js';
import { failureReplySchema } from './get.js';
import { identifier, milliseconds, ordinal, partition, slot, version } from '../fields.js';
import { LIMITS } from '../limits.js';

const held = z.tuple([slot, ordinal]);

/**
 * Body of `sync`. With `known`, asks for the invalidations since. With `holds`, reports demand: the slots that are in
 * use. With `verify` too, asks which of them still count.
 */
export const syncRequestSchema = z.strictObject({
  v: version.optional(),
  caller: identifier.optional(),
  /** This near cache, unique for its life. */
  instance: identifier,
  /** Epoch and sequence that the near cache has applied, by partition. Absent at first. */
  known: z.strictObject({ epochs: z.array(ordinal), vseqs: z.array(ordinal) }).optional(),
  holds: z
    .array(z.strictObject({ source: identifier, slots: z.array(held).max(LIMITS.slotsPerSync) }))
    .max(LIMITS.slotsPerSync)
    .optional(),
  verify: z.boolean().optional(),
  /** The near cache closes: nobody waits for its receipts any more. */
  leaving: z.boolean().optional(),
});
export type SyncRequest = z.output<typeof syncRequestSchema>;

/** Reply to `sync`, read fresh from Redis. */
export const syncReplySchema = z.object({
  v: version,
  /** How old the read of Redis is. */
  ageMs: milliseconds,
  atMs: milliseconds,
  epochs: z.array(ordinal).min(1),
  vseqs: z.array(ordinal).min(1),
  /** What was invalidated after `known`, in order, for the partitions that are not in `reset`. */
  changes: z.array(changeSchema),
  /** Partitions of another epoch or whose log no longer reaches back: what is held there must be verified or dropped. */
  reset: z.array(partition),
  /** With `verify`: those of `holds` that still count, in the epochs of this reply. */
  live: z.array(held).optional(),
  timing: timingSchema,
});
export type SyncReply = z.output<typeof syncReplySchema>;

export const syncReplyOrFailureSchema = z.union([syncReplySchema, failureReplySchema]);
