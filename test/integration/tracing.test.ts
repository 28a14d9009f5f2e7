import * as api from '@opentelemetry/api';
import { createTracing } from '@token-broker/client/tracing';
import {
  eventually,
  startScriptedIdentityProvider,
  type ScriptedIdentityProvider,
  type ScriptedReply,
} from '@token-broker/testing';
import { headers, type Msg, type NatsConnection } from 'nats';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { registerSdk, type FinishedSpans } from './finished-spans.js';
import { subjects } from './raw-caller.js';
import { SecretSearch } from './spellings.js';
import { CLIENT_SECRET, PASSWORD, sourceSettings, startStack, type Settings, type Stack } from './stack.js';
import { tokenctl } from './tokenctl.js';

const { SpanKind, SpanStatusCode } = api;
const SOURCE = 'payments-api';
const SCRIPTED = 'orders-api';
/** A source that has failed pauses. */
const FAILING = 'failing-api';
const SCRIPTED_TOKEN = 'canary-scripted';
const OPERATOR_TOKEN = `canary-operator-${'0123456789'.repeat(3)}`;
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`;
const GET = 'token-broker get';

let spans: FinishedSpans;
let stack: Stack;
let scripted: ScriptedIdentityProvider;
let script: () => ScriptedReply;
/** Every token that was given out. */
const tokens: string[] = [];
/** Requests for tokens, as the NATS server hands them on. */
const wire: Msg[] = [];

beforeAll(async () => {
  spans = registerSdk();
  scripted = await startScriptedIdentityProvider(() => script());
  stack = await startStack({
    brokers: 1,
    tokenTransform: (accessToken) => {
      tokens.push(`canary-${accessToken}`);
      return `canary-${accessToken}`;
    },
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        ...(settings['sources'] as Settings),
        [SCRIPTED]: sourceSettings(idp, { issuer: undefined, tokenEndpoint: scripted.tokenEndpoint }),
        [FAILING]: sourceSettings(idp, { issuer: undefined, tokenEndpoint: scripted.tokenEndpoint }),
      },
      http: {
        ...(settings['http'] as Settings),
        admin: { listen: '127.0.0.1:0', tokens: [{ caller: 'ops', token: OPERATOR_TOKEN }] },
      },
    }),
  });
  await stack.changeNatsUsers((users) => [...users, { user: 'spy', password: PASSWORD }]);
  const spy = await stack.connectAs('spy');
  spy.subscribe(subjects.get('*', '*'), { callback: (_error, message) => void wire.push(message) });
  await spy.flush();
});
afterAll(async () => {
  await stack.stop();
  await scripted.stop();
  spans.stop();
});
beforeEach(async () => {
  await revokeAll();
  // Another one each time: a token that comes again after its revocation is refused.
  script = () => ({
    body: {
      access_token: `${SCRIPTED_TOKEN}-${String(scripted.requests.length)}`,
      token_type: 'Bearer',
      expires_in: 600,
    },
  });
  spans.clear();
  wire.length = 0;
});

async function revokeAll(): Promise<void> {
  const operator = await stack.operator();
  await operator.revoke({ selector: { all: true }, reason: 'the next test' });
  operator.close();
}

/** A client whose requests are followed, and whose near cache is empty. */
async function traced(caller: string): Promise<Awaited<ReturnType<Stack['client']>>> {
  return stack.client(caller, { tracing: createTracing(api), refetchOnRevoke: false });
}

function ask(connection: NatsConnection, trace?: string): Promise<Msg> {
  const given = headers();
  if (trace !== undefined) given.set('traceparent', trace);
  return connection.request(subjects.get('orders', SOURCE), '', { timeout: 10_000, headers: given });
}

describe('one get', () => {
  it('is one trace: application, client, broker, flight, identity provider', async () => {
    const client = await traced('orders');
    const { span: application, result } = await spans.within(() => client.source(SOURCE).get());
    const { traceId } = application;
    const asked = await spans.one(GET, SpanKind.CLIENT, traceId);
    const served = await spans.one(GET, SpanKind.SERVER, traceId);
    const flight = await spans.one('token-broker flight', SpanKind.INTERNAL, traceId);
    const call = await spans.one('token-broker idp call', SpanKind.CLIENT, traceId);
    expect([asked, served, flight, call].map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(
      [application, asked.spanContext(), served.spanContext(), flight.spanContext()].map(({ spanId }) => spanId),
    );
    expect(served.attributes).toMatchObject({
      'token_broker.source': SOURCE,
      'token_broker.caller': 'orders',
      'token_broker.layer': 'idp',
      'token_broker.outcome': 'ok',
      'token_broker.generation': result.generation,
    });
    expect(served.parentSpanContext?.isRemote).toBe(true);
    expect(flight.events.map(({ name }) => name)).toEqual(['read', 'lock', 'claim', 'commit']);
    expect(call.attributes).toMatchObject({ 'token_broker.provider': 'oauth2', 'token_broker.reason': 'miss' });
    // What the broker has in memory is shown too, to a caller who has its trace recorded.
    spans.clear();
    const other = await traced('billing');
    const { span: second } = await spans.within(() => other.source(SOURCE).get());
    const hit = await spans.one(GET, SpanKind.SERVER, second.traceId);
    expect(hit.attributes).toMatchObject({ 'token_broker.layer': 'memory' });
    expect(spans.all().filter(({ name }) => name === 'token-broker flight')).toEqual([]);
  });

  it('that joins the flight of another caller is linked to it', async () => {
    const clients = [await traced('orders'), await traced('billing')];
    await Promise.all(clients.map((client) => client.ready()));
    stack.idp.setDelay(500);
    try {
      const asked = await Promise.all(clients.map((client) => spans.within(() => client.source(SOURCE).get())));
      const served = await Promise.all(asked.map(({ span }) => spans.one(GET, SpanKind.SERVER, span.traceId)));
      const flight = await spans.one('token-broker flight', SpanKind.INTERNAL);
      const { traceId, spanId } = flight.spanContext();
      const [joiner, ...more] = served.filter((span) => span.spanContext().traceId !== traceId);
      expect(more).toEqual([]);
      expect(joiner?.links).toMatchObject([{ context: { traceId, spanId } }]);
      expect(joiner?.attributes).toMatchObject({ 'token_broker.layer': 'flight' });
    } finally {
      stack.idp.setDelay(0);
    }
  });

  it('that fails shows where: the call of the identity provider, with its code', async () => {
    script = () => ({ status: 400, body: { error: 'invalid_scope', error_description: 'canary-description' } });
    const client = await traced('ops');
    const { span } = await spans.within(() =>
      client
        .source(FAILING)
        .get()
        .catch((error: unknown) => error),
    );
    const call = await spans.one('token-broker idp call', SpanKind.CLIENT, span.traceId);
    const asked = await spans.one(GET, SpanKind.CLIENT, span.traceId);
    for (const failed of [call, asked]) {
      expect(failed.status).toEqual({ code: SpanStatusCode.ERROR });
      expect(failed.attributes).toMatchObject({ 'error.type': 'IDP_DENIED' });
    }
    await expectNoSecrets(['canary-description']);
  });

  it('tells the identity provider nothing of the trace', async () => {
    const client = await traced('billing');
    await spans.within(() => client.source(SCRIPTED).get());
    await spans.one('token-broker idp call', SpanKind.CLIENT);
    const names = scripted.requests.flatMap((request) => Object.keys(request.headers));
    expect(names).toContain('content-type');
    expect(names).not.toContain('traceparent');
    expect(names).not.toContain('tracestate');
  });
});

describe('on the wire', () => {
  it('a request has the traceparent of its span, and none where no tracing was given', async () => {
    const followed = await traced('orders');
    const { span } = await spans.within(() => followed.source(SOURCE).get());
    const asked = await spans.one(GET, SpanKind.CLIENT, span.traceId);
    const { traceId, spanId } = asked.spanContext();
    await eventually(() => wire.length > 0, { what: 'the request' });
    expect(wire[0]?.headers?.keys()).toEqual(['traceparent']);
    expect(wire[0]?.headers?.get('traceparent')).toBe(`00-${traceId}-${spanId}-01`);

    wire.length = 0;
    const silent = await stack.client('billing');
    await spans.within(() => silent.source(SOURCE).get());
    await eventually(() => wire.length > 0, { what: 'the other request' });
    expect(wire[0]?.headers).toBeUndefined();
  });

  it('a traceparent of another program counts as well, and one that is malformed for nothing', async () => {
    const connection = await stack.connectAs('orders');
    await ask(connection, TRACEPARENT);
    const served = await spans.one(GET, SpanKind.SERVER, TRACE_ID);
    expect(served.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');

    await revokeAll();
    spans.clear();
    const reply = await ask(connection, `${TRACEPARENT}-more`);
    expect(JSON.parse(reply.string())).toHaveProperty('accessToken');
    const own = await spans.one(GET, SpanKind.SERVER);
    expect(own.parentSpanContext).toBeUndefined();
    expect(own.spanContext().traceId).not.toBe(TRACE_ID);
  });
});

describe('tokenctl with TRACEPARENT', () => {
  const revoke = ['revoke', '--source', SOURCE, '--reason', 'a traced test', '--yes', '--json'];
  const overHttp = (): string[] => ['--url', `http://127.0.0.1:${String(stack.brokers[0]?.admin?.port)}`];

  it.each([
    ['over NATS', (): string[] => []],
    ['over HTTP', overHttp],
  ])('revokes within that trace, which the audit trail names: %s', async (_, door) => {
    stack.logLines.length = 0;
    const env = { TRACEPARENT, TOKENCTL_TOKEN: OPERATOR_TOKEN };
    const run = await tokenctl(stack, [...revoke, ...door()], undefined, env);
    expect(JSON.parse(run.out)).toMatchObject({ complete: true });
    const span = await spans.one('token-broker revoke', SpanKind.SERVER, TRACE_ID);
    expect(span.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');
    expect(span.attributes).toMatchObject({
      'token_broker.caller': 'ops',
      'token_broker.selector': 'source',
      'token_broker.outcome': 'ok',
      'token_broker.revocation': (JSON.parse(run.out) as { id: string }).id,
    });
    expect(span.events.map(({ name }) => name)).toEqual(['ordered', 'written', 'confirmed']);
    const records = stack.logLines.filter((line) => line.includes(TRACE_ID)).map((line) => JSON.parse(line) as unknown);
    expect(records).toMatchObject([{ event: 'revocation.ordered' }, { event: 'revocation.ended' }]);
  });

  it('gets a token within that trace', async () => {
    const run = await tokenctl(stack, ['get', SOURCE, '--json'], undefined, { TRACEPARENT });
    expect(run.code).toBe(0);
    const served = await spans.one(GET, SpanKind.SERVER, TRACE_ID);
    expect(served.attributes).toMatchObject({ 'token_broker.caller': 'ops' });
  });
});

describe('no span', () => {
  it('holds a token, a secret or an address', async () => {
    const client = await traced('billing');
    await spans.within(() => client.source(SOURCE).get());
    await spans.within(() => client.source(SCRIPTED).get());
    expect(tokens.length).toBeGreaterThan(0);
    await expectNoSecrets([...tokens, SCRIPTED_TOKEN, CLIENT_SECRET, PASSWORD, OPERATOR_TOKEN, stack.idp.issuer]);
  });
});

/** Looks at all that an exporter is given. */
async function expectNoSecrets(secrets: readonly string[]): Promise<void> {
  await spans.one('application', SpanKind.INTERNAL);
  const text = spans
    .all()
    .map(({ name, attributes, events, links, status, resource }) =>
      JSON.stringify([name, attributes, events, links, status, resource.attributes]),
    )
    .join('\n');
  expect(text).toContain('token_broker.source');
  expect(new SecretSearch(secrets).in(Buffer.from(text))).toEqual([]);
}
