import { createTokenBroker, type TokenBroker } from '@token-broker/client';
import { connect, type NatsConnection } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { BARE_CALLER, BARE_EVENT, BARE_RECEIPT, CALLER, PASSWORD, SOURCE } from '../stack/settings.js';
import { Arrivals } from './arrivals.js';

/** Thousands of near caches in one process, many on one connection; and as many bare subscribers on as many connections. */

/** Near caches that ask for their token at the same time. */
const ASKED_AT_ONCE = 64;

export type FleetEvent = 'heartbeat' | 'revoked' | 'bare';

const clients: TokenBroker[] = [];
const arrivals: Record<FleetEvent, Arrivals> = {
  heartbeat: new Arrivals(),
  revoked: new Arrivals(),
  bare: new Arrivals(),
};
let receipt: Uint8Array = new Uint8Array();

async function openConnection(url: string, user: string): Promise<NatsConnection> {
  return connect({ servers: url, user, pass: PASSWORD, inboxPrefix: `_INBOX.${user}` });
}

const methods = {
  async open({ url, connections, perConnection }: { url: string; connections: number; perConnection: number }) {
    for (let i = 0; i < connections; i++) {
      const connection = await openConnection(url, CALLER);
      const bare = await openConnection(url, BARE_CALLER);
      for (let j = 0; j < perConnection; j++) {
        const client = createTokenBroker({ connection, caller: CALLER, refetchOnRevoke: false });
        client.on('heartbeat', arrivals.heartbeat.note);
        client.on('revoked', arrivals.revoked.note);
        clients.push(client);
        bare.subscribe(BARE_EVENT, {
          callback: () => {
            if (receipt.length > 0) bare.publish(BARE_RECEIPT, receipt);
            arrivals.bare.note();
          },
        });
      }
      await bare.flush();
      await Promise.all(clients.slice(-perConnection).map((client) => client.ready({ timeoutMs: 60_000 })));
    }
  },
  /** Has every near cache hold the token of the source. Its slot. */
  async hold() {
    for (let from = 0; from < clients.length; from += ASKED_AT_ONCE)
      await Promise.all(
        clients.slice(from, from + ASKED_AT_ONCE).map((client) => client.source(SOURCE).get({ timeoutMs: 60_000 })),
      );
    return clients[0]?.source(SOURCE).slot ?? '';
  },
  /** What bare subscribers answer with from now on; nothing: they do not. */
  answerWith(bytes: Uint8Array) {
    receipt = bytes;
  },
  /** Something comes to every near cache, or to every bare subscriber. */
  expect(kind: FleetEvent) {
    arrivals[kind].expect(clients.length);
  },
  /** When the last of them had what was expected. */
  arrived: (kind: FleetEvent) => arrivals[kind].last(),
};
export type SubscriptionFleetMethods = typeof methods;
serveMethods(methods);
