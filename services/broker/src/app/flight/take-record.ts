import { failure } from '@token-broker/protocol';
import { failed, type FlightOutcome, type FlightPlan, type FlightPorts } from './flight-plan.js';
import { Held } from '../tokens/held.js';
import type { Hit } from '../ports/store.js';

/**
 * `stale`: older than an invalidation that is known, or not above the wish. `unreadable`: what is stored is damaged, or only
 * a later version of the broker can read it; only a token above it will do.
 */
export type Taken = FlightOutcome | { readonly kind: 'stale' } | { readonly kind: 'unreadable' };

/** Makes an answer of the store's record, if it is one. */
export function takeRecord(ports: FlightPorts, plan: FlightPlan, hit: Hit, wantGreaterThan: number): Taken {
  const { memory, codec, log, metrics, timing } = ports;
  const { address } = plan;
  if (!memory.accepts(address.partition, hit.asOf)) return { kind: 'stale' };
  if (hit.record.generation <= wantGreaterThan) return { kind: 'stale' };
  const content = codec.open(address, hit);
  if (!content.ok) {
    metrics.recordUnreadable(content.error);
    log.error('store: a record cannot be opened', { source: address.source, slot: address.slot, why: content.error });
    // While versions are mixed, the older ones fetch for themselves: what they write, the later ones can read.
    if (content.error !== 'unknown-key') return { kind: 'unreadable' };
    // Another replica may have the key: an error, never a deletion.
    return failed(
      failure('STORE_UNAVAILABLE', 'the stored token is sealed under a key that this replica does not have'),
    );
  }
  const channel = codec.openChannel(address, hit.asOf.epoch, hit.channel);
  const held = new Held(
    {
      address,
      ...content.value,
      generation: hit.record.generation,
      expiresAtMs: hit.record.expiresAtMs,
      asOf: hit.asOf,
      ...(channel === undefined ? {} : { channel }),
    },
    timing,
    plan.wantedAtMs,
    plan.caller,
  );
  return { kind: 'token', held: memory.put(held), layer: 'redis' };
}
