import {
  decode,
  LIMITS,
  pushAdditionalData,
  pushedTokenSchema,
  type PushedToken,
  type RefreshedEvent,
} from '@token-broker/protocol';
import { anchored, leastLifetimeMs } from './lifetime.js';
import type { NearCache } from './near-cache.js';
import type { PartitionState } from './partition-state.js';
import { refusalOf } from './replies.js';
import { noticeGeneration, type SlotState } from './slot-state.js';

/**
 * Hears that a newer token counts. With a push that this near cache can open, it takes the place of the held one and no
 * request is made; without, the held one, which is still good, is renewed by a request when it is next used.
 */
export function takeRefreshed(cache: NearCache, event: RefreshedEvent, nowMs: number): void {
  const state = cache.find(event.slot);
  if (state?.source !== event.source) return;
  const partition = cache.partition(event.partition);
  const isOwnEpoch = event.epoch === partition.epoch;
  const refusal = refusalOf(state, partition, event);
  if (cache.hear(partition, event.epoch, event.asOf, nowMs) === 'older') return;
  if (refusal !== undefined && refusal !== 'behind') return;
  if (event.epoch === state.greatestEpoch && event.generation <= state.takenGeneration) return;
  noticeGeneration(state, event.epoch, event.generation);
  if (isOwnEpoch && refusal === undefined && takePush(cache, state, partition, event, nowMs)) return;
  if (state.entry !== undefined)
    cache.refreshFrom(state.entry, nowMs + cache.options.random.uniform() * cache.timing.tickMs);
}

function takePush(
  cache: NearCache,
  state: SlotState,
  partition: PartitionState<SlotState>,
  event: RefreshedEvent,
  nowMs: number,
): boolean {
  const token = openPush(cache, state, event);
  if (token === undefined || state.anchor === undefined) return false;
  // Each of the three is early rather than late, whatever the clocks have done since; so the earliest is right.
  const expiresAtMs = Math.min(
    anchored(state.anchor, event.expiresAtMs),
    cache.anchor === undefined ? Number.POSITIVE_INFINITY : anchored(cache.anchor, event.expiresAtMs),
    nowMs + event.lifeMs,
  );
  if (expiresAtMs - nowMs < leastLifetimeMs(event.lifeMs, cache.timing.minLifetimeMs)) return false;
  const arrival = {
    content: {
      accessToken: token.accessToken,
      tokenType: token.tokenType,
      scope: token.scope,
      username: token.username,
      epoch: event.epoch,
      generation: event.generation,
      verified: true,
      expiresAtMs,
    },
    asOf: event.asOf,
    lifeMs: event.lifeMs,
    // An event proves nothing about the present: its partition has to.
    trustedUntilMs: Number.NEGATIVE_INFINITY,
  };
  cache.counters.pushes += 1;
  cache.install(state, partition, arrival, nowMs);
  return true;
}

function openPush(cache: NearCache, state: SlotState, event: RefreshedEvent): PushedToken | undefined {
  const { push } = event;
  if (push === undefined || push.channelVersion !== state.channel?.version) return undefined;
  const { slot, epoch, generation } = event;
  const bound = pushAdditionalData({ slot, epoch, generation, channelVersion: push.channelVersion });
  const plain = cache.options.aead.open(
    Buffer.from(state.channel.key, 'base64url'),
    Buffer.from(push.sealed, 'base64url'),
    bound,
  );
  if (plain === undefined) return undefined;
  const token = decode(pushedTokenSchema, plain, LIMITS.replyBytes);
  return token.ok ? token.value : undefined;
}
