import { createSystemClock, delay, Redacted } from '@token-broker/foundation';
import type { NatsConfiguration, NatsCredentials } from '@token-broker/configuration';
import { createSubjects, decode, failureReplySchema, LIMITS, type FailureReply } from '@token-broker/protocol';
import { eventually, startNats, type NatsServer, type NatsUser } from '@token-broker/testing';
import { connect, type NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RecordedAudit } from '../../app/fakes/recorded-telemetry.js';
import type { Service, ServiceHandler, ServiceRequest } from '../../app/ports/bus.js';
import type { Log, LogFields, Metrics } from '../../app/ports/telemetry.js';
import { connectNats } from './nats-connection.js';
import { createNatsService, type NatsServiceOptions } from './nats-service.js';

const clock = createSystemClock();
const subjects = createSubjects();
const OK = Buffer.from('{"v":1}');

const caller = (name: string): NatsUser => ({
  user: name,
  password: name,
  permissions: {
    publish: ['token-broker.v1.*.'.concat(name), `token-broker.v1.*.${name}.>`, 'token-broker.v1.*.*', '$SRV.>'],
    subscribe: [`_INBOX.${name}.>`],
  },
});
const USERS: readonly NatsUser[] = [
  {
    user: 'broker',
    password: 'broker',
    permissions: {
      publish: ['_INBOX.>'],
      subscribe: [
        'token-broker.v1.get.*.* token-broker',
        'token-broker.v1.rejected.*.* token-broker',
        'token-broker.v1.sync.* token-broker',
        'token-broker.v1.admin.*.* token-broker',
        '$SRV.>',
      ],
    },
  },
  caller('orders'),
  caller('billing'),
  { user: 'root', password: 'root' },
];

let server: NatsServer;
const cleanups: (() => Promise<void>)[] = [];
let lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
let dropped: string[] = [];

const write =
  (level: string) =>
  (message: string, fields: LogFields = {}): void => {
    lines.push({ level, message, fields });
  };
const log: Log = {
  debug: write('debug'),
  info: write('info'),
  warn: write('warn'),
  error: write('error'),
};
const audit = new RecordedAudit();
const metrics = { requestDropped: (why: string) => dropped.push(why) } as unknown as Metrics;

beforeAll(async () => {
  server = await startNats({ users: USERS });
});
afterAll(() => server.stop());
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  lines = [];
  dropped = [];
  audit.entries.length = 0;
});

async function serve(
  handle: ServiceHandler,
  options: Partial<NatsServiceOptions> = {},
  at: NatsServer = server,
): Promise<Service> {
  const credentials: NatsCredentials = { kind: 'user', user: 'broker', password: new Redacted('broker') };
  const configuration: NatsConfiguration = {
    servers: [at.url],
    subjectPrefix: 'token-broker',
    credentials,
    eventCredentials: credentials,
  };
  const connection = connectNats(configuration, credentials, { name: 'broker-1', clock, log });
  cleanups.push(() => connection.close());
  await eventually(() => connection.isConnected(), { what: 'the connection of the broker' });
  const service = createNatsService({
    connection,
    subjects,
    name: 'token-broker',
    version: '1.2.3',
    queue: 'token-broker',
    clock,
    log,
    audit,
    metrics,
    ...options,
  });
  await service.start(handle);
  return service;
}

async function login(user: string, at: NatsServer = server): Promise<NatsConnection> {
  const connection = await connect({ servers: at.url, user, pass: user, inboxPrefix: `_INBOX.${user}` });
  cleanups.push(() => connection.close());
  return connection;
}

async function ask(connection: NatsConnection, subject: string, body?: Uint8Array | string): Promise<string> {
  return (await connection.request(subject, body, { timeout: 2_000 })).string();
}

interface Gate {
  readonly promise: Promise<Uint8Array>;
  resolve(bytes: Uint8Array): void;
}

/** An answer that the test gives when it wants to. */
function createGate(): Gate {
  let open: ((bytes: Uint8Array) => void) | undefined;
  const promise = new Promise<Uint8Array>((resolve) => (open = resolve));
  return { promise, resolve: (bytes) => open?.(bytes) };
}

function failureOf(text: string): FailureReply['error'] {
  const reply = decode(failureReplySchema, Buffer.from(text), LIMITS.replyBytes);
  if (!reply.ok) throw new Error(reply.error);
  return reply.value.error;
}

describe('createNatsService', () => {
  it('answers on the own inbox of the caller, whom the subject names', async () => {
    const requests: ServiceRequest[] = [];
    await serve((request) => {
      requests.push(request);
      return OK;
    });
    const orders = await login('orders');
    expect(await ask(orders, subjects.get('orders', 'payments'))).toBe('{"v":1}');
    expect(await ask(orders, subjects.rejected('orders', 'payments'), '{"generation":1}')).toBe('{"v":1}');
    expect(await ask(orders, subjects.sync('orders'))).toBe('{"v":1}');
    expect(await ask(orders, subjects.admin('orders', 'revoke'))).toBe('{"v":1}');
    expect(
      requests.map(({ verb, caller: who, target, subject, body }) => [verb, who, target, subject, body.length]),
    ).toEqual([
      ['get', 'orders', 'payments', subjects.get('orders', 'payments'), 0],
      ['rejected', 'orders', 'payments', subjects.rejected('orders', 'payments'), 16],
      ['sync', 'orders', '', subjects.sync('orders'), 0],
      ['admin', 'orders', 'revoke', subjects.admin('orders', 'revoke'), 0],
    ]);
    expect(dropped).toEqual([]);
  });

  it('answers by promise as well, and out of order', async () => {
    const slow = createGate();
    await serve(({ target }) => (target === 'slow' ? slow.promise : Promise.resolve(OK)));
    const orders = await login('orders');
    const first = ask(orders, subjects.get('orders', 'slow'));
    expect(await ask(orders, subjects.get('orders', 'fast'))).toBe('{"v":1}');
    slow.resolve(Buffer.from('"late"'));
    expect(await first).toBe('"late"');
  });

  it.each([
    ["another caller's inbox", '_INBOX.billing.abc'],
    ['an inbox whose name begins the same', '_INBOX.orders2.abc'],
    ['an event subject', 'token-broker.v1.event.payments.abc'],
    ['another request', 'token-broker.v1.admin.orders.revoke'],
  ])('drops, counts and audits a request whose reply would go to %s', async (_, reply) => {
    let handled = 0;
    await serve(() => {
      handled += 1;
      return OK;
    });
    const root = await login('root');
    const heard: string[] = [];
    root.subscribe(reply, { callback: (error, message) => heard.push(String(error ?? message.subject)) });
    const orders = await login('orders');
    orders.publish(subjects.get('orders', 'payments'), 'forged', { reply });
    await eventually(() => dropped.length > 0, { what: 'the drop' });
    expect(dropped).toEqual(['reply-subject']);
    expect(handled).toBe(0);
    const facts = { requests: 1, subject: subjects.get('orders', 'payments'), lastReply: reply };
    expect(audit.entries).toEqual([{ event: 'reply-subject.forged', by: 'orders', result: 'refused', facts }]);
    // What was published before a round trip of both sides would have arrived by now.
    expect(await ask(orders, subjects.get('orders', 'payments'))).toBe('{"v":1}');
    await root.flush();
    expect(heard).toEqual([]);
  });

  it('writes a flood of forged reply subjects to the audit trail as a first line and a count', async () => {
    const service = await serve(() => OK);
    const orders = await login('orders');
    for (let i = 0; i < 1_000; i += 1)
      orders.publish(subjects.get('orders', 'payments'), '', { reply: `_INBOX.billing.${String(i)}` });
    await eventually(() => dropped.length === 1_000, { what: 'all drops' });
    await service.drain(1_000);
    expect(audit.entries.map(({ by }) => by)).toEqual(['orders', 'orders']);
    expect(audit.entries[1]?.facts).toEqual({ requests: 999, lastReply: '_INBOX.billing.999' });
  });

  it('drops and counts a request that has no reply subject', async () => {
    let handled = 0;
    await serve(() => {
      handled += 1;
      return OK;
    });
    const orders = await login('orders');
    orders.publish(subjects.get('orders', 'payments'));
    await eventually(() => dropped.length > 0, { what: 'the drop' });
    expect(dropped).toEqual(['no-reply-subject']);
    expect(handled).toBe(0);
  });

  it.each(['*', '>', 'or$ders', 'a'.repeat(65)])('drops a request of the impossible caller %j', async (name) => {
    let handled = 0;
    await serve(() => {
      handled += 1;
      return OK;
    });
    const root = await login('root');
    root.publish(subjects.get(name, 'payments'), '', { reply: `_INBOX.${name}.x` });
    await root.flush();
    root.publish(subjects.get('orders', 'payments'));
    await eventually(() => dropped.includes('no-reply-subject'), { what: 'the request that was sent after it' });
    expect(handled).toBe(0);
    // A server may refuse wildcards in a published subject by itself; where it passes them on, they end here.
    expect(dropped.filter((why) => why === 'reply-subject').length).toBe(audit.entries.length);
    if (!['*', '>'].includes(name)) expect(dropped).toContain('reply-subject');
  });

  it('refuses a source that is no identifier', async () => {
    await serve(() => OK);
    const orders = await login('orders');
    const { code, message } = failureOf(await ask(orders, subjects.get('orders', 'pay$ments')));
    expect(code).toBe('BAD_REQUEST');
    expect(message).toContain('the source in the subject must match');
  });

  it('refuses an oversize body without giving it to the handler; one at the limit passes', async () => {
    let handled = 0;
    await serve(() => {
      handled += 1;
      return OK;
    });
    const orders = await login('orders');
    const subject = subjects.get('orders', 'payments');
    expect(failureOf(await ask(orders, subject, new Uint8Array(LIMITS.requestBytes + 1))).code).toBe('BAD_REQUEST');
    expect(handled).toBe(0);
    expect(await ask(orders, subject, new Uint8Array(LIMITS.requestBytes))).toBe('{"v":1}');
  });

  it('answers INTERNAL when the handler throws or rejects, logs it, and goes on', async () => {
    await serve(({ target }) => {
      if (target === 'throws') throw new Error('it threw');
      return target === 'rejects' ? Promise.reject(new Error('it rejected')) : OK;
    });
    const orders = await login('orders');
    for (const [target, text] of [
      ['throws', 'it threw'],
      ['rejects', 'it rejected'],
    ] as const) {
      const error = failureOf(await ask(orders, subjects.get('orders', target)));
      expect(error.code).toBe('INTERNAL');
      expect(error.message).not.toContain(text);
      expect(lines).toContainEqual(
        expect.objectContaining({ level: 'error', fields: expect.objectContaining({ detail: text }) as LogFields }),
      );
    }
    expect(await ask(orders, subjects.get('orders', 'payments'))).toBe('{"v":1}');
  });

  it('answers INTERNAL when the reply is larger than the server takes', async () => {
    await serve(() => new Uint8Array(2 * 1024 * 1024));
    const orders = await login('orders');
    expect(failureOf(await ask(orders, subjects.get('orders', 'payments'))).code).toBe('INTERNAL');
  });

  it('refuses with BROKER_UNAVAILABLE and a pause what is above the bound of requests under way', async () => {
    const gate = createGate();
    await serve(() => gate.promise, { maxUnderWay: 2 });
    const orders = await login('orders');
    const subject = subjects.get('orders', 'payments');
    const waiting = [ask(orders, subject), ask(orders, subject)];
    const error = failureOf(await ask(orders, subject));
    expect(error.code).toBe('BROKER_UNAVAILABLE');
    expect(error.retryAfterMs).toBeGreaterThan(0);
    gate.resolve(OK);
    expect(await Promise.all(waiting)).toEqual(['{"v":1}', '{"v":1}']);
    expect(await ask(orders, subject)).toBe('{"v":1}');
  });

  it('is found by discovery, with name, version, queue group and endpoints', async () => {
    await serve(() => OK);
    const root = await login('root');
    const found: unknown[] = [];
    for await (const info of await root.services.client().info('token-broker')) found.push(info);
    expect(found).toEqual([
      expect.objectContaining({
        name: 'token-broker',
        version: '1.2.3',
        endpoints: [
          expect.objectContaining({ name: 'get', subject: 'token-broker.v1.get.*.*', queue_group: 'token-broker' }),
          expect.objectContaining({ name: 'rejected', subject: 'token-broker.v1.rejected.*.*' }),
          expect.objectContaining({ name: 'sync', subject: 'token-broker.v1.sync.*' }),
          expect.objectContaining({ name: 'admin', subject: 'token-broker.v1.admin.*.*' }),
        ],
      }),
    ]);
  });

  it('shares the requests among replicas: each reaches exactly one', async () => {
    const handled = [0, 0];
    for (const replica of [0, 1])
      await serve(() => {
        handled[replica] = (handled[replica] ?? 0) + 1;
        return OK;
      });
    const orders = await login('orders');
    const subject = subjects.get('orders', 'payments');
    await Promise.all(Array.from({ length: 100 }, () => ask(orders, subject)));
    expect((handled[0] ?? 0) + (handled[1] ?? 0)).toBe(100);
    expect(Math.min(...handled)).toBeGreaterThan(0);
  });
});

describe('draining', () => {
  it('loses no request under load: each is answered by the one that leaves or by the one that stays', async () => {
    const answer = (from: string) => async (): Promise<Uint8Array> => {
      await delay(clock, 2);
      return Buffer.from(from);
    };
    const leaving = await serve(answer('leaving'));
    await serve(answer('staying'));
    const orders = await login('orders');
    const subject = subjects.get('orders', 'payments');
    const replies: string[] = [];
    let load = true;
    const worker = async (): Promise<void> => {
      while (load) replies.push(await ask(orders, subject));
    };
    const workers = Array.from({ length: 50 }, worker);
    await eventually(() => replies.filter((reply) => reply === 'leaving').length > 50, { what: 'load on both' });
    await leaving.drain(5_000);
    expect(leaving.isConnected()).toBe(false);
    const after = replies.length;
    await eventually(() => replies.length > after + 200, { what: 'load on the one that stays' });
    load = false;
    await Promise.all(workers);
    expect(new Set(replies)).toEqual(new Set(['leaving', 'staying']));
    expect(new Set(replies.slice(after + 50))).toEqual(new Set(['staying']));
    expect(dropped).toEqual([]);
  });

  it('tells those it leaves at the limit to try elsewhere at once, and counts them', async () => {
    const late = createGate();
    let handled = 0;
    const service = await serve(() => {
      handled += 1;
      return late.promise;
    });
    const orders = await login('orders');
    const replies: string[] = [];
    orders.subscribe('_INBOX.orders.once', { callback: (_, message) => replies.push(message.string()) });
    orders.publish(subjects.get('orders', 'payments'), '', { reply: '_INBOX.orders.once' });
    await eventually(() => handled === 1, { what: 'the request' });
    await service.drain(50);
    await eventually(() => replies.length === 1, { what: 'the reply' });
    expect(failureOf(replies[0] ?? '')).toMatchObject({ code: 'BROKER_UNAVAILABLE', retryAfterMs: 0 });
    expect(dropped).toEqual(['draining']);

    // An answer that comes after all is a second one: it must not be sent. The next broker's answer comes after it.
    late.resolve(Buffer.from('"late"'));
    await cleanups[0]?.();
    await serve(() => OK);
    expect(await ask(orders, subjects.get('orders', 'payments'))).toBe('{"v":1}');
    expect(replies).toHaveLength(1);
  });
});

describe('faults', () => {
  it('serves again after the NATS server has restarted', async () => {
    const own = await startNats({ users: USERS });
    cleanups.push(() => own.stop());
    const service = await serve(() => OK, {}, own);
    const orders = await login('orders', own);
    await own.restart();
    await eventually(() => service.isConnected(), { what: 'the service to be back', withinMs: 10_000 });
    await eventually(async () => (await ask(orders, subjects.get('orders', 'payments'))) === '{"v":1}', {
      what: 'an answer after the restart',
      withinMs: 15_000,
    });
  });

  it('says so when NATS refuses a subscription, and serves once the permission is there', async () => {
    const refused = USERS.map((user) =>
      user.user === 'broker' ? { ...user, permissions: { publish: ['_INBOX.>'], subscribe: ['$SRV.>'] } } : user,
    );
    const own = await startNats({ users: refused });
    cleanups.push(() => own.stop());
    const service = await serve(() => OK, {}, own);
    await eventually(() => lines.some(({ message }) => message === 'NATS stopped the service'), { what: 'the alarm' });
    expect(service.isConnected()).toBe(false);
    await own.setUsers(USERS);
    const orders = await login('orders', own);
    await eventually(async () => (await ask(orders, subjects.get('orders', 'payments'))) === '{"v":1}', {
      what: 'an answer after the permission was granted',
      withinMs: 15_000,
    });
    expect(service.isConnected()).toBe(true);
  });
});
