import { connect as connect3 } from '@nats-io/transport-node';
import { createSystemClock, systemRandom } from '@token-broker/foundation';
import { encode } from '@token-broker/protocol';
import { eventually, startNats, type NatsServer } from '@token-broker/testing';
import { connect as connect2 } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NatsConnectionLike } from './nats-connection.js';
import { Requester } from './requester.js';
import { createTokenBroker } from './token-broker.js';

let server: NatsServer;

beforeAll(async () => {
  server = await startNats({
    users: [
      { user: 'all', password: 'all', permissions: { publish: { allow: ['>'] }, subscribe: { allow: ['>'] } } },
      {
        user: 'orders',
        password: 'orders',
        permissions: {
          publish: { allow: ['echo', 'nobody', 'token-broker.v1.*.orders', 'token-broker.v1.*.orders.>'] },
          subscribe: { allow: ['_INBOX.orders.>', 'token-broker.v1.>'] },
        },
      },
    ],
  });
});

afterAll(async () => {
  await server.stop();
});

interface Closable extends NatsConnectionLike {
  close(): Promise<void>;
}

const libraries: [string, (user: string) => Promise<Closable>][] = [
  [
    'nats 2.x',
    (user) => connect2({ servers: server.url, user, pass: user, maxReconnectAttempts: -1, reconnectTimeWait: 50 }),
  ],
  [
    '@nats-io/transport-node 3.x',
    (user) => connect3({ servers: server.url, user, pass: user, maxReconnectAttempts: -1, reconnectTimeWait: 50 }),
  ],
];

describe.each(libraries)('over a connection of %s', (_library, connect) => {
  it('requests are answered, refused and unheard as they should be', async () => {
    const responder = await connect2({ servers: server.url, user: 'all', pass: 'all' });
    responder.subscribe('echo', { callback: (_error, message) => void message.respond(message.data) });
    await responder.flush();
    const connection = await connect('orders');
    const clock = createSystemClock();
    const requester = new Requester({ connection, clock, caller: 'orders', instance: 'i1' });
    const texts = Array.from({ length: 500 }, (_, index) => `message ${String(index)}`);
    const replies = await Promise.all(texts.map((text) => requester.request('echo', encode(text), 5_000)));
    expect(replies.map((reply) => JSON.parse(new TextDecoder().decode(reply)) as unknown)).toEqual(texts);
    await expect(requester.request('nobody', encode(1), 5_000)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    requester.close();
    expect(connection.isClosed()).toBe(false);
    await Promise.all([connection.close(), responder.close()]);
  });

  it('a client learns at once that the server forbids what it asks, and gets over a restart of the server', async () => {
    const connection = await connect('orders');
    const own = createTokenBroker({ connection, caller: 'orders', clock: createSystemClock(), random: systemRandom });
    await expect(own.source('payments').get()).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    const others = createTokenBroker({ connection, caller: 'orders-admin', clock: createSystemClock() });
    await expect(others.source('payments').get()).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const sourceless = own.source('other');
    await server.restart();
    await eventually(
      async () => {
        const code = await sourceless
          .get({ timeoutMs: 2_000 })
          .catch((error: unknown) => (error as { code: string }).code);
        return code === 'BROKER_UNAVAILABLE';
      },
      { what: 'the answer of the server that was started again', withinMs: 10_000 },
    );
    await own.close();
    // One whose connection went first has nothing to say any more, and is quiet about it.
    await connection.close();
    await others.close();
  });
});
