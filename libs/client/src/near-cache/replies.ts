import type { Timing, TokenReply } from '@token-broker/protocol';
import { createToken, type Token, type TokenContent } from '../token.js';
import { anchorOf, leastLifetimeMs, TICKS_UNTIL_SUSPECT } from './lifetime.js';
import type { NearCache } from './near-cache.js';
import type { PartitionState } from './partition-state.js';
import type { SlotState } from './slot-state.js';

/** By how much two machines' clocks may differ in their rate, and what rounding to milliseconds costs. */
const CLOCKS_DIFFER = 0.001;
const ROUNDING_MS = 5;

/** Why a token is not taken. */
export type Refusal = 'older-epoch' | 'older-generation' | 'revoked' | 'behind' | 'expiring' | 'late';

/** `once`: good for the callers who wait for it, but not kept. */
export type Taken =
  { readonly kind: 'kept' | 'once'; readonly token: Token } | { readonly kind: 'refused'; readonly why: Refusal };

/** What makes a token of a slot older than what the near cache knows already. */
export function refusalOf(
  state: SlotState,
  partition: PartitionState<SlotState>,
  token: { readonly epoch: number; readonly generation: number; readonly asOf: number },
): Refusal | undefined {
  if (token.epoch < partition.epoch || token.epoch < state.greatestEpoch) return 'older-epoch';
  // Numbers and floors of the own epoch say nothing about a newer one.
  if (token.epoch === partition.epoch) {
    if (token.generation <= partition.floors.of(state.source, state.slot)) return 'revoked';
    if (token.asOf < partition.heard) return 'behind';
  }
  if (token.epoch === state.greatestEpoch && token.generation < state.greatestGeneration) return 'older-generation';
  return undefined;
}

/**
 * How old an answer may be when it arrives. It was true as of the broker's lease at the request; after that it may have
 * waited in a buffer for as long as this process was stopped, and what it speaks of may have been revoked meanwhile.
 */
function longestUnderWayMs({ tickMs, maxStalenessMs }: Timing): number {
  return Math.max(tickMs, maxStalenessMs - TICKS_UNTIL_SUSPECT * tickMs);
}

/**
 * How long the broker has surely held the request: no longer than it was under way, but for what clocks differ. One that says
 * more has had its clock set on meanwhile, and what it says proves nothing.
 */
function heldFor(saidMs: number, underWayMs: number): number {
  if (saidMs > underWayMs * (1 + CLOCKS_DIFFER) + ROUNDING_MS) return 0;
  return Math.min(saidMs, Math.max(0, underWayMs));
}

/** Judges the reply to a request that was sent at `sentAtMs`, and keeps its token where it may be kept. */
export function takeReply(
  cache: NearCache,
  state: SlotState,
  reply: TokenReply,
  sentAtMs: number,
  nowMs: number,
): Taken {
  const { timing } = cache;
  const writtenAtMs = sentAtMs + heldFor(reply.heldMs, nowMs - sentAtMs);
  const expiresAtMs = writtenAtMs + reply.expiresInMs;
  // Also after a refused reply: it says of whose invalidations the next request has to tell.
  const partition = cache.enrol(state, reply.partition, nowMs);
  const why = refusalOf(state, partition, reply);
  if (why !== undefined) return { kind: 'refused', why };
  if (expiresAtMs - nowMs < leastLifetimeMs(reply.lifeMs, timing.minLifetimeMs))
    return { kind: 'refused', why: 'expiring' };
  if (nowMs - sentAtMs > longestUnderWayMs(timing)) return { kind: 'refused', why: 'late' };
  // A slot that the broker names otherwise, or that was pushed out meanwhile, would hear of no invalidation.
  if (!reply.verified || reply.slot !== state.slot || !state.attached)
    return { kind: 'once', token: createToken(contentOf(reply, expiresAtMs), cache.options.clock) };
  cache.hear(partition, reply.epoch, reply.asOf, nowMs);
  partition.repliedAsOf = Math.max(partition.repliedAsOf, reply.asOf);
  state.anchor = anchorOf(writtenAtMs, reply.atMs);
  // Until a sync brings another: without one, the age of heartbeats could not be judged.
  cache.anchor ??= state.anchor;
  state.channel = reply.channel;
  // The broker answered from a read of Redis that is no older than its lease.
  const trustedUntilMs = sentAtMs - TICKS_UNTIL_SUSPECT * timing.tickMs + timing.maxStalenessMs;
  const content = contentOf(reply, expiresAtMs);
  const { asOf, lifeMs } = reply;
  return { kind: 'kept', token: cache.install(state, { content, asOf, lifeMs, trustedUntilMs }, nowMs) };
}

/** One literal: an object that is spread into another one takes longer than all the rest of a reply. */
function contentOf(reply: TokenReply, expiresAtMs: number): TokenContent {
  return {
    accessToken: reply.accessToken,
    tokenType: reply.tokenType,
    scope: reply.scope,
    username: reply.username,
    epoch: reply.epoch,
    generation: reply.generation,
    verified: reply.verified,
    expiresAtMs,
  };
}
