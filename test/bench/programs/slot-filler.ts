import { createSubjects } from '@token-broker/protocol';
import { connect, type NatsConnection } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { CALLER, PASSWORD, SOURCE } from '../stack/settings.js';

/** Asks brokers for many slots, one request for each, so that they come to be held. */

const subject = createSubjects().get(CALLER, SOURCE);
let connection: NatsConnection | undefined;

const methods = {
  async open(url: string) {
    connection = await connect({ servers: url, user: CALLER, pass: PASSWORD, inboxPrefix: `_INBOX.${CALLER}` });
  },
  /** Asks for the slots with these numbers. */
  async ask({ from, count, inFlight }: { from: number; count: number; inFlight: number }) {
    let next = from;
    const askNext = async (): Promise<void> => {
      while (next < from + count) {
        const body = Buffer.from(JSON.stringify({ audience: `https://api-${String(next++)}.example.com` }));
        const reply = await connection?.request(subject, body, { timeout: 30_000 });
        if (reply?.string().includes('"accessToken"') !== true) throw new Error(reply?.string() ?? 'no reply');
      }
    };
    await Promise.all(Array.from({ length: inFlight }, askNext));
  },
};
export type SlotFillerMethods = typeof methods;
serveMethods(methods);
