import type { Clock, Timer } from '@token-broker/foundation';
import type { NatsConnection, Subscription as NatsSubscription } from 'nats';
import type { Bus } from '../../app/ports/bus.js';
import type { Log } from '../../app/ports/telemetry.js';
import { flushWithin, textOf, type NatsLink } from './nats-connection.js';

/** The pause before a subscription is tried again that the server has refused: permissions may be restored. */
const REFUSED_PAUSE_MS = 5_000;

/** {@link Bus} over one connection. Payloads are not copied: they must not be changed after `publish`. */
export function createNatsBus(options: {
  readonly connection: NatsLink;
  readonly clock: Clock;
  readonly log: Log;
}): Bus {
  const { connection: link, clock, log } = options;
  return {
    publish(subject, payload) {
      const connection = link.current();
      // The driver would take the message while it is disconnected, and lose it without a word.
      if (connection === undefined || !link.isConnected()) return false;
      try {
        connection.publish(subject, payload);
        return true;
      } catch (error) {
        log.error('a message could not be published', { subject, bytes: payload.length, detail: textOf(error) });
        return false;
      }
    },

    subscribe(subject, handle) {
      let subscription: NatsSubscription | undefined;
      let retry: Timer | undefined;
      let closed = false;

      const open = (connection: NatsConnection): void => {
        if (closed || connection.isClosed()) return;
        subscription = connection.subscribe(subject, {
          callback: (error, message) => {
            if (error !== null) {
              // The driver has dropped the subscription and would not bring it back over a reconnect.
              log.error('NATS refused a subscription', { subject, detail: textOf(error) });
              retry = clock.startTimer(REFUSED_PAUSE_MS, () => open(connection));
              return;
            }
            try {
              handle(message.data, message.subject);
            } catch (thrown) {
              // A throw into the driver would end its reader, and with it the connection.
              log.error('the handler of a message failed', { subject, detail: textOf(thrown) });
            }
          },
        });
      };

      const detach = link.eachConnection(open);
      return {
        close() {
          if (closed) return;
          closed = true;
          detach();
          retry?.cancel();
          if (subscription?.isClosed() === false) subscription.unsubscribe();
        },
      };
    },

    isConnected: () => link.isConnected(),

    async flush(limitMs) {
      const connection = link.current();
      return connection !== undefined && link.isConnected() && (await flushWithin(connection, clock, limitMs));
    },

    onConnectionChange: (handle) => link.onConnectionChange(handle),
  };
}
