import { createSubjects } from '@token-broker/protocol';
import { Events, type NatsConnection, type Status, type Subscription } from 'nats';
import type { Door, Hearing, Listener } from './surroundings.js';

/** Subscribes to what brokers publish for near caches. `lost` is the connection's end. */
export function hearBrokers(
  connection: NatsConnection,
  subjectPrefix: string | undefined,
  listener: Listener,
  lost: Promise<never>,
): Hearing {
  const subjects = createSubjects(subjectPrefix);
  const subscribe = (pattern: string): Subscription =>
    connection.subscribe(pattern, {
      callback: (error, message) => {
        if (error === null) listener.message(message.subject, message.data);
        else listener.denied(pattern);
      },
    });
  const patterns = [subjects.event('*', '*'), subjects.invalidation('*'), subjects.heartbeat()];
  const subscriptions = patterns.map(subscribe);
  let isOpen = true;
  void eachStatus(connection, ({ type }) => {
    if (!isOpen) return;
    if (type === Events.Disconnect) listener.connected(false);
    if (type === Events.Reconnect) listener.connected(true);
  });
  return {
    lost,
    addSource: (source) => void subscriptions.push(subscribe(subjects.event(source, '*'))),
    close() {
      isOpen = false;
      for (const subscription of subscriptions) if (!subscription.isClosed()) subscription.unsubscribe();
    },
  };
}

/**
 * What the NATS server lets this user do. It says no before it answers a flush that was sent after the question; that it says
 * nothing is a yes.
 */
export function permissionProbe(connection: NatsConnection): Pick<Door, 'mayHear' | 'mayPublish'> {
  return {
    async mayHear(subject) {
      let isDenied = false;
      const subscription = connection.subscribe(subject, {
        callback: (error) => {
          isDenied ||= error !== null;
        },
      });
      await connection.flush();
      if (!subscription.isClosed()) subscription.unsubscribe();
      return !isDenied;
    },
    async mayPublish(subject) {
      let isDenied = false;
      let isOpen = true;
      void eachStatus(connection, ({ type, permissionContext }) => {
        if (isOpen && type === Events.Error && permissionContext?.subject === subject) isDenied = true;
      });
      connection.publish(subject);
      await connection.flush();
      // The status comes to its readers a turn later than the answer to the flush.
      await connection.flush();
      isOpen = false;
      return !isDenied;
    },
  };
}

async function eachStatus(connection: NatsConnection, note: (status: Status) => void): Promise<void> {
  for await (const status of connection.status()) note(status);
}
