import { connect } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { BARE_RESPONDER, PASSWORD } from '../stack/settings.js';

/** The least that can answer requests over NATS: one bare connection, one buffer that was serialised once. */

const methods = {
  /** Answers every request on a subject with the same bytes. */
  async serve({ url, subject, reply }: { url: string; subject: string; reply: Uint8Array }) {
    const connection = await connect({ servers: url, user: BARE_RESPONDER, pass: PASSWORD });
    connection.subscribe(subject, {
      queue: BARE_RESPONDER,
      callback: (_error, message) => {
        message.respond(reply);
      },
    });
    await connection.flush();
  },
};
export type BareResponderMethods = typeof methods;
serveMethods(methods);
