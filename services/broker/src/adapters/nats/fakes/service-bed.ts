import type { NatsConfiguration, NatsCredentials } from '@token-broker/configuration';
import { createSystemClock, Redacted } from '@token-broker/foundation';
import { createSubjects, decode, failureReplySchema, LIMITS, type FailureReply } from '@token-broker/protocol';
import { eventually, startNats, type NatsServer, type NatsUser } from '@token-broker/testing';
import { connect, type NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { RecordedAudit, RecordedLog } from '../../../app/fakes/recorded-telemetry.js';
import type { Service, ServiceHandler } from '../../../app/ports/bus.js';
import type { Metrics } from '../../../app/ports/telemetry.js';
import { connectNats, type NatsLink } from '../nats-connection.js';
import { createNatsService, type NatsServiceOptions } from '../nats-service.js';

export const clock = createSystemClock();
export const subjects = createSubjects();
/** A reply of a handler, and what its caller reads. */
export const OK = Buffer.from('{"v":1}');

const caller = (name: string): NatsUser => ({
  user: name,
  password: name,
  permissions: {
    publish: ['token-broker.v1.*.'.concat(name), `token-broker.v1.*.${name}.>`, 'token-broker.v1.*.*', '$SRV.>'],
    subscribe: [`_INBOX.${name}.>`],
  },
});
/** The broker, two callers that keep to their own subjects, and one who may everything. */
export const USERS: readonly NatsUser[] = [
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

/** Brokers that serve, and callers, on one NATS server. */
export interface ServiceBed {
  readonly log: RecordedLog;
  readonly audit: RecordedAudit;
  /** Why each request was dropped that was. */
  readonly dropped: string[];
  /** What begins is undone after the test, the last first. */
  readonly after: (undo: () => Promise<unknown>) => void;
  /** A broker that serves. Default: on the server of the file. */
  readonly serve: (
    handle: ServiceHandler,
    options?: Partial<NatsServiceOptions>,
    at?: NatsServer,
  ) => Promise<{ readonly service: Service; readonly connection: NatsLink }>;
  /** The same, not started yet. */
  readonly make: (
    options?: Partial<NatsServiceOptions>,
    at?: NatsServer,
  ) => Promise<{ readonly service: Service; readonly connection: NatsLink }>;
  /** A connection of one of the {@link USERS}. Default: to the server of the file. */
  readonly login: (user: string, at?: NatsServer) => Promise<NatsConnection>;
}

/** Has a NATS server for all tests of the file that calls this; what they make on it ends with each. */
export function serviceBedOfFile(): ServiceBed {
  let server: NatsServer | undefined;
  const serverOfFile = (): NatsServer => {
    if (server === undefined) throw new Error('NATS is there within tests and hooks alone');
    return server;
  };
  const undoing: (() => Promise<unknown>)[] = [];
  const log = new RecordedLog();
  const audit = new RecordedAudit();
  const dropped: string[] = [];
  const metrics = { requestDropped: (why: string) => dropped.push(why) } as unknown as Metrics;

  beforeAll(async () => {
    server = await startNats({ users: USERS });
  });
  afterAll(() => server?.stop());
  afterEach(async () => {
    for (const undo of undoing.splice(0).reverse()) await undo();
    for (const recorded of [log.lines, audit.entries, dropped]) recorded.length = 0;
  });

  const make: ServiceBed['make'] = async (options = {}, at = serverOfFile()) => {
    const credentials: NatsCredentials = { kind: 'user', user: 'broker', password: new Redacted('broker') };
    const configuration: NatsConfiguration = {
      servers: [at.url],
      subjectPrefix: 'token-broker',
      credentials,
      eventCredentials: credentials,
    };
    const connection = connectNats(configuration, credentials, { name: 'broker-1', clock, log });
    undoing.push(() => connection.close());
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
    return { service, connection };
  };

  return {
    log,
    audit,
    dropped,
    after: (undo) => void undoing.push(undo),
    make,
    serve: async (handle, options, at) => {
      const made = await make(options, at);
      await made.service.start(handle);
      return made;
    },
    login: async (user, at = serverOfFile()) => {
      const connection = await connect({ servers: at.url, user, pass: user, inboxPrefix: `_INBOX.${user}` });
      undoing.push(() => connection.close());
      return connection;
    },
  };
}

/** The reply to a request, as text. */
export async function ask(connection: NatsConnection, subject: string, body?: Uint8Array | string): Promise<string> {
  return (await connection.request(subject, body, { timeout: 2_000 })).string();
}

/** An answer that the test gives when it wants to. */
export interface HeldAnswer {
  readonly promise: Promise<Uint8Array>;
  readonly give: (bytes: Uint8Array) => void;
}

export function holdAnswer(): HeldAnswer {
  let resolve: ((bytes: Uint8Array) => void) | undefined;
  const promise = new Promise<Uint8Array>((take) => (resolve = take));
  return { promise, give: (bytes) => resolve?.(bytes) };
}

export function failureOf(text: string): FailureReply['error'] {
  const reply = decode(failureReplySchema, Buffer.from(text), LIMITS.replyBytes);
  if (!reply.ok) throw new Error(reply.error);
  return reply.value.error;
}
