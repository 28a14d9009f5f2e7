import { partitionOf, slotOf } from '@token-broker/protocol';
import type { CommitRequest, ReserveReply, SlotAddress, Store } from '../../../app/ports/store.js';

/** Of the data set that these commands are for. */
export const PARTITIONS = 4;

export function addressOf(source: string, recipe = 'recipe-1'): SlotAddress {
  const slot = slotOf(source);
  return { slot, partition: partitionOf(slot, PARTITIONS), source, provider: 'oauth2', recipe };
}

export const address = addressOf('payments-api');

export function reserve(
  store: Store,
  attempt: string,
  change: { floor?: number; want?: number; of?: SlotAddress; policy?: number; callMs?: number } = {},
): Promise<ReserveReply> {
  const { floor = 0, want = 0, of = address, policy = 0, callMs = 5_000 } = change;
  return store.reserve({ address: of, wantGreaterThan: want, floor, attempt, callMs, policy });
}

export function commitOf(
  go: Extract<ReserveReply, { kind: 'go' }>,
  attempt: string,
  change: Partial<CommitRequest> = {},
): CommitRequest {
  return {
    address,
    attempt,
    epoch: go.asOf.epoch,
    generation: go.generation,
    expiresAtMs: go.asOf.redisMs + 60_000,
    usableUntilMs: go.asOf.redisMs + 55_000,
    sealed: Buffer.from([0, 1, 2, 255]),
    tokenHash: `hash of ${attempt}`,
    policy: 0,
    channelCandidate: Buffer.from(`channel of ${attempt}`),
    sealedBy: 'k1',
    ...change,
  };
}

export async function go(
  store: Store,
  attempt: string,
  change: Parameters<typeof reserve>[2] = {},
): Promise<Extract<ReserveReply, { kind: 'go' }>> {
  const reply = await reserve(store, attempt, change);
  if (reply.kind !== 'go') throw new Error(`expected a reservation, got ${reply.kind}`);
  return reply;
}
