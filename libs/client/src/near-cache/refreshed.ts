import type { RefreshedEvent } from '@token-broker/protocol';
import { refreshFrom } from './entry.js';
import { anchored, leastLifetimeMs } from './lifetime.js';
import type { NearCache } from './near-cache.js';
import { openPush, rememberPush } from './pushed-tokens.js';
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
  if (isOwnEpoch && refusal === undefined && takePush(cache, state, event, nowMs)) return;
  const entry = cache.entryOf(state, nowMs);
  if (entry !== undefined) {
    const { tickMs, minLifetimeMs } = cache.timing;
    const fromMs = nowMs + cache.options.random.uniform() * tickMs;
    refreshFrom(entry, Math.min(entry.refreshAtMs, fromMs), minLifetimeMs);
  }
}

function takePush(cache: NearCache, state: SlotState, event: RefreshedEvent, nowMs: number): boolean {
  const { channel, anchor, cohort } = state;
  // What is held is dropped by the invalidations of the partition that the last reply named.
  if (cohort?.partition.index !== event.partition) return false;
  const token = openPush(cache.options.aead, channel, event);
  if (token === undefined || channel === undefined || anchor === undefined) return false;
  // Each of the three is early rather than late, whatever the clocks have done since; so the earliest is right.
  const expiresAtMs = Math.min(
    anchored(anchor, event.expiresAtMs),
    cache.anchor === undefined ? Number.POSITIVE_INFINITY : anchored(cache.anchor, event.expiresAtMs),
    nowMs + event.lifeMs,
  );
  if (expiresAtMs - nowMs < leastLifetimeMs(event.lifeMs, cache.timing.minLifetimeMs)) return false;
  const content = {
    accessToken: token.accessToken,
    tokenType: token.tokenType,
    scope: token.scope,
    username: token.username,
    epoch: event.epoch,
    generation: event.generation,
    verified: true,
    expiresAtMs,
  };
  const { asOf, lifeMs } = event;
  // An event proves nothing about the present: its partition has to.
  const trustedUntilMs = Number.NEGATIVE_INFINITY;
  cache.counters.pushes += 1;
  cache.install(state, { content, asOf, lifeMs, trustedUntilMs }, nowMs);
  rememberPush(channel, event, content);
  return true;
}
