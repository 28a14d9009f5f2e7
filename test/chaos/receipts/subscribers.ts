import { createSystemClock, delay, randomId, systemRandom } from '@token-broker/foundation';
import { createSubjects, decode, encode, invalidationSchema, LIMITS } from '@token-broker/protocol';
import { connect, type NatsConnection } from 'nats';
import { READY, type SubscriberSettings } from './subscriber-settings.js';

/**
 * Near caches as NATS and brokers see them, many on one connection: each has a subscription of its own, reports to the
 * brokers every 30 s, and confirms each invalidation. They hold nothing, so that a machine has room for ten thousand.
 */
const REPORT_EVERY_MS = 30_000;
const REPORTS_AT_ONCE = 50;

const settings = JSON.parse(process.argv[2] ?? '{}') as SubscriberSettings;
const { address, caller, password, connections, subscriptions } = settings;
const clock = createSystemClock();
const subjects = createSubjects();
process.on('SIGTERM', () => process.exit(0));

interface Subscriber {
  readonly connection: NatsConnection;
  readonly instance: string;
}

const subscribers: Subscriber[] = [];
for (let i = 0; i < connections; i++) {
  const connection = await connect({ servers: address, user: caller, pass: password, inboxPrefix: `_INBOX.${caller}` });
  for (let j = 0; j < subscriptions; j++) subscribers.push(subscribe(connection, subscribers.length < settings.silent));
  await connection.flush();
}
await reportAll();
process.stdout.write(`${READY}\n`);
for (;;) {
  // The timer keeps no process alive, but the connections do.
  await delay(clock, REPORT_EVERY_MS);
  await reportAll();
}

function subscribe(connection: NatsConnection, isSilent: boolean): Subscriber {
  const instance = randomId(systemRandom);
  connection.subscribe(subjects.invalidation('*'), {
    callback: (_error, { data }) => {
      const message = decode(invalidationSchema, data, LIMITS.replyBytes);
      if (!message.ok || message.value.receipts !== true || isSilent) return;
      connection.publish(subjects.ack(caller), encode({ v: 1, id: message.value.id, instance }));
    },
  });
  return { connection, instance };
}

async function reportAll(): Promise<void> {
  for (let i = 0; i < subscribers.length; i += REPORTS_AT_ONCE)
    await Promise.all(
      subscribers
        .slice(i, i + REPORTS_AT_ONCE)
        .map(({ connection, instance }) =>
          connection.request(subjects.sync(caller), encode({ v: 1, instance }), { timeout: 20_000 }),
        ),
    );
}
