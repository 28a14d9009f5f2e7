import { connect, type NatsConnection } from 'nats';
import { machineNs } from '../harness/machine.js';
import { serveMethods } from '../harness/serve-methods.js';
import { BARE_RECEIPT, BARE_RESPONDER, PASSWORD } from '../stack/settings.js';
import { Arrivals } from './arrivals.js';
import { lastWireNs } from './wire-times.js';

/** Publishes given bytes over a bare connection, as a broker does its events. */

let connection: NatsConnection | undefined;
const answers = new Arrivals();

const methods = {
  async open(url: string) {
    connection = await connect({ servers: url, user: BARE_RESPONDER, pass: PASSWORD });
    connection.subscribe(BARE_RECEIPT, {
      callback: answers.note,
    });
    await connection.flush();
  },
  /** So many answers will come to what is published next. */
  expectAnswers(count: number) {
    answers.expect(count);
  },
  /** When the last of them had come. */
  answered: () => answers.last(),
  /** Publishes; when the bytes were given to the connection, and when they left the process. */
  async publish({ subject, data }: { subject: string; data: Uint8Array }) {
    const publishedAtNs = machineNs();
    connection?.publish(subject, data);
    await connection?.flush();
    return { publishedAtNs, wiredAtNs: lastWireNs() };
  },
};
export type BarePublisherMethods = typeof methods;
serveMethods(methods);
