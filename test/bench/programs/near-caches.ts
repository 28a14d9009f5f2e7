import { createTokenBroker, type SourceHandle, type TokenBroker } from '@token-broker/client';
import { connect } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { BARE_CALLER, CALLER, PASSWORD, SOURCE } from '../stack/settings.js';
import { Arrivals } from './arrivals.js';

/** Many services in one process, each with a connection and a near cache of its own; and as many bare subscribers. */

const clients: TokenBroker[] = [];
const handles: SourceHandle[] = [];
const arrivals = new Arrivals();

const methods = {
  async open({ url, count, bareSubject }: { url: string; count: number; bareSubject: string }) {
    for (let i = 0; i < count; i++) {
      const connection = await connect({ servers: url, user: CALLER, pass: PASSWORD, inboxPrefix: `_INBOX.${CALLER}` });
      const client = createTokenBroker({ connection, caller: CALLER });
      const handle = client.source(SOURCE);
      await handle.get();
      await client.ready();
      handle.on('refreshed', arrivals.note);
      clients.push(client);
      handles.push(handle);
      const bare = await connect({ servers: url, user: BARE_CALLER, pass: PASSWORD });
      bare.subscribe(bareSubject, { callback: arrivals.note });
      await bare.flush();
    }
    return handles[0]?.slot ?? '';
  },
  /** Something comes to every near cache, or to every bare subscriber. */
  expect() {
    arrivals.expect(clients.length);
  },
  /** When the last of them had what was expected. */
  arrived: () => arrivals.last(),
  /** Requests for tokens so far, and the generations that are held. */
  state: () => ({
    requests: clients.reduce((sum, client) => sum + client.stats().requests, 0),
    generations: [...new Set(handles.map(({ current }) => current?.generation))],
  }),
};
export type NearCachesMethods = typeof methods;
serveMethods(methods);
