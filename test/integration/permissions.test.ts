import { eventually, type NatsUser } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { connect } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createRawCaller, subjects } from './raw-caller.js';
import { metricValue, PASSWORD, startStack, type Settings, type Stack } from './stack.js';

/** A user that hears everything, as the operator of a NATS system could. */
const OBSERVER: NatsUser = { user: 'observer', password: PASSWORD, permissions: { publish: [], subscribe: ['>'] } };
const SLOT = 'AAAAAAAAAAAAAAAAAAAAAA';

let stack: Stack;
let observer: NatsConnection;
let heard: string[] = [];

beforeAll(async () => {
  stack = await startStack({ brokers: 2 });
  await restoreUsers();
  observer = await stack.connectAs('observer');
  observer.subscribe('>', { callback: (_error, { subject }) => heard.push(subject) });
});
afterAll(() => stack.stop());
beforeEach(() => {
  heard = [];
});

function restoreUsers(): Promise<void> {
  return stack.changeNatsUsers((users) => [...users, OBSERVER]);
}

/** The caller may publish these subjects as well, whatever the configuration says. */
function widen(caller: string, publish: readonly string[]): Promise<void> {
  return stack.changeNatsUsers((users) => [
    ...users.map((user) =>
      user.user === caller
        ? {
            ...user,
            permissions: { ...user.permissions, publish: [...(user.permissions?.publish as string[]), ...publish] },
          }
        : user,
    ),
    OBSERVER,
  ]);
}

interface Watched {
  readonly connection: NatsConnection;
  /** What the server has refused: `publish <subject>` or `subscription <subject>`. */
  readonly refused: string[];
}

async function watched(user: string): Promise<Watched> {
  const connection = await stack.connectAs(user);
  const refused: string[] = [];
  void (async () => {
    for await (const { permissionContext } of connection.status())
      if (permissionContext !== undefined)
        refused.push(`${permissionContext.operation} ${permissionContext.subject}`.toLowerCase());
  })();
  return { connection, refused };
}

/** Everything that was published before has reached the observer. */
async function settled(connection: NatsConnection): Promise<void> {
  await connection.flush();
  await observer.flush();
}

async function counted(name: string, labels: Readonly<Record<string, string>>): Promise<number> {
  const texts = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
  return texts.reduce((sum, text) => sum + metricValue(text, name, labels), 0);
}

function requestsSeen(caller: string, source: string): Promise<number> {
  return counted('token_broker_requests_total', { caller, source });
}

function forgedReplies(): Promise<number> {
  return counted('token_broker_requests_dropped_total', { reason: 'reply-subject' });
}

describe('NATS itself', () => {
  it('refuses a caller that has no permission for a source: no broker ever sees it', async () => {
    const { connection, refused } = await watched('orders');
    const subject = subjects.get('orders', 'orders-api');
    connection.publish(subject, '', { reply: '_INBOX.orders.x' });
    await eventually(() => refused.includes(`publish ${subject}`), { what: 'the permission violation' });
    await settled(connection);
    expect(heard).not.toContain(subject);
    expect(await requestsSeen('orders', 'orders-api')).toBe(0);
    expect(stack.idpCalls()).toBe(0);
  });

  it('tells the client library, which says FORBIDDEN at once', async () => {
    const client = await stack.client('orders', { requestTimeoutMs: 10_000 });
    await expect(client.source('orders-api').get()).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(stack.idpCalls()).toBe(0);
    await client.close();
  });

  it('refuses a caller every subject that speaks for somebody else', async () => {
    const { connection, refused } = await watched('orders');
    const forbidden = [
      subjects.get('billing', 'payments-api'),
      subjects.rejected('billing', 'payments-api'),
      subjects.sync('billing'),
      subjects.ack('billing'),
      subjects.admin('ops', 'revoke'),
      subjects.admin('orders', 'revoke'),
      subjects.event('payments-api', SLOT),
      subjects.invalidation(0),
      subjects.invalidation('all'),
      subjects.heartbeat(),
      subjects.flight(SLOT),
      subjects.peer('all'),
      '_INBOX.billing.x',
    ];
    for (const subject of forbidden) connection.publish(subject, '{"v":1}');
    await eventually(() => refused.length >= forbidden.length, { what: 'the permission violations' });
    expect(new Set(refused)).toEqual(new Set(forbidden.map((subject) => `publish ${subject}`.toLowerCase())));
    await settled(connection);
    // The brokers go on with heartbeats of their own.
    expect(heard.filter((subject) => subject !== subjects.heartbeat() && forbidden.includes(subject))).toEqual([]);
  });

  it("lets no caller listen to another's inbox, to others' events or to the brokers' own talk", async () => {
    const { connection, refused } = await watched('orders');
    const forbidden = [
      '_INBOX.billing.>',
      '_INBOX.>',
      '>',
      subjects.event('orders-api', '*'),
      subjects.event('*', '*'),
      subjects.get('*', '*'),
      subjects.flight('*'),
      subjects.peer('*'),
      subjects.ack('*'),
    ];
    const leaked: string[] = [];
    for (const subject of forbidden)
      connection.subscribe(subject, { callback: (error, message) => error ?? leaked.push(message.subject) });
    await eventually(() => refused.length >= forbidden.length, { what: 'the permission violations' });
    expect(new Set(refused)).toEqual(new Set(forbidden.map((subject) => `subscription ${subject}`.toLowerCase())));
    const billing = await stack.client('billing');
    await billing.source('orders-api').get();
    await settled(connection);
    expect(heard.some((subject) => subject.startsWith('_INBOX.billing.'))).toBe(true);
    expect(heard.some((subject) => subject.startsWith('token-broker.v1.event.orders-api.'))).toBe(true);
    expect(leaked).toEqual([]);
    await billing.close();
  });

  it.each([
    ['a wrong password', 'orders', 'wrong'],
    ['no password', 'orders', ''],
    ['an unknown user', 'nobody', PASSWORD],
  ])('lets nobody in with %s', async (_, user, pass) => {
    const attempt = connect({ servers: stack.nats.url, user, pass, maxReconnectAttempts: 0 });
    await expect(attempt).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
  });

  it("refuses the brokers' serving connection whatever is not a reply", async () => {
    const { connection, refused } = await watched('broker');
    const forbidden = [
      subjects.event('payments-api', SLOT),
      subjects.invalidation('all'),
      subjects.heartbeat(),
      subjects.peer('all'),
      subjects.flight(SLOT),
      subjects.admin('ops', 'revoke'),
    ];
    // Also as the answer to a request: there is no permission that a request gives.
    connection.subscribe(subjects.get('orders', 'payments-api'), {
      callback: (_error, message) => message.respond('{"v":1}'),
    });
    await connection.flush();
    for (const subject of forbidden) connection.publish(subject, '{"v":1}');
    const orders = await stack.connectAs('orders');
    const reply = subjects.event('payments-api', `${SLOT.slice(1)}B`);
    orders.publish(subjects.get('orders', 'payments-api'), '', { reply });
    const expected = [...forbidden, reply].map((subject) => `publish ${subject}`.toLowerCase());
    await eventually(() => expected.every((text) => refused.includes(text)), { what: 'the permission violations' });
    await settled(connection);
    expect(heard).not.toContain(reply);
    expect(heard).not.toContain(subjects.event('payments-api', SLOT));
    await connection.close();
  });

  it("refuses the brokers' event connection what belongs to callers and to the serving connection", async () => {
    const { connection, refused } = await watched('broker-events');
    const forbidden = [subjects.get('orders', 'payments-api'), subjects.admin('ops', 'revoke'), '_INBOX.orders.x'];
    for (const subject of forbidden) connection.publish(subject, '{"v":1}');
    await eventually(() => refused.length >= forbidden.length, { what: 'the permission violations' });
    expect(new Set(refused)).toEqual(new Set(forbidden.map((subject) => `publish ${subject}`.toLowerCase())));
    await settled(connection);
    for (const subject of forbidden) expect(heard).not.toContain(subject);
  });
});

describe('the broker, where NATS lets a request pass', () => {
  afterEach(restoreUsers);

  it('refuses a source that the policy does not give, on every replica', async () => {
    await widen('orders', [subjects.get('orders', '*'), subjects.rejected('orders', '*')]);
    const orders = createRawCaller(await stack.connectAs('orders'), 'orders');
    const before = stack.idpCalls();
    for (let i = 0; i < 20; i++) {
      const refusal = await orders.refusal(subjects.get('orders', 'orders-api'));
      expect(refusal.code).toBe('FORBIDDEN');
    }
    const rejected = await orders.refusal(subjects.rejected('orders', 'orders-api'), '{"epoch":1,"generation":1}');
    expect(rejected.code).toBe('FORBIDDEN');
    expect(await requestsSeen('orders', 'orders-api')).toBeGreaterThan(0);
    expect(stack.idpCalls()).toBe(before);
  });

  it('refuses what only operators may, and writes it to the audit trail', async () => {
    await widen('orders', [subjects.admin('orders', '*')]);
    const orders = createRawCaller(await stack.connectAs('orders'), 'orders');
    const refusal = await orders.refusal(subjects.admin('orders', 'revoke'), '{"selector":{"all":true}}');
    expect(refusal.code).toBe('FORBIDDEN');
    expect(stack.logLines.some((line) => line.includes('"audit":1') && line.includes('"admin.refused"'))).toBe(true);
  });

  it('refuses a caller that NATS knows and the configuration does not', async () => {
    await stack.changeNatsUsers((users) => [
      ...users,
      OBSERVER,
      {
        user: 'stranger',
        password: PASSWORD,
        permissions: { publish: ['token-broker.v1.*.stranger.>', subjects.sync('stranger')], subscribe: ['_INBOX.>'] },
      },
    ]);
    const stranger = createRawCaller(await stack.connectAs('stranger'), 'stranger');
    for (const subject of [
      subjects.get('stranger', 'payments-api'),
      subjects.sync('stranger'),
      subjects.admin('stranger', 'status'),
    ]) {
      const refusal = await stranger.refusal(subject, subject.includes('sync') ? '{"instance":"a"}' : '');
      expect(refusal.code).toBe('FORBIDDEN');
    }
  });

  it('refuses a caller whose grant a reload has taken away, though NATS still lets it pass', async () => {
    const connection = await stack.connectAs('billing');
    const billing = createRawCaller(connection, 'billing');
    const subject = subjects.get('billing', 'orders-api');
    await billing.token(subject);
    await widen('billing', [subject]);
    await stack.rewrite((settings) => ({
      ...settings,
      callers: { ...(settings['callers'] as Settings), billing: { sources: ['payments-api'] } },
    }));
    await Promise.all(stack.brokers.map((broker) => broker.reload()));
    const before = stack.idpCalls();
    for (let i = 0; i < 20; i++) {
      const refusal = await billing.refusal(subject);
      expect(refusal.code).toBe('FORBIDDEN');
    }
    await billing.token(subjects.get('billing', 'payments-api'));
    expect(stack.idpCalls() - before).toBeLessThanOrEqual(1);
  });

  it('drops a forged reply subject, which reaches nobody, and says so in the audit trail', async () => {
    const connection = await stack.connectAs('orders');
    const orders = createRawCaller(connection, 'orders');
    await orders.token(subjects.get('orders', 'payments-api'));
    heard = [];
    const before = await forgedReplies();
    const targets = ['_INBOX.billing.forged', subjects.event('payments-api', SLOT), subjects.admin('ops', 'revoke')];
    for (const reply of targets) connection.publish(subjects.get('orders', 'payments-api'), '', { reply });
    await eventually(async () => (await forgedReplies()) - before === targets.length, { what: 'the drops' });
    await settled(connection);
    for (const target of targets) expect(heard).not.toContain(target);
    expect(stack.logLines.some((line) => line.includes('"audit":1') && line.includes('"reply-subject.forged"'))).toBe(
      true,
    );
  });
});
