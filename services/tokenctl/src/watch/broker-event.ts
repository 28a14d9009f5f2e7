import {
  decode,
  heartbeatSchema,
  invalidationSchema,
  LIMITS,
  refreshedEventSchema,
  type Change,
  type Heartbeat,
} from '@token-broker/protocol';

/** What `watch` shows, as it is printed with `--json`. */
export type BrokerEvent =
  | {
      readonly event: 'refreshed';
      readonly source: string;
      readonly slot: string;
      readonly generation: number;
      readonly lifeMs: number;
    }
  | {
      readonly event: 'invalidated';
      /** Of the revocation, or of the report of a rejected token. */
      readonly id: string;
      readonly sources: readonly string[];
      readonly slots: readonly string[];
      /** Everything in some partitions, of whichever source. */
      readonly everything: boolean;
      readonly partitions: number;
    }
  | { readonly event: 'heartbeat'; readonly broker: string }
  | { readonly event: 'heartbeat-missing'; readonly forMs: number }
  | { readonly event: 'new-epoch'; readonly partitions: readonly number[] }
  | { readonly event: 'nats-away' }
  | { readonly event: 'nats-back' }
  | { readonly event: 'denied'; readonly subject: string }
  | { readonly event: 'not-understood'; readonly subject: string; readonly why: string };

export type Heard =
  | { readonly kind: 'heartbeat'; readonly heartbeat: Heartbeat }
  | { readonly kind: 'event'; readonly event: BrokerEvent };

/** What one message of the brokers says. */
export function heard(subject: string, data: Uint8Array): Heard {
  const kind = subject.split('.')[2];
  const notUnderstood = (why: string): Heard => ({ kind: 'event', event: { event: 'not-understood', subject, why } });
  if (kind === 'heartbeat') {
    const decoded = decode(heartbeatSchema, data, LIMITS.replyBytes);
    return decoded.ok ? { kind: 'heartbeat', heartbeat: decoded.value } : notUnderstood(decoded.error);
  }
  if (kind === 'invalidation') {
    const decoded = decode(invalidationSchema, data, LIMITS.replyBytes);
    return decoded.ok
      ? { kind: 'event', event: invalidated(decoded.value.id, decoded.value.changes) }
      : notUnderstood(decoded.error);
  }
  const decoded = decode(refreshedEventSchema, data, LIMITS.replyBytes);
  if (!decoded.ok) return notUnderstood(decoded.error);
  const { source, slot, generation, lifeMs } = decoded.value;
  return { kind: 'event', event: { event: 'refreshed', source, slot, generation, lifeMs } };
}

function invalidated(id: string, changes: readonly Change[]): BrokerEvent {
  return {
    event: 'invalidated',
    id,
    sources: [...new Set(changes.flatMap(({ sources = [] }) => sources))],
    slots: [...new Set(changes.flatMap(({ slot }) => (slot === undefined ? [] : [slot])))],
    everything: changes.some(({ slot, sources }) => slot === undefined && sources === undefined),
    partitions: new Set(changes.map(({ partition }) => partition)).size,
  };
}
