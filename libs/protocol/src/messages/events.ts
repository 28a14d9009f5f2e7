import { z } from 'zod';
import { failureSchema } from './failure.js';
import { identifier, milliseconds, ordinal, partition, slot, username, version } from '../fields.js';
import { LIMITS } from '../limits.js';
import { inquirySchema, replicaReportSchema } from './replicas.js';

/** On `event.<source>.<slot>`: a newer token counts. With `push`, the token itself, sealed with the slot's channel key. */
export const refreshedEventSchema = z.object({
  v: version,
  kind: z.literal('refreshed'),
  source: identifier,
  slot,
  partition,
  epoch: ordinal,
  generation: ordinal,
  asOf: ordinal,
  /** Expiry in Redis time; the client anchors it by the `atMs` of an earlier reply. */
  expiresAtMs: milliseconds,
  lifeMs: milliseconds,
  push: z.object({ channelVersion: ordinal, sealed: z.base64url() }).optional(),
});
export type RefreshedEvent = z.output<typeof refreshedEventSchema>;

/** What a push holds once it is opened. */
export const pushedTokenSchema = z.object({
  accessToken: z.string().min(1),
  tokenType: z.string().min(1),
  scope: z.string().optional(),
  username: username.optional(),
});
export type PushedToken = z.output<typeof pushedTokenSchema>;

/**
 * One invalidation of one partition: tokens at or below `floor` are dead. Of one slot; else of each slot of the named
 * sources; else, with neither, of all slots. `vseq` numbers the invalidations of a partition without gaps.
 */
export const changeSchema = z.object({
  partition,
  epoch: ordinal,
  vseq: ordinal,
  floor: ordinal,
  slot: slot.optional(),
  sources: z.array(identifier).optional(),
});
export type Change = z.output<typeof changeSchema>;

/** On `invalidation.<partition>` or `invalidation.all`. */
export const invalidationSchema = z.object({
  v: version,
  /** Names the revocation or rejection; receipts repeat it. */
  id: z.string().min(1).max(64),
  changes: z.array(changeSchema).min(1).max(LIMITS.changesPerInvalidation),
  /** The broker that waits for its peers, which answer on its mailbox. */
  ackTo: identifier.optional(),
  /** Near caches answer on `ack.<caller>`. */
  receipts: z.boolean().optional(),
});
export type Invalidation = z.output<typeof invalidationSchema>;

/** Timing that near caches take over from the brokers. */
export const timingSchema = z.object({
  tickMs: milliseconds.min(1),
  maxStalenessMs: milliseconds,
  minLifetimeMs: milliseconds,
});
export type Timing = z.output<typeof timingSchema>;

/** On `heartbeat`, once a tick: where every partition stands, by a read of Redis that is `ageMs` old. */
export const heartbeatSchema = z.object({
  v: version,
  broker: identifier,
  ageMs: milliseconds,
  /** Redis time when the read was made. */
  atMs: milliseconds,
  epochs: z.array(ordinal).min(1),
  vseqs: z.array(ordinal).min(1),
  timing: timingSchema,
});
export type Heartbeat = z.output<typeof heartbeatSchema>;

/** On `ack.<caller>`: this near cache holds nothing any more that the named invalidation forbids. */
export const receiptSchema = z.object({ v: version, id: z.string().min(1).max(64), instance: identifier });
export type Receipt = z.output<typeof receiptSchema>;

/** On `flight.<slot>`, among brokers: how a flight ended. */
export const flightNoticeSchema = z.discriminatedUnion('outcome', [
  z.object({
    v: version,
    outcome: z.literal('committed'),
    broker: identifier,
    slot,
    epoch: ordinal,
    generation: ordinal,
  }),
  z.object({
    v: version,
    outcome: z.literal('failed'),
    broker: identifier,
    slot,
    recipe: z.string(),
    floor: ordinal,
    error: failureSchema,
  }),
]);
export type FlightNotice = z.output<typeof flightNoticeSchema>;

/** On `peer.<broker>`, among brokers. */
export const peerMessageSchema = z.discriminatedUnion('kind', [
  z.object({ v: version, kind: z.literal('applied'), broker: identifier, id: z.string().min(1).max(64) }),
  z.object({ v: version, kind: z.literal('reload'), broker: identifier }),
  z.object({
    v: version,
    kind: z.literal('inquiry'),
    broker: identifier,
    id: z.string().min(1).max(64),
    inquiry: inquirySchema,
  }),
  z.object({
    v: version,
    kind: z.literal('answer'),
    broker: identifier,
    id: z.string().min(1).max(64),
    report: replicaReportSchema,
  }),
]);
export type PeerMessage = z.output<typeof peerMessageSchema>;
