import { connect, type NatsConnection } from 'nats';
import { afterEach, expect, it } from 'vitest';
import { eventually } from '../eventually.js';
import { startNatsCluster, type NatsCluster } from './nats-cluster.js';
import type { NatsServer } from './nats-server.js';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function login(server: NatsServer | undefined): Promise<NatsConnection> {
  const connection = await connect({
    servers: server?.url ?? '',
    user: 'orders',
    pass: 'secret',
    reconnect: false,
    ignoreClusterUpdates: true,
  });
  cleanups.push(() => connection.close());
  return connection;
}

/** Whether what is published at `from` reaches a subscriber at `to`. Interest takes a moment to spread. */
async function reaches(cluster: NatsCluster, from: number, to: number): Promise<void> {
  const [publisher, subscriber] = [await login(cluster.servers[from]), await login(cluster.servers[to])];
  let received = 0;
  subscriber.subscribe('greeting', { callback: () => (received += 1) });
  await subscriber.flush();
  await eventually(
    () => {
      publisher.publish('greeting');
      return received > 0;
    },
    { what: `a message from server ${String(from)} to server ${String(to)}` },
  );
}

it('a cluster passes messages on between its servers, enforces its users, and goes on without one of them', async () => {
  const users = [{ user: 'orders', password: 'secret' }];
  const cluster = await startNatsCluster({ users });
  cleanups.push(() => cluster.stop());
  expect(cluster.servers).toHaveLength(3);
  await expect(connect({ servers: [...cluster.urls], reconnect: false })).rejects.toThrow(/authorization/i);
  await reaches(cluster, 0, 1);
  await reaches(cluster, 1, 2);

  const [first, lost, third] = cluster.servers;
  if (first === undefined || lost === undefined || third === undefined) throw new Error('three were asked for');
  await lost.kill('SIGKILL');
  await reaches(cluster, 0, 2);
  await lost.restart();
  await cluster.routed();
  await reaches(cluster, 1, 0);

  await cluster.setUsers([{ user: 'billing', password: 'secret' }]);
  for (const server of cluster.servers) await expect(login(server)).rejects.toThrow(/authorization/i);
});
