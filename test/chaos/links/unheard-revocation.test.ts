import type { SourceHandle, Token, TokenBroker } from '@token-broker/client';
import type { Operator } from '@token-broker/client/operator';
import { eventually } from '@token-broker/testing';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { ask } from '../../integration/asking.js';
import { metricValue, startStack, type Settings, type Stack } from '../../integration/stack.js';
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

/** Without heartbeats a near cache is suspect after three ticks; its sync is spread over one. */
const FOUND_BY_SYNC_WITHIN_MS = SUSPECT_AFTER_MS + TICK_MS + SLACK_MS;
/** Counted from when the brokers last vouched for what is held, which is before NATS went. */
const SERVED_AT_MOST_MS = MAX_STALENESS_MS + SLACK_MS / 5;
/** Brokers connect again within 1 s (0.5 s, and as much of jitter), near caches within 100 ms; then a sync. */
const DELIVERED_WITHIN_MS = 1_000 + TICK_MS + 2 * SLACK_MS;
/** Refused credentials are tried again at the same pace; a pause of the driver, a connect, and a tick for a heartbeat. */
const HEALED_WITHIN_MS = 2_000 + 2 * TICK_MS + 2 * SLACK_MS;

const users = new Users();
let stack: Stack;
let operator: Operator;
let client: TokenBroker;
let handle: SourceHandle;
let held: Token;
let served: Served;

beforeAll(async () => {
  stack = await startStack({ configure: withShortStaleness });
});
afterAll(() => stack.stop());
beforeEach(async () => {
  operator = await users.operator(stack.nats.url);
  client = users.nearCache(await users.connect(stack.nats.url, 'billing'), 'billing');
  await client.ready();
  handle = client.source('payments-api');
  held = await handle.get();
  served = users.watch(handle);
});
afterEach(() => users.end());

async function sumOfAllBrokers(name: string, labels?: Readonly<Record<string, string>>): Promise<number> {
  const pages = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
  return pages.reduce((sum, page) => sum + metricValue(page, name, labels), 0);
}

async function expectDelivered(): Promise<void> {
  const wait = { wait: true, timeoutMs: 2_000 } as const;
  const reply = await eventually(
    async () => {
      const done = await operator.revoke({ selector: { source: 'orders-api' }, ...wait, reason: 'a test' });
      return done.brokers.acked === 3 && done.broadcast ? done : undefined;
    },
    { what: 'revocations to reach everybody again', withinMs: HEALED_WITHIN_MS },
  );
  expect(reply).toMatchObject({ complete: true, receipts: { stragglers: [] } });
  expect(reply.receipts?.confirmed.map(({ instance }) => instance)).toContain(client.instance);
}

it('F10: revoking while the brokers cannot publish: the reply says so, and near caches find it by themselves', async () => {
  // Requests are served on another connection with other credentials, and that one is well.
  await stack.changeNatsUsers((all) => all.filter(({ user }) => user !== 'broker-events'));
  try {
    await eventually(async () => (await sumOfAllBrokers('token_broker_nats_connected')) === 0, {
      what: 'the event connections to be away',
    });
    const lostBefore = await sumOfAllBrokers('token_broker_events_published_total', {
      kind: 'invalidation',
      outcome: 'lost',
    });
    const orderedAtMs = clock.elapsedMs();
    const reply = await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
    // Nobody has confirmed: it is complete because the leases that had not seen it have run out.
    expect(reply).toMatchObject({ complete: true, broadcast: false, brokers: { expected: 3, acked: 1 } });
    const asker = await users.connect(stack.nats.url, 'orders');
    for (let time = 0; time < 10; time++)
      expect((await ask(asker, 'orders', 'payments-api')).generation).toBeGreaterThan(held.generation);
    await eventually(() => handle.current?.accessToken !== held.accessToken, { what: 'the revoked token to go' });
    expect((served.lastAtMs(held) ?? Infinity) - orderedAtMs).toBeLessThanOrEqual(FOUND_BY_SYNC_WITHIN_MS);
    expect(
      await sumOfAllBrokers('token_broker_events_published_total', { kind: 'invalidation', outcome: 'lost' }),
    ).toBeGreaterThan(lostBefore);
  } finally {
    await stack.changeNatsUsers((all) => all);
  }
  await expectDelivered();
  expect((await handle.get()).generation).toBeGreaterThan(held.generation);
  expect(served.stepsBack).toBe(0);
});

it('F10: no operator is told of a success while NATS is away', async () => {
  const impatient = await users.operator(stack.nats.url, 500);
  await stack.nats.kill('SIGKILL');
  try {
    await expect(impatient.revoke({ selector: { slot: handle.slot }, reason: 'a test' })).rejects.toMatchObject({
      code: expect.stringMatching(/^(BROKER_UNAVAILABLE|DEADLINE)$/) as string,
    });
  } finally {
    await stack.nats.restart();
  }
  await expectDelivered();
});

it('F10: tokens that a new configuration ends while NATS is away are served to the bound at most, and gone after it', async () => {
  const settings = parse(await readFile(stack.configurationPath, 'utf8')) as { sources: Record<string, Settings> };
  const logged = stack.logLines.length;
  const awayAtMs = clock.elapsedMs();
  await stack.nats.kill('SIGKILL');
  try {
    // Another scope makes other tokens: those of the source as it was are revoked.
    settings.sources['payments-api'] = { ...settings.sources['payments-api'], scope: 'payments:read' };
    await writeFile(stack.configurationPath, stringify(settings), { mode: 0o600 });
    // One is told; the others learn of it from Redis.
    await stack.brokers[0]?.reload();
    const lines = stack.logLines.slice(logged).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ event }) => event === 'revocation.ended')).toContainEqual(
      expect.objectContaining({ result: 'done', facts: expect.objectContaining({ broadcast: false }) as unknown }),
    );
    await eventually(() => handle.current === undefined, {
      what: 'the near cache to fail closed',
      withinMs: SERVED_AT_MOST_MS + SLACK_MS,
    });
    expect((served.lastAtMs(held) ?? Infinity) - awayAtMs).toBeLessThanOrEqual(SERVED_AT_MOST_MS);
  } finally {
    await stack.nats.restart();
  }
  const fresh = await eventually(() => handle.get({ timeoutMs: 500 }), {
    what: 'a token of the source as it is now',
    withinMs: DELIVERED_WITHIN_MS,
  });
  expect(fresh.generation).toBeGreaterThan(held.generation);
  expect(fresh.scope).toBe('payments:read');
  await expectDelivered();
  expect(served.stepsBack).toBe(0);
});
