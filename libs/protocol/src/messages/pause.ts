import { z } from 'zod';
import { identifier, milliseconds, reason, version } from '../fields.js';

/** Body of `pause` and `resume`. */
export const pauseRequestSchema = z.strictObject({
  v: version.optional(),
  source: identifier,
  /** For the audit trail. */
  reason: reason.optional(),
});
export type PauseRequest = z.output<typeof pauseRequestSchema>;

/** Reply to `pause` and `resume`: it holds on every replica, and no fetch of the source is begun against it. */
export const pauseReplySchema = z.object({
  v: version,
  source: identifier,
  paused: z.boolean(),
  /** It was otherwise before. */
  changed: z.boolean(),
  /** Redis time since which it is paused; absent: it is not. */
  sinceMs: milliseconds.optional(),
});
export type PauseReply = z.output<typeof pauseReplySchema>;
