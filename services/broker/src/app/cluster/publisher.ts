import type { Aead } from '@token-broker/foundation';
import {
  encode,
  pushAdditionalData,
  type Channel,
  type Failure,
  type FlightNotice,
  type Heartbeat,
  type Inquiry,
  type Invalidation,
  type PeerMessage,
  type RefreshedEvent,
  type ReplicaReport,
  type Subjects,
} from '@token-broker/protocol';
import { handedOut } from '../../domain/token.js';
import type { Held } from '../tokens/held.js';
import type { Bus } from '../ports/bus.js';
import type { SlotAddress } from '../ports/store.js';
import type { Metrics } from '../ports/telemetry.js';

/** Everything that this broker says without being asked. Hints that make things fast: the truth is in the store. */
export class Publisher {
  readonly #bus: Bus;
  readonly #subjects: Subjects;
  readonly #aead: Aead;
  readonly #metrics: Metrics;
  readonly #broker: string;

  constructor(ports: { bus: Bus; subjects: Subjects; aead: Aead; metrics: Metrics }, broker: string) {
    this.#bus = ports.bus;
    this.#subjects = ports.subjects;
    this.#aead = ports.aead;
    this.#metrics = ports.metrics;
    this.#broker = broker;
  }

  /** Tells near caches that a newer token counts; with a channel the token itself, sealed for those who hold the key. */
  refreshed(held: Held, channel: Channel | undefined): void {
    const { address, epoch, generation } = held;
    const event: RefreshedEvent = {
      v: 1,
      kind: 'refreshed',
      source: address.source,
      slot: address.slot,
      partition: address.partition,
      epoch,
      generation,
      asOf: held.asOfVseq,
      expiresAtMs: held.expiresAtMs,
      lifeMs: Math.floor(held.lifeMs),
      ...(channel === undefined
        ? {}
        : { push: { channelVersion: channel.version, sealed: this.#seal(held, channel) } }),
    };
    const delivered = this.#bus.publish(this.#subjects.event(address.source, address.slot), encode(event));
    this.#metrics.eventPublished('refreshed', delivered);
  }

  flightCommitted(held: Held): void {
    const { address, epoch, generation } = held;
    this.#flight({ v: 1, outcome: 'committed', broker: this.#broker, slot: address.slot, epoch, generation });
  }

  flightFailed(address: SlotAddress, floor: number, error: Failure): void {
    this.#flight({
      v: 1,
      outcome: 'failed',
      broker: this.#broker,
      slot: address.slot,
      recipe: address.recipe,
      floor,
      error,
    });
  }

  /** `false`: known not to have left this process. */
  invalidation(message: Invalidation): boolean {
    const partitions = new Set(message.changes.map(({ partition }) => partition));
    const [only] = partitions;
    const subject = this.#subjects.invalidation(partitions.size === 1 && only !== undefined ? only : 'all');
    const delivered = this.#bus.publish(subject, encode(message));
    this.#metrics.eventPublished('invalidation', delivered);
    return delivered;
  }

  /** Resolves to whether NATS has taken what was published so far, as far as it says so within `limitMs`. */
  taken(limitMs: number): Promise<boolean> {
    return this.#bus.flush(limitMs);
  }

  heartbeat(heartbeat: Omit<Heartbeat, 'v' | 'broker'>): void {
    const delivered = this.#bus.publish(
      this.#subjects.heartbeat(),
      encode({ v: 1, broker: this.#broker, ...heartbeat } satisfies Heartbeat),
    );
    this.#metrics.eventPublished('heartbeat', delivered);
  }

  /** Confirms to the broker that revokes: nothing of this invalidation is answered from here any more. */
  applied(to: string, id: string): void {
    this.#peer(to, { v: 1, kind: 'applied', broker: this.#broker, id });
  }

  /** Asks every broker to read its configuration again. */
  reload(): void {
    this.#peer('all', { v: 1, kind: 'reload', broker: this.#broker });
  }

  /** Asks every peer. `false`: known not to have left this process. */
  inquire(id: string, inquiry: Inquiry): boolean {
    return this.#peer('all', { v: 1, kind: 'inquiry', broker: this.#broker, id, inquiry });
  }

  answer(to: string, id: string, report: ReplicaReport): void {
    this.#peer(to, { v: 1, kind: 'answer', broker: this.#broker, id, report });
  }

  #peer(to: string, message: PeerMessage): boolean {
    return this.#bus.publish(this.#subjects.peer(to), encode(message));
  }

  #flight(notice: FlightNotice): void {
    this.#bus.publish(this.#subjects.flight(notice.slot), encode(notice));
  }

  #seal(held: Held, channel: Channel): string {
    const binding = {
      slot: held.address.slot,
      epoch: held.epoch,
      generation: held.generation,
      channelVersion: channel.version,
    };
    const plaintext = encode(handedOut(held.token));
    const sealed = this.#aead.seal(Buffer.from(channel.key, 'base64url'), plaintext, pushAdditionalData(binding));
    return Buffer.from(sealed).toString('base64url');
  }
}
