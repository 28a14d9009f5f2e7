import { connect, type NatsConnection } from 'nats';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../eventually.js';
import { startNats, type NatsOptions, type NatsServer } from './nats-server.js';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: NatsOptions = {}): Promise<NatsServer> {
  const server = await startNats(options);
  cleanups.push(() => server.stop());
  return server;
}

async function login(server: NatsServer, user: string, password: string): Promise<NatsConnection> {
  const connection = await connect({ servers: server.url, user, pass: password, reconnect: false });
  cleanups.push(() => connection.close());
  return connection;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('startNats', () => {
  it('starts servers side by side on ports of their own, which take connections', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    expect(first.port).not.toBe(second.port);
    const connection = await connect({ servers: first.url });
    await connection.flush();
    await connection.close();
  });

  it('leaves no process behind when it is stopped', async () => {
    const server = await start();
    expect(isRunning(server.pid)).toBe(true);
    await server.stop();
    expect(isRunning(server.pid)).toBe(false);
    await expect(connect({ servers: server.url, reconnect: false, timeout: 500 })).rejects.toThrow();
  });

  it('stops a server that a signal had suspended', async () => {
    const server = await start();
    await server.kill('SIGSTOP');
    await server.stop();
    expect(isRunning(server.pid)).toBe(false);
  });

  it('comes back on the same port after it was killed', async () => {
    const server = await start();
    const { port, pid } = server;
    await server.kill('SIGKILL');
    expect(isRunning(pid)).toBe(false);
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    const connection = await connect({ servers: server.url });
    await connection.close();
  });

  it('enforces what each user may publish and subscribe to, with wildcards and queue groups', async () => {
    const server = await start({
      users: [
        {
          user: 'orders',
          password: 'it"s\\$ecret',
          permissions: { publish: ['get.orders.*', 'drop.>'], subscribe: { allow: ['_INBOX.orders.>'], deny: ['>'] } },
        },
        { user: 'broker', password: '007', permissions: { publish: [], subscribe: ['get.*.* brokers'] } },
      ],
    });
    await expect(login(server, 'orders', 'wrong')).rejects.toThrow(/authorization/i);
    const orders = await login(server, 'orders', 'it"s\\$ecret');
    const broker = await login(server, 'broker', '007');

    const received: string[] = [];
    broker.subscribe('get.*.*', { queue: 'brokers', callback: (_, message) => received.push(message.subject) });
    const refusals: string[] = [];
    broker.subscribe('get.*.*', {
      callback: (error) => error !== null && refusals.push('subscribe without the queue'),
    });
    await broker.flush();
    const watch = async (connection: NatsConnection, name: string): Promise<void> => {
      for await (const status of connection.status()) refusals.push(`${name}: ${status.type}`);
    };
    void watch(orders, 'orders');
    void watch(broker, 'broker');
    orders.publish('get.payments.api');
    orders.publish('get.orders.api');
    await orders.flush();
    broker.publish('anything');
    await broker.flush();

    await eventually(() => refusals.length >= 3 && received.length > 0, { what: 'the refusals and the message' });
    expect(received).toEqual(['get.orders.api']);
    expect(refusals).toHaveLength(3);
  });

  it('disconnects a user whose access is taken away while it runs', async () => {
    const server = await start({ users: [{ user: 'orders', password: 'a' }] });
    const connection = await login(server, 'orders', 'a');
    await server.setUsers([{ user: 'billing', password: 'b' }]);
    await connection.closed();
    await expect(login(server, 'orders', 'a')).rejects.toThrow();
    await login(server, 'billing', 'b');
  });

  it('says what the server says when it refuses its configuration', async () => {
    await expect(startNats({ configText: 'no_such_setting: 1' })).rejects.toThrow(/no_such_setting/);
  });
});
