import { eventually, startFaultProxy, startNats, type FaultProxy, type NatsServer } from '@token-broker/testing';
import { Events, type NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Stack } from '../../integration/stack.js';
import { startStackOver } from './chosen-links.js';
import { clock, MAX_STALENESS_MS, SLACK_MS, TICK_MS, Users, withShortStaleness } from './near-cache.js';

/** A server that is quick to cut off those who do not read. */
const HASTY = ['max_payload: 65536', 'max_pending: 262144', 'write_deadline: "500ms"'].join('\n');
/** The kernel's buffers and the proxy take some 10 MB before the server feels that nobody reads. */
const MOST_FLOOD_BYTES = 64_000_000;
const FLOOD_MESSAGE_BYTES = 32_000;

/** When what had gathered has arrived and the connection has ended: a new one (100 ms), and a sync, spread over a tick. */
const RECONCILED_WITHIN_MS = 100 + TICK_MS + 2 * SLACK_MS;

const users = new Users();
let nats: NatsServer;
let stack: Stack;
let proxy: FaultProxy;

beforeAll(async () => {
  nats = await startNats({ configText: HASTY });
  stack = await startStackOver(
    async () => [{ natsServers: [nats.url] }, { natsServers: [nats.url] }],
    withShortStaleness,
    (natsUsers) => nats.setUsers(natsUsers),
  );
  proxy = await startFaultProxy({ host: nats.host, port: nats.port });
});
afterEach(() => users.end());
afterAll(async () => {
  await proxy.stop();
  await stack.stop();
  await nats.stop();
});

/** Fills what the client is subscribed to, until the server has had enough of it. */
async function floodUntilCutOff(flooder: NatsConnection, subject: string): Promise<void> {
  const payload = Buffer.alloc(FLOOD_MESSAGE_BYTES, ' ');
  let sentBytes = 0;
  await eventually(
    async () => {
      if ((await nats.log()).includes('Slow Consumer')) return true;
      for (let count = 0; count < 30 && sentBytes < MOST_FLOOD_BYTES; count++) {
        flooder.publish(subject, payload);
        sentBytes += payload.length;
      }
      await flooder.flush();
      return false;
    },
    { what: 'the server to cut the slow consumer off', withinMs: 10_000, everyMs: 1 },
  );
}

it('F25: a near cache that the server cuts off as a slow consumer subscribes again and reconciles', async () => {
  const connection = await users.connect(`nats://${proxy.host}:${String(proxy.port)}`, 'billing', {
    // The server is to notice, not the driver.
    pingInterval: 60_000,
  });
  let disconnects = 0;
  void (async () => {
    for await (const { type } of connection.status()) if (type === Events.Disconnect) disconnects += 1;
  })();
  const client = users.nearCache(connection, 'billing');
  const handle = client.source('payments-api');
  const held = await handle.get();
  const served = users.watch(handle);
  const operator = await users.operator(nats.url);

  const heldUpAtMs = clock.elapsedMs();
  proxy.faults.toClient.hold = true;
  const flooder = await users.connect(nats.url, 'broker-events');
  await floodUntilCutOff(flooder, `token-broker.v1.event.payments-api.${handle.slot}`);
  // The server has dropped its subscriptions: this event does not even wait for it.
  const reply = await operator.revoke({
    selector: { slot: handle.slot },
    wait: true,
    timeoutMs: 300,
    reason: 'a test',
  });
  expect(reply).toMatchObject({ complete: true, broadcast: true });
  expect(reply.receipts?.stragglers.map(({ instance }) => instance)).toEqual([client.instance]);

  const releasedAtMs = clock.elapsedMs();
  proxy.faults.toClient.hold = false;
  const fresh = await eventually(
    async () => {
      const token = await handle.get({ timeoutMs: 300 });
      return token.generation > held.generation ? token : undefined;
    },
    { what: 'the revocation to be found', withinMs: RECONCILED_WITHIN_MS },
  );
  expect(disconnects).toBe(1);
  const lastAtMs = served.lastAtMs(held) ?? Infinity;
  expect(lastAtMs - releasedAtMs).toBeLessThanOrEqual(RECONCILED_WITHIN_MS);
  expect(lastAtMs - heldUpAtMs).toBeLessThanOrEqual(MAX_STALENESS_MS + SLACK_MS);
  expect(served.stepsBack).toBe(0);

  // It hears again: the next revocation is confirmed by it.
  await eventually(() => !client.stats().suspect, { what: 'the near cache to be trusted again' });
  const next = await operator.revoke({
    selector: { slot: handle.slot },
    wait: true,
    timeoutMs: 2_000,
    reason: 'a test',
  });
  expect(next.receipts?.confirmed.map(({ instance }) => instance)).toContain(client.instance);
  expect(handle.current).toBeUndefined();
  expect((await handle.get()).generation).toBeGreaterThan(fresh.generation);
});
