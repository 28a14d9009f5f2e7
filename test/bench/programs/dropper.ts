import { createTokenBroker, type SourceHandle } from '@token-broker/client';
import { connect } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { BARE_CALLER, CALLER, PASSWORD, SOURCE } from '../stack/settings.js';
import { Arrivals } from './arrivals.js';

/** A service whose near cache drops what is revoked, and a bare subscriber beside it that deletes from a map. */

const map = new Map<string, Uint8Array>();
let handle: SourceHandle | undefined;
const drops = new Arrivals();

const methods = {
  async open({ url, bareSubject }: { url: string; bareSubject: string }) {
    const connection = await connect({ servers: url, user: CALLER, pass: PASSWORD, inboxPrefix: `_INBOX.${CALLER}` });
    const client = createTokenBroker({ connection, caller: CALLER });
    await client.ready();
    handle = client.source(SOURCE);
    handle.on('revoked', drops.note);
    const bare = await connect({ servers: url, user: BARE_CALLER, pass: PASSWORD });
    bare.subscribe(bareSubject, {
      callback: (_error, message) => {
        map.delete(message.subject);
        drops.note();
      },
    });
    await bare.flush();
    return handle.slot;
  },
  /** Resolves when the token is held. */
  async hold() {
    await handle?.get();
  },
  holdBare(subject: string) {
    map.set(subject, new Uint8Array());
  },
  /** The next drop is the one of interest. */
  expect() {
    drops.expect(1);
  },
  /** When it was over. */
  dropped: () => drops.last(),
};
export type DropperMethods = typeof methods;
serveMethods(methods);
