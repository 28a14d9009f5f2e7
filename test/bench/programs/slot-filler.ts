import { createSubjects } from '@token-broker/protocol';
import { connect, type NatsConnection } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { CALLER, PASSWORD, SOURCE } from '../stack/settings.js';

/** Asks brokers for many slots, one request for each, so that they come to be held. */

const TRIES = 5;

const subject = createSubjects().get(CALLER, SOURCE);
let connection: NatsConnection | undefined;

/** Asks again where a busy machine was too slow. */
async function askFor(body: Uint8Array): Promise<void> {
  let answer = 'no reply';
  for (let tries = 0; tries < TRIES; tries++) {
    const reply = await connection?.request(subject, body, { timeout: 30_000 });
    answer = reply?.string() ?? answer;
    if (answer.includes('"accessToken"')) return;
  }
  throw new Error(answer);
}

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
        await askFor(body);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, askNext));
  },
};
export type SlotFillerMethods = typeof methods;
serveMethods(methods);
