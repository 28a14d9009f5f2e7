import type { Subjects } from '@token-broker/protocol';
import type { NatsCallback, NatsConnectionLike, NatsSubscriptionLike } from './nats-connection.js';

/** Subscriptions to single slots; a source that would need one more is heard as a whole. */
export const MAX_SLOT_SUBSCRIPTIONS = 1_000;
/** A source that is heard as a whole is heard by slot again when so few are left: far below, so that it does not swing. */
const FEW_SLOTS = MAX_SLOT_SUBSCRIPTIONS / 4;

interface SourceSubscriptions {
  /** The slots that are listened to, each with its own subscription while there is no wildcard. */
  readonly slots: Map<string, NatsSubscriptionLike | undefined>;
  wildcard: NatsSubscriptionLike | undefined;
}

/** Which event subjects this client listens to. */
export class EventSubscriptions {
  readonly #connection: NatsConnectionLike;
  readonly #subjects: Subjects;
  readonly #callback: NatsCallback;
  readonly #sources = new Map<string, SourceSubscriptions>();
  #slotSubscriptions = 0;

  constructor(connection: NatsConnectionLike, subjects: Subjects, callback: NatsCallback) {
    this.#connection = connection;
    this.#subjects = subjects;
    this.#callback = callback;
  }

  /**
   * Listens to a slot from now on. A request that is published after this on the same connection needs no flush in
   * between: the server handles what one connection sends in order, so that it knows of the subscription first.
   */
  add(source: string, slot: string): void {
    const known = this.#sources.get(source);
    if (known?.slots.has(slot) === true) return;
    const subscriptions: SourceSubscriptions = known ?? { slots: new Map(), wildcard: undefined };
    this.#sources.set(source, subscriptions);
    if (subscriptions.wildcard === undefined && this.#slotSubscriptions < MAX_SLOT_SUBSCRIPTIONS) {
      subscriptions.slots.set(slot, this.#subscribe(source, slot));
      this.#slotSubscriptions += 1;
      return;
    }
    subscriptions.slots.set(slot, undefined);
    if (subscriptions.wildcard === undefined) this.#widen(source, subscriptions);
  }

  remove(source: string, slot: string): void {
    const subscriptions = this.#sources.get(source);
    if (subscriptions === undefined) return;
    this.#end(subscriptions.slots.get(slot));
    subscriptions.slots.delete(slot);
    if (subscriptions.slots.size === 0) {
      subscriptions.wildcard?.unsubscribe();
      this.#sources.delete(source);
    } else if (subscriptions.wildcard !== undefined) this.#narrow(source, subscriptions);
  }

  close(): void {
    for (const [source, { slots }] of [...this.#sources])
      for (const slot of [...slots.keys()]) this.remove(source, slot);
  }

  #widen(source: string, subscriptions: SourceSubscriptions): void {
    subscriptions.wildcard = this.#subscribe(source, '*');
    // Only now, so that no event falls between the two.
    for (const [single, subscription] of subscriptions.slots) {
      this.#end(subscription);
      subscriptions.slots.set(single, undefined);
    }
  }

  /** After a rush of slots: the events of all other clients' slots need not be heard any more. */
  #narrow(source: string, subscriptions: SourceSubscriptions): void {
    const { slots, wildcard } = subscriptions;
    if (slots.size > FEW_SLOTS || this.#slotSubscriptions + slots.size > MAX_SLOT_SUBSCRIPTIONS) return;
    // The wildcard ends last, so that no event falls between the two; hearing one twice does nothing more.
    for (const slot of slots.keys()) slots.set(slot, this.#subscribe(source, slot));
    this.#slotSubscriptions += slots.size;
    wildcard?.unsubscribe();
    subscriptions.wildcard = undefined;
  }

  #subscribe(source: string, slot: string): NatsSubscriptionLike {
    return this.#connection.subscribe(this.#subjects.event(source, slot), { callback: this.#callback });
  }

  #end(subscription: NatsSubscriptionLike | undefined): void {
    if (subscription === undefined) return;
    subscription.unsubscribe();
    this.#slotSubscriptions -= 1;
  }
}
