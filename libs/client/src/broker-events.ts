import {
  decode,
  encode,
  heartbeatSchema,
  invalidationSchema,
  isUsualHeartbeat,
  isUsualInvalidation,
  isUsualRefreshedEvent,
  LIMITS,
  refreshedEventSchema,
} from '@token-broker/protocol';
import type { Heartbeat, Invalidation, Receipt, RefreshedEvent, Subjects } from '@token-broker/protocol';
import { EventSubscriptions } from './event-subscriptions.js';
import type { ClientLogger } from './logger.js';
import type { NatsCallback, NatsConnectionLike, NatsSubscriptionLike } from './nats-connection.js';
import { ReadingOnce } from './reading-once.js';

/** Of this process: all of its near caches hear the same heartbeats, and often the same events. */
const heartbeats = new ReadingOnce((data) => decode(heartbeatSchema, data, LIMITS.replyBytes, isUsualHeartbeat));
const invalidations = new ReadingOnce((data) =>
  decode(invalidationSchema, data, LIMITS.replyBytes, isUsualInvalidation),
);
const refreshedEvents = new ReadingOnce((data) =>
  decode(refreshedEventSchema, data, LIMITS.replyBytes, isUsualRefreshedEvent),
);

export interface BrokerEventsOptions {
  readonly connection: NatsConnectionLike;
  readonly subjects: Subjects;
  readonly caller: string;
  readonly instance: string;
  readonly logger: ClientLogger;
  readonly heartbeat: (heartbeat: Heartbeat) => void;
  readonly invalidation: (invalidation: Invalidation) => void;
  readonly refreshed: (event: RefreshedEvent) => void;
  /** A message that cannot be read: something may have been missed. */
  readonly unreadable: () => void;
}

/** Listens to what brokers publish, and confirms what they want confirmed. */
export class BrokerEvents {
  readonly slots: EventSubscriptions;
  readonly #subscriptions: readonly NatsSubscriptionLike[];
  readonly #leave = [heartbeats, invalidations, refreshedEvents].map((shared) => shared.join());

  constructor(options: BrokerEventsOptions) {
    const { connection, subjects, caller, instance } = options;
    const ackSubject = subjects.ack(caller);
    const listening = (name: string, handle: (data: Uint8Array) => string | undefined): NatsCallback => {
      const problemOf: (...given: Parameters<NatsCallback>) => string | undefined = (error, message) => {
        if (error !== null) return error.message;
        try {
          return handle(message.data);
        } catch (thrown) {
          // A callback that throws ends the reader of the connection, which is the application's.
          return `a fault of this client: ${String(thrown)}`;
        }
      };
      return (error, message) => {
        const problem = problemOf(error, message);
        if (problem === undefined) return;
        options.logger.warn(`${name}: ${problem}`);
        options.unreadable();
      };
    };
    const heartbeat = listening('a heartbeat cannot be read', (data) => {
      const message = heartbeats.read(data);
      if (!message.ok) return message.error;
      options.heartbeat(message.value);
      return undefined;
    });
    const invalidation = listening('an invalidation cannot be read', (data) => {
      const message = invalidations.read(data);
      if (!message.ok) return message.error;
      options.invalidation(message.value);
      if (message.value.receipts === true) {
        const receipt: Receipt = { v: 1, id: message.value.id, instance };
        connection.publish(ackSubject, encode(receipt));
      }
      return undefined;
    });
    const refreshed = listening('an event cannot be read', (data) => {
      const message = refreshedEvents.read(data);
      if (!message.ok) return message.error;
      options.refreshed(message.value);
      return undefined;
    });
    this.#subscriptions = [
      connection.subscribe(subjects.invalidation('*'), { callback: invalidation }),
      connection.subscribe(subjects.heartbeat(), { callback: heartbeat }),
    ];
    this.slots = new EventSubscriptions(connection, subjects, refreshed);
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.slots.close();
    for (const leave of this.#leave) leave();
  }
}
