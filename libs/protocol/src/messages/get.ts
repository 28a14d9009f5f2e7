import { z } from 'zod';
import { timingSchema } from './events.js';
import { failureSchema } from './failure.js';
import {
  givenToken,
  identifier,
  milliseconds,
  ordinal,
  parameter,
  partition,
  scopeToken,
  slot,
  username,
  version,
} from '../fields.js';
import { LIMITS } from '../limits.js';

const scopes = z.union(
  [
    z
      .string()
      .max(LIMITS.parameterCharacters * 4)
      .transform((text) => text.split(' ').filter((part) => part !== ''))
      .pipe(z.array(scopeToken).min(1).max(LIMITS.scopes)),
    z.array(scopeToken).min(1).max(LIMITS.scopes),
  ],
  { error: 'must be a list of scopes, or a string of scopes with spaces between them' },
);

/** What names a token within a source, in the bodies of `get` and `rejected`. */
export const tokenParameterFields = {
  scope: scopes.optional(),
  audience: parameter.optional(),
  resource: parameter.optional(),
  /** On whose behalf (RFC 8693 §2.1), or the assertion to trade in (RFC 7523 §2.1). Where the source takes one. */
  subjectToken: givenToken.optional(),
  /** Who acts for the subject (RFC 8693 §2.1). Never without a subject. */
  actorToken: givenToken.optional(),
};

/** For each schema with {@link tokenParameterFields}: an actor acts for somebody. */
const actorHasSubject = {
  test: ({ subjectToken, actorToken }: { subjectToken?: string | undefined; actorToken?: string | undefined }) =>
    actorToken === undefined || subjectToken !== undefined,
  otherwise: { path: ['actorToken'], error: 'needs a subjectToken beside it' },
};

/** Body of `get`; an empty body asks for the source's own token with no further wish. */
export const getRequestSchema = z
  .strictObject({
    v: version.optional(),
    /** Only for clients that want it checked: must be the caller of the subject. */
    caller: identifier.optional(),
    ...tokenParameterFields,
    /** The least remaining life that is of use; capped at half of the token's life. */
    minTtlMs: milliseconds.optional(),
    /** The invalidations that the client knows of: an answer must not be older. */
    after: z.strictObject({ epoch: ordinal, vseq: ordinal }).optional(),
    /** The least generation that the client takes; never a reason to call the identity provider. */
    minGeneration: ordinal.optional(),
    /** How long the broker may hold the request. Zero or less is past. */
    deadlineMs: z.int({ error: 'must be an integer number of milliseconds' }).max(LIMITS.deadlineMs).optional(),
  })
  .refine(actorHasSubject.test, actorHasSubject.otherwise);
export type GetRequest = z.output<typeof getRequestSchema>;

/** A key that opens sealed pushes of this slot. `version` grows with every rotation. */
export const channelSchema = z.object({ version: ordinal, key: z.base64url().length(43) });
export type Channel = z.output<typeof channelSchema>;

/** Reply to `get`: a token. In clear only here, on the caller's own inbox. */
export const tokenReplySchema = z.object({
  v: version,
  slot,
  partition,
  epoch: ordinal,
  generation: ordinal,
  /** The sequence of invalidations that this answer has seen. */
  asOf: ordinal,
  /** Remaining life at the moment of the reply. */
  expiresInMs: milliseconds,
  /** Life when it was issued. */
  lifeMs: milliseconds,
  /** Redis time at the moment of the reply, to anchor events by. */
  atMs: milliseconds,
  /** How long the broker held the request before the reply. */
  heldMs: milliseconds,
  /** `false`: from a broker without Redis. Use it once, cache it never. */
  verified: z.boolean(),
  /** One text, whatever the credential is: `tokenType` says how to read it. */
  accessToken: z.string().min(1),
  tokenType: z.string().min(1),
  /** Granted scopes, where the identity provider named them. */
  scope: z.string().optional(),
  /** Where the credential is half of a pair: whose password it is. */
  username: username.optional(),
  channel: channelSchema.optional(),
  /** How long this token may be kept: a near cache that is cut off before its first heartbeat must know. */
  timing: timingSchema.optional(),
});
export type TokenReply = z.output<typeof tokenReplySchema>;

export const failureReplySchema = z.object({ v: version, error: failureSchema });
export type FailureReply = z.output<typeof failureReplySchema>;

export const getReplySchema = z.union([tokenReplySchema, failureReplySchema]);
export type GetReply = z.output<typeof getReplySchema>;

/** Body of `rejected`: the resource server answered 401 to the token of this generation. */
export const rejectedRequestSchema = z
  .strictObject({
    v: version.optional(),
    caller: identifier.optional(),
    ...tokenParameterFields,
    epoch: ordinal,
    generation: ordinal,
  })
  .refine(actorHasSubject.test, actorHasSubject.otherwise);
export type RejectedRequest = z.output<typeof rejectedRequestSchema>;

/**
 * `dropped`: the generation is dead, ask again. `stale`: it was not the current one, ask again. `limited`: reports of
 * this slot or caller come too fast; nothing was done, the token stays.
 */
export const rejectedReplySchema = z.object({
  v: version,
  outcome: z.enum(['dropped', 'stale', 'limited']),
  retryAfterMs: milliseconds.optional(),
});
export type RejectedReply = z.output<typeof rejectedReplySchema>;
