import { createSystemClock, Redacted } from '@token-broker/foundation';
import type { NatsConfiguration, NatsCredentials } from '@token-broker/configuration';
import { eventually, startNats, type NatsOptions, type NatsServer } from '@token-broker/testing';
import { connect } from 'nats';
import { afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../../app/ports/telemetry.js';
import { connectionOptions } from './connection-options.js';
import { createNatsBus } from './nats-bus.js';
import { connectNats, type NatsLink } from './nats-connection.js';

const clock = createSystemClock();
const cleanups: (() => Promise<void>)[] = [];
let lines: string[] = [];

const write =
  (level: string) =>
  (message: string, fields = {}): void => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
const log: Log = {
  debug: write('debug'),
  info: write('info'),
  warn: write('warn'),
  error: write('error'),
};

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  lines = [];
});

const ANYBODY: NatsCredentials = { kind: 'none' };

function configurationOf(server: { readonly url: string }): NatsConfiguration {
  return { servers: [server.url], subjectPrefix: 'token-broker', credentials: ANYBODY, eventCredentials: ANYBODY };
}

async function start(options: NatsOptions = {}): Promise<NatsServer> {
  const server = await startNats(options);
  cleanups.push(() => server.stop());
  return server;
}

function link(server: { readonly url: string }, credentials: NatsCredentials = ANYBODY): NatsLink {
  const made = connectNats(configurationOf(server), credentials, { name: 'broker-1', clock, log });
  cleanups.push(() => made.close());
  return made;
}

const connected = (made: NatsLink, withinMs = 10_000): Promise<boolean> =>
  eventually(() => made.isConnected(), { what: 'the connection', withinMs });
const disconnected = (made: NatsLink): Promise<boolean> =>
  eventually(() => !made.isConnected(), { what: 'the end of the connection', withinMs: 10_000 });
const saw = (text: string): Promise<boolean> =>
  eventually(() => lines.some((line) => line.includes(text)), { what: `a log line with "${text}"` });

describe('connectNats', () => {
  it('starts while NATS is away, says why, and connects when it is there', async () => {
    const server = await start();
    await server.kill('SIGKILL');
    const made = link(server);
    const changes: boolean[] = [];
    made.onConnectionChange((now) => changes.push(now));
    await saw('cannot connect to NATS');
    expect(made.isConnected()).toBe(false);
    await server.restart();
    await connected(made);
    expect(changes).toEqual([true]);
  });

  it('connects again after the server has restarted, and tells of both changes', async () => {
    const server = await start();
    const made = link(server);
    await connected(made);
    const changes: boolean[] = [];
    made.onConnectionChange((now) => changes.push(now));
    await server.restart();
    await eventually(() => changes.length >= 2, { what: 'both changes', withinMs: 10_000 });
    expect(changes).toEqual([false, true]);
    await saw('connected to NATS again');
  });

  it('finds a link whose server has fallen silent', async () => {
    const server = await start();
    const made = link(server);
    await connected(made);
    await server.kill('SIGSTOP');
    await eventually(() => !made.isConnected(), { what: 'the dead link to be found', withinMs: 10_000 });
    await server.kill('SIGCONT');
    await connected(made);
  });

  it('keeps trying with an alarm while its credentials are refused, and recovers when they are restored', async () => {
    const users = [{ user: 'broker', password: 'right' }];
    const server = await start({ users });
    const made = link(server, { kind: 'user', user: 'broker', password: new Redacted('right') });
    await connected(made);
    await server.setUsers([{ user: 'other', password: 'x' }]);
    await disconnected(made);
    // Two refusals in a row are where the driver's default gives up for good.
    const refusals = (): number => lines.filter((line) => line.includes('AUTHORIZATION_VIOLATION')).length;
    await eventually(() => refusals() >= 3, { what: 'three refusals', withinMs: 10_000 });
    await server.setUsers(users);
    await connected(made);
    expect(lines.join('\n')).not.toContain('right');
  });

  it('connects anew when the connection was closed for good, and hands the new one on', async () => {
    const server = await start();
    const made = link(server);
    await connected(made);
    const bus = createNatsBus({ connection: made, clock, log });
    const received: string[] = [];
    bus.subscribe('news.*', (_, subject) => received.push(subject));
    await made.current()?.close();
    await saw('the connection to NATS was closed');
    await connected(made);
    expect(await bus.flush(2_000)).toBe(true);
    bus.publish('news.today', new Uint8Array());
    await eventually(() => received.length > 0, { what: 'a message over the new connection' });
  });

  it.each<readonly [string, NatsCredentials]>([
    ['user and password', { kind: 'user', user: 'broker', password: new Redacted('p w') }],
    ['a token', { kind: 'token', token: new Redacted('s3cret-token') }],
    ['an nkey', { kind: 'nkey', seed: new Redacted('SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY') }],
  ])('logs in by %s', async (_, credentials) => {
    const configText = {
      user: 'authorization { users = [ { user: broker, password: "p w" } ] }',
      token: 'authorization { token: "s3cret-token" }',
      nkey: 'authorization { users = [ { nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 } ] }',
      creds: '',
      none: '',
    }[credentials.kind];
    const server = await start({ configText });
    const made = link(server, credentials);
    await connected(made);
    await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow(/authorization/i);
  });

  it('puts its inbox under its user, where replies to its own requests may arrive', async () => {
    const server = await start({
      users: [
        {
          user: 'broker',
          password: 'p',
          permissions: { publish: ['echo', '_INBOX.broker.>'], subscribe: ['echo', '_INBOX.broker.>'] },
        },
      ],
    });
    const made = link(server, { kind: 'user', user: 'broker', password: new Redacted('p') });
    await connected(made);
    const connection = made.current();
    connection?.subscribe('echo', { callback: (_, message) => void message.respond(message.data) });
    const reply = await connection?.request('echo', 'hello', { timeout: 2_000 });
    expect(reply?.string()).toBe('hello');
  });

  it('insists on TLS for tls:// servers, although the driver takes no notice of the scheme', async () => {
    const server = await start();
    const made = link({ url: server.url.replace('nats:', 'tls:') });
    await saw('cannot connect to NATS');
    expect(made.isConnected()).toBe(false);
  });

  it('stops trying when it is closed before it was ever connected', async () => {
    const server = await start();
    await server.kill('SIGKILL');
    const made = link(server);
    await saw('cannot connect to NATS');
    await made.close();
    const before = lines.length;
    await server.restart();
    const probe = await connect({ servers: server.url });
    await probe.flush();
    await probe.close();
    expect(made.isConnected()).toBe(false);
    expect(lines).toHaveLength(before);
  });
});

describe('connectionOptions', () => {
  it('gives TLS material and the name to verify to the driver', () => {
    const make = connectionOptions(
      {
        ...configurationOf({ url: 'nats://127.0.0.1:1' }),
        tls: { ca: 'CA', cert: 'CERT', key: new Redacted('KEY'), serverName: 'nats.internal' },
      },
      ANYBODY,
      { name: 'a', inboxPrefix: '_INBOX.a' },
    );
    expect(make().tls).toEqual({ ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'nats.internal' });
    expect(make()).not.toBe(make());
  });
});

describe('createNatsBus', () => {
  it('carries messages in order, and a handler that throws ends nothing', async () => {
    const server = await start();
    const made = link(server);
    await connected(made);
    const bus = createNatsBus({ connection: made, clock, log });
    const received: string[] = [];
    bus.subscribe('numbers.>', (payload, subject) => {
      received.push(`${subject}=${Buffer.from(payload).toString()}`);
      if (received.length === 1) throw new Error('handler broke');
    });
    for (const number of ['1', '2', '3']) expect(bus.publish(`numbers.${number}`, Buffer.from(number))).toBe(true);
    expect(await bus.flush(2_000)).toBe(true);
    await eventually(() => received.length === 3, { what: 'three messages' });
    expect(received).toEqual(['numbers.1=1', 'numbers.2=2', 'numbers.3=3']);
    expect(lines.filter((line) => line.includes('handler broke'))).toHaveLength(1);
    expect(made.isConnected()).toBe(true);
  });

  it('takes subscriptions before it is connected, and keeps them over a restart of the server', async () => {
    const server = await start();
    await server.kill('SIGKILL');
    const made = link(server);
    const bus = createNatsBus({ connection: made, clock, log });
    const received: string[] = [];
    bus.subscribe('early', (payload) => received.push(Buffer.from(payload).toString()));
    expect(bus.publish('early', Buffer.from('lost'))).toBe(false);
    expect(await bus.flush(100)).toBe(false);
    await server.restart();
    await connected(made);
    await bus.flush(2_000);
    bus.publish('early', Buffer.from('first'));
    await eventually(() => received.length === 1, { what: 'the first message' });

    await server.kill('SIGKILL');
    await disconnected(made);
    expect(bus.publish('early', Buffer.from('while away'))).toBe(false);
    expect(await bus.flush(2_000)).toBe(false);
    await server.restart();
    await connected(made);
    await bus.flush(2_000);
    bus.publish('early', Buffer.from('second'));
    await eventually(() => received.length >= 2, { what: 'the second message' });
    expect(received).toEqual(['first', 'second']);
  });

  it('answers a flush with false when the server does not answer in time', async () => {
    const server = await start();
    const made = link(server);
    await connected(made);
    const bus = createNatsBus({ connection: made, clock, log });
    await server.kill('SIGSTOP');
    bus.publish('somewhere', new Uint8Array());
    expect(await bus.flush(50)).toBe(false);
    await server.kill('SIGCONT');
  });

  it('receives nothing any more on a subscription that was closed', async () => {
    const server = await start();
    const made = link(server);
    await connected(made);
    const bus = createNatsBus({ connection: made, clock, log });
    const received: string[] = [];
    const first = bus.subscribe('news', () => received.push('first'));
    bus.subscribe('news', () => received.push('second'));
    first.close();
    first.close();
    bus.publish('news', new Uint8Array());
    await eventually(() => received.length > 0, { what: 'the message' });
    expect(received).toEqual(['second']);
  });

  it('says false and logs when a message is larger than the server takes', async () => {
    const server = await start({ configText: 'max_payload: 1024' });
    const made = link(server);
    await connected(made);
    const bus = createNatsBus({ connection: made, clock, log });
    expect(bus.publish('big', new Uint8Array(2_048))).toBe(false);
    await saw('could not be published');
  });

  it('tries a refused subscription again until the permission is there', async () => {
    const user = { user: 'broker', password: 'p' };
    const server = await start({ users: [{ ...user, permissions: { subscribe: ['other'] } }] });
    const made = link(server, { kind: 'user', user: 'broker', password: new Redacted('p') });
    await connected(made);
    const bus = createNatsBus({ connection: made, clock, log });
    const received: string[] = [];
    bus.subscribe('news', (_, subject) => received.push(subject));
    await saw('NATS refused a subscription');
    await server.setUsers([user]);
    await eventually(
      () => {
        bus.publish('news', new Uint8Array());
        return received.length > 0;
      },
      { what: 'a message after the permission was granted', withinMs: 15_000, everyMs: 100 },
    );
  });
});
