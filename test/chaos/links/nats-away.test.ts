import { eventually } from '@token-broker/testing';
import { DebugEvents, Events, type NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { ask } from '../../integration/asking.js';
import { metricValue, startStack, type Stack } from '../../integration/stack.js';
import { MAX_STALENESS_MS, SLACK_MS, TICK_MS, Users, withShortStaleness } from './near-cache.js';

const REPLICAS = 2;
/** A connection that ends is noticed at once; one that is refused has to be tried first. */
const ALARMED_WITHIN_MS = 1_000 + SLACK_MS;
/** Brokers connect again within 1 s (0.5 s, and as much of jitter), the second try after a refused one included. */
const BACK_WITHIN_MS = 2 * 1_000 + 2 * SLACK_MS;
const CLOSED_WITHIN_MS = MAX_STALENESS_MS + SLACK_MS;
/** Near caches try again every 100 ms at most; then a sync, spread over a tick. */
const CLIENT_BACK_WITHIN_MS = 100 + TICK_MS + 2 * SLACK_MS;
/** The driver's default gives up after 10 tries; the second refusal ends it too, unless it is told otherwise. */
const TRIES_OF_A_DEFAULT_DRIVER = 10;

const users = new Users();
let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ brokers: REPLICAS, configure: withShortStaleness });
});
afterAll(() => stack.stop());
// Each case begins with all well, however the one before has ended.
beforeEach(() => expectBack());
afterEach(() => users.end());

interface LogLine {
  readonly broker: string;
  readonly level: string;
  readonly msg: string;
  readonly connection?: string;
  readonly detail?: string;
}

/** Lines about NATS since `from`, of any broker. */
function linesSince(from: number): LogLine[] {
  return stack.logLines
    .slice(from)
    .map((line) => JSON.parse(line) as LogLine)
    .filter(({ msg }) => msg.includes('NATS'));
}

async function natsConnected(): Promise<number[]> {
  const pages = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
  return pages.map((page) => metricValue(page, 'token_broker_nats_connected'));
}

async function readiness(): Promise<{ status: number; checks: Record<string, string> }[]> {
  return Promise.all(
    stack.brokers.map(async ({ http }) => {
      const reply = await fetch(`http://${http.host}:${String(http.port)}/readyz`);
      const { checks } = (await reply.json()) as { checks: Record<string, string> };
      return { status: reply.status, checks };
    }),
  );
}

/** By metric, by readiness and in the log: each broker says that NATS is away. */
async function expectAlarm(logFrom: number): Promise<void> {
  await eventually(async () => (await natsConnected()).every((value) => value === 0), {
    what: 'the metric to say that NATS is away',
    withinMs: ALARMED_WITHIN_MS,
  });
  for (const { status, checks } of await readiness()) {
    expect(status).toBe(503);
    expect(checks['nats']).not.toBe('ok');
    expect(checks['events']).not.toBe('ok');
  }
  for (const connection of ['broker', 'broker-events']) {
    const alarmed = linesSince(logFrom)
      .filter((line) => line.connection === connection && line.msg === 'the connection to NATS is lost')
      .map(({ level, broker }) => `${level} ${broker}`);
    expect(new Set(alarmed)).toEqual(new Set(stack.brokers.map(({ broker }) => `warn ${broker}`)));
  }
}

async function expectBack(): Promise<void> {
  await eventually(async () => (await readiness()).every(({ status }) => status === 200), {
    what: 'the brokers to be ready again',
    withinMs: BACK_WITHIN_MS,
  });
  expect(await natsConnected()).toEqual([1, 1]);
  const asker = await users.connect(stack.nats.url, 'orders');
  await eventually(() => ask(asker, 'orders', 'payments-api'), { what: 'an answer', withinMs: BACK_WITHIN_MS });
}

/** Counts what a connection goes through. */
function watchConnection(connection: NatsConnection): { readonly tries: number; readonly refusals: number } {
  const counts = { tries: 0, refusals: 0 };
  void (async () => {
    for await (const { type } of connection.status()) {
      if (type === DebugEvents.Reconnecting) counts.tries += 1;
      if (type === Events.Error) counts.refusals += 1;
    }
  })();
  return counts;
}

it('F26: while NATS is away every broker raises an alarm, and nobody gives up', async () => {
  const logFrom = stack.logLines.length;
  const connection = await users.connect(stack.nats.url, 'billing');
  const counts = watchConnection(connection);
  const client = users.nearCache(connection, 'billing');
  const handle = client.source('payments-api');
  const held = await handle.get();
  await stack.nats.kill('SIGKILL');
  try {
    await expectAlarm(logFrom);
    await eventually(() => counts.tries > 2 * TRIES_OF_A_DEFAULT_DRIVER, { what: 'the near cache to go on trying' });
    expect(connection.isClosed()).toBe(false);
  } finally {
    await stack.nats.restart();
  }
  await expectBack();
  const again = await eventually(() => handle.get({ timeoutMs: 500 }), {
    what: 'the near cache to serve again',
    withinMs: CLIENT_BACK_WITHIN_MS,
  });
  expect(again.accessToken).toBe(held.accessToken);
});

it("F26: when the brokers' credentials are revoked they raise an alarm, go on trying, and serve when they are given back", async () => {
  const logFrom = stack.logLines.length;
  const client = users.nearCache(await users.connect(stack.nats.url, 'billing'), 'billing');
  const handle = client.source('payments-api');
  const held = await handle.get();
  await stack.changeNatsUsers((all) => all.filter(({ user }) => !user.startsWith('broker')));
  try {
    await expectAlarm(logFrom);
    // What is in force is served on, and then no more.
    expect(handle.current?.accessToken).toBe(held.accessToken);
    await eventually(() => handle.current === undefined, {
      what: 'the near cache to fail closed',
      withinMs: CLOSED_WITHIN_MS,
    });
    await eventually(
      () =>
        ['broker', 'broker-events'].every(
          (connection) =>
            linesSince(logFrom).filter(
              (line) =>
                line.connection === connection && line.level === 'error' && /authorization/i.test(line.detail ?? ''),
            ).length >
            2 * REPLICAS,
        ),
      { what: 'the log to say that NATS refuses the credentials, again and again', withinMs: 10_000 },
    );
  } finally {
    await stack.changeNatsUsers((all) => all);
  }
  await expectBack();
  const again = await eventually(() => handle.get({ timeoutMs: 500 }), { what: 'the near cache to serve again' });
  expect(again.generation).toBeGreaterThanOrEqual(held.generation);
});

it.each(['broker', 'broker-events'])(
  'F26: one revoked credential of the two that a broker has is enough for the alarm: %s',
  async (gone) => {
    await stack.changeNatsUsers((all) => all.filter(({ user }) => user !== gone));
    try {
      await eventually(async () => (await natsConnected()).every((value) => value === 0), {
        what: 'the metric to say that NATS is away',
        withinMs: ALARMED_WITHIN_MS,
      });
      expect((await readiness()).map(({ status }) => status)).toEqual([503, 503]);
    } finally {
      await stack.changeNatsUsers((all) => all);
    }
    await expectBack();
  },
);

it("F26: when a caller's credentials are revoked its near cache fails closed, goes on trying, and comes back", async () => {
  const connection = await users.connect(stack.nats.url, 'billing');
  const counts = watchConnection(connection);
  const client = users.nearCache(connection, 'billing');
  const handle = client.source('payments-api');
  const held = await handle.get();
  const suspected: number[] = [];
  client.on('suspect', ({ maxStalenessMs }) => suspected.push(maxStalenessMs));
  const served = users.watch(handle);
  await stack.changeNatsUsers((all) => all.filter(({ user }) => user !== 'billing'));
  try {
    await eventually(() => handle.current === undefined, {
      what: 'the near cache to fail closed',
      withinMs: CLOSED_WITHIN_MS,
    });
    // The alarm of a near cache is this event; the service's own log and metrics take it from there.
    expect(suspected).toEqual([MAX_STALENESS_MS]);
    await expect(handle.get({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'STALE' });
    await eventually(() => counts.refusals > 2, { what: 'the near cache to go on trying' });
    expect(connection.isClosed()).toBe(false);
  } finally {
    await stack.changeNatsUsers((all) => all);
  }
  const again = await eventually(() => handle.get({ timeoutMs: 500 }), {
    what: 'the near cache to serve again',
    withinMs: CLIENT_BACK_WITHIN_MS,
  });
  expect(again.accessToken).toBe(held.accessToken);
  expect(served.stepsBack).toBe(0);
});
