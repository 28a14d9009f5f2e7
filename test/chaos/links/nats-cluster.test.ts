import { eventually, startNatsCluster, type NatsCluster } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Stack } from '../../integration/stack.js';
import { startStackOver } from './chosen-links.js';
import { clock, MAX_STALENESS_MS, SLACK_MS, TICK_MS, Users, withShortStaleness } from './near-cache.js';

/** A broker tries the next server within 1 s (0.5 s, and as much of jitter), a near cache within 100 ms; then it syncs. */
const MOVED_WITHIN_MS = 1_000 + TICK_MS + 2 * SLACK_MS;

const users = new Users();
let cluster: NatsCluster;
let stack: Stack;

beforeAll(async () => {
  cluster = await startNatsCluster();
  // Each broker is told of one server only: it learns of the others from that one.
  stack = await startStackOver(
    async () => cluster.urls.map((url) => ({ natsServers: [url] })),
    withShortStaleness,
    (natsUsers) => cluster.setUsers(natsUsers),
  );
});
afterAll(async () => {
  await users.end();
  await stack.stop();
  await cluster.stop();
});

const serverOf = (connection: NatsConnection): string => `nats://${connection.getServer()}`;

it('F26: when one NATS server of three is lost, brokers and near caches that were on it go on with the others', async () => {
  const connections: NatsConnection[] = [];
  for (const url of cluster.urls) connections.push(await users.connect(url, 'billing'));
  const clients = connections.map((connection) => users.nearCache(connection, 'billing'));
  await Promise.all(clients.map((client) => client.ready()));
  const handles = clients.map((client) => client.source('payments-api'));
  const held = await Promise.all(handles.map((handle) => handle.get()));
  expect(new Set(held.map(({ accessToken }) => accessToken)).size).toBe(1);
  expect(stack.idpCalls()).toBe(1);
  const served = handles.map((handle) => users.watch(handle));
  const operator = await users.operator([...cluster.urls]);

  const [lost] = cluster.servers;
  if (lost === undefined) throw new Error('a cluster has servers');
  expect(connections.map(serverOf)).toEqual([...cluster.urls]);
  const lostAtMs = clock.elapsedMs();
  await lost.kill('SIGKILL');
  // Near caches serve on, and nobody has to be asked: the gap is shorter than the staleness bound.
  expect(handles.map(({ current }) => current?.accessToken)).toEqual(held.map(({ accessToken }) => accessToken));
  const reply = await eventually(
    async () => {
      const done = await operator.revoke({
        selector: { slot: handles[0]?.slot ?? '' },
        wait: true,
        timeoutMs: 500,
        reason: 'a test',
      });
      return done.brokers.acked === 3 && done.receipts?.stragglers.length === 0 ? done : undefined;
    },
    { what: 'a revocation that every broker and near cache confirms', withinMs: MOVED_WITHIN_MS },
  );
  expect(reply).toMatchObject({ complete: true, broadcast: true, brokers: { expected: 3, acked: 3 } });
  expect(reply.receipts?.confirmed).toHaveLength(3);
  for (const [index, watch] of served.entries())
    expect((watch.lastAtMs(held[index] ?? { accessToken: '' }) ?? Infinity) - lostAtMs).toBeLessThan(MAX_STALENESS_MS);
  const fresh = await Promise.all(handles.map((handle) => handle.get()));
  expect(new Set(fresh.map(({ accessToken }) => accessToken)).size).toBe(1);
  expect(stack.idpCalls()).toBe(2);
  expect(connections.map(serverOf)).not.toContain(lost.url);

  // And it may come back: what goes through it reaches everybody again.
  await lost.restart();
  await cluster.routed();
  const late = users.nearCache(await users.connect(lost.url, 'billing'), 'billing');
  expect((await late.source('payments-api').get()).accessToken).toBe(fresh[0]?.accessToken);
  expect(served.map(({ stepsBack }) => stepsBack)).toEqual([0, 0, 0]);
});
