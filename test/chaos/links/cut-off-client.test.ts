import type { SourceHandle, Token, TokenBroker } from '@token-broker/client';
import type { Operator } from '@token-broker/client/operator';
import { eventually, startFaultProxy, type FaultProxy } from '@token-broker/testing';
import { Events, type ConnectionOptions, type NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { startStack, type Stack } from '../../integration/stack.js';
import {
  clock,
  MAX_STALENESS_MS,
  SLACK_MS,
  SUSPECT_AFTER_MS,
  TICK_MS,
  Users,
  withShortStaleness,
  type Served,
} from './near-cache.js';

/** The last heartbeat may have come just before the link broke. */
const SUSPECT_WITHIN_MS = SUSPECT_AFTER_MS + SLACK_MS;
/** Counted from when the brokers last vouched for what is held, which is before the link broke. */
const SERVED_AT_MOST_MS = MAX_STALENESS_MS + SLACK_MS / 5;
/** A connect that was swallowed times out after 1 s, the next waits up to 100 ms; then a sync, spread over a tick. */
const RECONCILED_WITHIN_MS = 1_000 + 100 + TICK_MS + 2 * SLACK_MS;

const users = new Users();
let stack: Stack;
let proxy: FaultProxy;
let operator: Operator;

beforeAll(async () => {
  stack = await startStack({ brokers: 2, configure: withShortStaleness });
  proxy = await startFaultProxy({ host: stack.nats.host, port: stack.nats.port });
});
afterAll(async () => {
  await proxy.stop();
  await stack.stop();
});
beforeEach(async () => {
  operator = await users.operator(stack.nats.url);
});
afterEach(async () => {
  proxy.mend();
  await users.end();
});

/** A near cache behind the proxy that holds a token which will be revoked, and one which will not. */
interface CutOff {
  readonly connection: NatsConnection;
  readonly client: TokenBroker;
  readonly handle: SourceHandle;
  readonly held: Token;
  readonly served: Served;
  readonly other: SourceHandle;
  readonly kept: Token;
  /** When it was suspect for the first time. */
  readonly suspectAtMs: () => number | undefined;
  /** What the identity provider had been asked by then. */
  readonly idpCalls: number;
}

async function startNearCache(options?: ConnectionOptions): Promise<CutOff> {
  const connection = await users.connect(`nats://${proxy.host}:${String(proxy.port)}`, 'billing', options);
  const client = users.nearCache(connection, 'billing');
  await client.ready();
  const [handle, other] = [client.source('payments-api'), client.source('orders-api')];
  const [held, kept] = [await handle.get(), await other.get()];
  let suspectAtMs: number | undefined;
  client.on('suspect', () => (suspectAtMs ??= clock.elapsedMs()));
  const served = users.watch(handle);
  return {
    connection,
    client,
    handle,
    held,
    served,
    other,
    kept,
    suspectAtMs: () => suspectAtMs,
    idpCalls: stack.idpCalls(),
  };
}

/** Revokes while the near cache cannot hear of it, and waits until it serves nothing any more. */
async function revokeUnheard({ handle, other, held, served, suspectAtMs }: CutOff, cutAtMs: number): Promise<void> {
  const reply = await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
  expect(reply).toMatchObject({ complete: true, broadcast: true, brokers: { expected: 2, acked: 2 } });
  await eventually(() => handle.current === undefined && other.current === undefined, {
    what: 'the near cache to fail closed',
    withinMs: SERVED_AT_MOST_MS + SLACK_MS,
  });
  expect((suspectAtMs() ?? Infinity) - cutAtMs).toBeLessThanOrEqual(SUSPECT_WITHIN_MS);
  const servedForMs = (served.lastAtMs(held) ?? Infinity) - cutAtMs;
  expect(servedForMs).toBeLessThanOrEqual(SERVED_AT_MOST_MS);
  // And that is what the staleness bound is for: a short cut is not noticed.
  expect(servedForMs).toBeGreaterThan(SUSPECT_AFTER_MS);
  await expect(handle.get({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'STALE' });
}

/** After the link is whole again: what was revoked is gone for good, what was not is served as before. */
async function expectReconciled({ client, handle, other, held, kept, served, idpCalls }: CutOff): Promise<void> {
  const fresh = await eventually(() => handle.get({ timeoutMs: 500 }), {
    what: 'a token in place of the revoked one',
    withinMs: RECONCILED_WITHIN_MS,
  });
  expect(fresh.generation).toBeGreaterThan(held.generation);
  await eventually(() => other.current !== undefined && !client.stats().suspect, {
    what: 'the near cache to be trusted again',
    withinMs: RECONCILED_WITHIN_MS,
  });
  expect(other.current?.accessToken).toBe(kept.accessToken);
  expect(stack.idpCalls() - idpCalls).toBe(1);
  expect(served.stepsBack).toBe(0);
}

it('F17: a link that is cut for longer than the bound, with a revocation inside: not served beyond it, then reconciled', async () => {
  const nearCache = await startNearCache();
  const cutAtMs = clock.elapsedMs();
  proxy.cut();
  await revokeUnheard(nearCache, cutAtMs);
  proxy.mend();
  await expectReconciled(nearCache);
});

it('F17: a link that is cut for less than the bound: the revoked token goes when it is back', async () => {
  const nearCache = await startNearCache();
  const { handle, held, other, kept, served } = nearCache;
  proxy.cut();
  await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
  expect(handle.current?.accessToken).toBe(held.accessToken);
  const mendedAtMs = clock.elapsedMs();
  proxy.mend();
  await eventually(() => handle.current?.accessToken !== held.accessToken, { what: 'the revoked token to go' });
  expect((served.lastAtMs(held) ?? Infinity) - mendedAtMs).toBeLessThanOrEqual(RECONCILED_WITHIN_MS);
  expect(other.current?.accessToken).toBe(kept.accessToken);
  await expectReconciled(nearCache);
});

/** So that the heartbeats have to notice what the driver does not. */
const NO_PINGS: ConnectionOptions = { pingInterval: 60_000 };

it.each([
  ['F18: a half-open link', () => proxy.halfOpen()],
  ['F19: the loss of all that goes to the client', () => (proxy.faults.toClient.discard = true)],
])('%s makes a near cache suspect within the heartbeat limit, though its connection seems well', async (_, begin) => {
  const nearCache = await startNearCache(NO_PINGS);
  const { connection } = nearCache;
  let disconnects = 0;
  void (async () => {
    for await (const { type } of connection.status()) if (type === Events.Disconnect) disconnects += 1;
  })();
  const cutAtMs = clock.elapsedMs();
  begin();
  await revokeUnheard(nearCache, cutAtMs);
  expect(disconnects).toBe(0);
  proxy.mend();
  await expectReconciled(nearCache);
});

it('F19: the loss of all that goes to the server: revocations are still heard, and nobody waits beyond a deadline', async () => {
  const nearCache = await startNearCache();
  const { handle, held, other, served, client, suspectAtMs } = nearCache;
  proxy.faults.toServer.discard = true;
  const revokedAtMs = clock.elapsedMs();
  const reply = await operator.revoke({
    selector: { slot: handle.slot },
    wait: true,
    timeoutMs: 300,
    reason: 'a test',
  });
  // Its receipt is lost, and so nobody claims that it has confirmed.
  expect(reply.receipts?.stragglers.map(({ instance }) => instance)).toContain(client.instance);
  expect((served.lastAtMs(held) ?? 0) - revokedAtMs).toBeLessThanOrEqual(SLACK_MS);
  expect(handle.current).toBeUndefined();
  await expect(handle.get({ timeoutMs: 200 })).rejects.toMatchObject({ name: 'TokenBrokerError' });
  // The driver misses the answers to its pings (2 of 300 ms) and tries anew, in vain: from then on nothing is heard.
  await eventually(() => other.current === undefined, {
    what: 'the near cache to fail closed',
    withinMs: 1_000 + SERVED_AT_MOST_MS + SLACK_MS,
  });
  expect(suspectAtMs()).toBeDefined();
  proxy.mend();
  await expectReconciled(nearCache);
});
