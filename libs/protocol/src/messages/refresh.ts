import { z } from 'zod';
import { identifier, milliseconds, ordinal, slot, version } from '../fields.js';
import { LIMITS } from '../limits.js';

/** Body of `refresh`: exactly one of `source` and `slot`. */
export const refreshRequestSchema = z
  .strictObject({
    v: version.optional(),
    source: identifier.optional(),
    slot: slot.optional(),
    /** How long the reply may wait for the identity provider. Default 10 s. */
    timeoutMs: milliseconds.min(1).max(LIMITS.deadlineMs).optional(),
  })
  .refine((body) => (body.source === undefined) !== (body.slot === undefined), {
    error: 'exactly one of source and slot must be given',
  });
export type RefreshRequest = z.output<typeof refreshRequestSchema>;

/** Reply to `refresh`. `tokens` is the sum of `refreshed`, `elsewhere`, `needsCaller`, `failed` and `underWay`. */
export const refreshReplySchema = z.object({
  v: version,
  /** Tokens that were to be renewed. */
  tokens: ordinal,
  /** There is a newer one. */
  refreshed: ordinal,
  /** Another replica is at it. */
  elsewhere: ordinal,
  /** On behalf of a subject, whose token only the caller has: the next request renews it. */
  needsCaller: ordinal,
  /** The old one goes on being good. */
  failed: ordinal,
  /** Not ended when the time was over; it goes on. */
  underWay: ordinal,
  /** Why they failed: each code once. */
  failures: z.array(
    z.object({ code: z.string(), message: z.string(), count: ordinal, retryAfterMs: milliseconds.optional() }),
  ),
  /** There are more tokens, which were not looked at. */
  truncated: z.boolean(),
});
export type RefreshReply = z.output<typeof refreshReplySchema>;
