import { startNats, type NatsServer } from '@token-broker/testing';
import { connect, headers, type NatsConnection, type ServiceMsg } from 'nats';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TraceContext } from '../../domain/trace-context.js';
import { ReceivedRequest } from './received-request.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`;
const SUBJECT = 'token-broker.v1.get.orders.payments';

let server: NatsServer;
let connection: NatsConnection;
let requests: ReceivedRequest[];
let messages: ServiceMsg[];

beforeAll(async () => {
  server = await startNats();
  connection = await connect({ servers: server.url });
  const service = await connection.services.add({ name: 'requests', version: '1.0.0' });
  service.addEndpoint('get', {
    subject: SUBJECT,
    handler(_error, message) {
      messages.push(message);
      const route = { verb: 'get', caller: 'orders', target: 'payments', inbox: '' } as const;
      requests.push(new ReceivedRequest(route, message, message.data));
      message.respond();
    },
  });
  await connection.flush();
});
afterAll(async () => {
  await connection.close();
  await server.stop();
});
beforeEach(() => {
  requests = [];
  messages = [];
});

async function traceOf(given: Readonly<Record<string, string>>, body = ''): Promise<TraceContext | undefined> {
  const sent = headers();
  for (const [name, value] of Object.entries(given)) sent.set(name, value);
  await connection.request(SUBJECT, body, { headers: sent, timeout: 2_000 });
  return requests.at(-1)?.trace;
}

describe('the trace of a request', () => {
  it('is in its headers, in whatever case their names are, with or without a body', async () => {
    const trace = { traceId: TRACE_ID, spanId: '00f067aa0ba902b7', isSampled: true, isRemote: true };
    expect(await traceOf({ traceparent: TRACEPARENT })).toEqual(trace);
    expect(await traceOf({ Traceparent: TRACEPARENT, Tracestate: 'vendor=1' }, '{"v":1}')).toEqual({
      ...trace,
      state: 'vendor=1',
    });
    expect(requests.at(-1)?.body).toHaveLength(7);
  });

  it.each([
    ['malformed', { traceparent: 'nonsense' }],
    ['empty', { traceparent: '' }],
    ['another header', { 'x-request-id': TRACEPARENT }],
  ])('is none where the header is %s', async (_, given) => {
    expect(await traceOf(given)).toBeUndefined();
  });

  it('is none where there are no headers', async () => {
    await connection.request(SUBJECT);
    expect(requests.at(-1)?.trace).toBeUndefined();
  });

  it('is not looked for in more headers than a trace needs', async () => {
    const many = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`name-${String(index)}`, 'x']));
    expect(await traceOf({ traceparent: TRACEPARENT, ...many })).toBeUndefined();
    const few = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`name-${String(index)}`, 'x']));
    expect(await traceOf({ traceparent: TRACEPARENT, ...few })).toMatchObject({ traceId: TRACE_ID });
  });

  it('is none where the driver cannot read the headers', async () => {
    const encode = (): Uint8Array => Buffer.from(`NATS/1.0\r\ntraceparent: ${TRACEPARENT}\r\nx: a\rb\r\n\r\n`);
    await connection.request(SUBJECT, '', { headers: { encode } as never, timeout: 2_000 });
    expect(() => messages.at(-1)?.headers).toThrow();
    expect(requests.at(-1)?.trace).toBeUndefined();
  });
});
