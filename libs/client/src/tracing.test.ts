import * as api from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { failure } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import { FakeNats } from './fakes/fake-nats.js';
import { createOperator } from './operator.js';
import type { SourceHandle } from './handle.js';
import { createFixedTracing, createTracing, traceHeadersOf, type Tracing } from './tracing.js';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

let clock: VirtualClock;
let bed: Bed;
let exporter: InMemorySpanExporter;

beforeEach(() => {
  clock = new VirtualClock();
  exporter = new InMemorySpanExporter();
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterEach(async () => {
  await bed.close();
  for (const part of [api.trace, api.context, api.propagation]) part.disable();
});

function open(tracing?: Tracing): SourceHandle {
  bed = createBed(clock, new SeededRandom(17), tracing === undefined ? {} : { tracing });
  return bed.broker.source('payments');
}

function registerSdk(): void {
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  api.trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
}

/** Works within the trace of a request that came in elsewhere. */
function within<T>(traceId: string, work: () => T): T {
  const remote = { traceId, spanId: 'ab'.repeat(8), traceFlags: 1, isRemote: true };
  return api.context.with(api.trace.setSpanContext(api.ROOT_CONTEXT, remote), work);
}

/** The headers of each request for a token, as text. */
function sent(): (string | undefined)[] {
  return bed.connection.published
    .filter(({ subject }) => subject.includes('.get.'))
    .map(({ options }) =>
      options.headers === undefined ? undefined : Buffer.from(options.headers.encode()).toString(),
    );
}

const headerOf = ({ traceId, spanId }: api.SpanContext): string =>
  `NATS/1.0\r\ntraceparent: 00-${traceId}-${spanId}-01\r\n\r\n`;

function spans(): ReadableSpan[] {
  return exporter.getFinishedSpans();
}

describe('a client that is given no tracing', () => {
  it('says nothing beside its requests, whatever is registered', async () => {
    registerSdk();
    api.propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    const handle = open();
    await within('a'.repeat(32), () => bed.during(handle.get()));
    for (const { options } of bed.connection.published) expect(options).not.toHaveProperty('headers');
    expect(spans()).toEqual([]);
  });
});

describe('a get', () => {
  it('that asks a broker is a span in the trace of its caller, which goes on in the broker', async () => {
    registerSdk();
    const handle = open(createTracing(api));
    await within('a'.repeat(32), () => bed.during(handle.get()));
    const [span, ...others] = spans();
    expect(others).toEqual([]);
    expect(span).toMatchObject({
      name: 'token-broker get',
      kind: api.SpanKind.CLIENT,
      parentSpanContext: { traceId: 'a'.repeat(32), spanId: 'ab'.repeat(8) },
      attributes: {
        'token_broker.source': 'payments',
        'token_broker.slot': bed.slot,
        'token_broker.outcome': 'ok',
      },
      status: { code: api.SpanStatusCode.UNSET },
    });
    expect(sent()).toEqual([span === undefined ? '' : headerOf(span.spanContext())]);
  });

  it('that finds its token is no span', async () => {
    registerSdk();
    const handle = open(createTracing(api));
    await bed.during(handle.get());
    exporter.reset();
    await within('a'.repeat(32), () => handle.get());
    expect(handle.current).toBeDefined();
    expect(spans()).toEqual([]);
  });

  it('that joins the request of another is a span of its own, linked to that', async () => {
    registerSdk();
    const handle = open(createTracing(api));
    const first = within('a'.repeat(32), () => handle.get());
    const second = within('b'.repeat(32), () => handle.get());
    await bed.during(Promise.all([first, second]));
    const [request] = spans().filter(({ kind }) => kind === api.SpanKind.CLIENT);
    const [wait] = spans().filter(({ kind }) => kind === api.SpanKind.INTERNAL);
    expect(spans()).toHaveLength(2);
    expect(request?.spanContext().traceId).toBe('a'.repeat(32));
    expect(wait).toMatchObject({
      name: 'token-broker get wait',
      parentSpanContext: { traceId: 'b'.repeat(32) },
      links: [{ context: { spanId: request?.spanContext().spanId } }],
      attributes: { 'token_broker.outcome': 'ok' },
    });
    expect(sent()).toHaveLength(1);
  });

  it('that fails ends with the code of the failure, and with nothing that was said of it', async () => {
    registerSdk();
    const handle = open(createTracing(api));
    bed.server.failure = failure('IDP_DENIED', 'canary-message');
    await expect(bed.during(handle.get())).rejects.toMatchObject({ code: 'IDP_DENIED' });
    const [span] = spans();
    expect(span).toMatchObject({
      status: { code: api.SpanStatusCode.ERROR },
      attributes: { 'token_broker.outcome': 'IDP_DENIED', 'error.type': 'IDP_DENIED' },
      events: [],
    });
    expect(JSON.stringify([span?.attributes, span?.status])).not.toContain('canary');
  });

  it('whose caller leaves while it waits for that of another says so', async () => {
    registerSdk();
    const handle = open(createTracing(api));
    bed.server.heldMs = 1_000;
    const leaving = new AbortController();
    const first = handle.get();
    const second = handle.get({ signal: leaving.signal });
    await clock.advance(100);
    leaving.abort();
    await expect(second).rejects.toThrow();
    expect(spans()).toMatchObject([
      { name: 'token-broker get wait', attributes: { 'token_broker.outcome': 'ABANDONED' }, status: { code: 0 } },
    ]);
    await bed.during(first, 2_000);
  });
});

describe('a fetch that nobody waits for', () => {
  it('begins a trace of its own: after a revocation', async () => {
    registerSdk();
    const handle = open(createTracing(api));
    await bed.during(handle.get());
    exporter.reset();
    const change = bed.server.revoke(bed.slot);
    bed.server.publishInvalidation([change]);
    await clock.advance(200);
    expect(spans()).toMatchObject([{ name: 'token-broker get', parentSpanContext: undefined }]);
  });
});

describe('without an SDK', () => {
  it('the trace of the caller goes on, where there is one', async () => {
    const handle = open(createTracing(api));
    await within('a'.repeat(32), () => bed.during(handle.get()));
    expect(sent()).toEqual([`NATS/1.0\r\ntraceparent: 00-${'a'.repeat(32)}-${'ab'.repeat(8)}-01\r\n\r\n`]);
  });

  it('nothing travels where there is none', async () => {
    api.propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    const handle = open(createTracing(api));
    await bed.during(handle.get());
    for (const { options } of bed.connection.published) expect(options).not.toHaveProperty('headers');
  });
});

describe('the propagator of the application', () => {
  it('has the word, of traceparent and tracestate and nothing else', async () => {
    api.propagation.setGlobalPropagator({
      inject(_context, carrier: Record<string, string>) {
        Object.assign(carrier, { traceparent: TRACEPARENT, tracestate: 'vendor=1', baggage: 'user=ada', b3: '1' });
      },
      extract: (context) => context,
      fields: () => [],
    });
    const handle = open(createTracing(api));
    await bed.during(handle.get());
    expect(sent()).toEqual([`NATS/1.0\r\ntraceparent: ${TRACEPARENT}\r\ntracestate: vendor=1\r\n\r\n`]);
  });
});

describe('a trace that another program began', () => {
  it('has every request in it, those of operators too', async () => {
    const tracing = createFixedTracing({ traceparent: TRACEPARENT });
    const handle = open(tracing);
    await bed.during(handle.get());
    expect(sent()).toEqual([`NATS/1.0\r\ntraceparent: ${TRACEPARENT}\r\n\r\n`]);

    const connection = new FakeNats(clock).connect();
    const operator = createOperator({ connection, caller: 'ops', clock, random: new SeededRandom(1), tracing });
    await expect(bed.during(operator.status())).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    const [request] = connection.published;
    expect(Buffer.from(request?.options.headers?.encode() ?? []).toString()).toContain(TRACEPARENT);
    operator.close();
  });

  it.each([
    ['00-nonsense', undefined],
    [undefined, 'vendor=1'],
    [`${TRACEPARENT}\r\nx: y`, undefined],
  ])('is none where its headers are not well formed: %s', (traceparent, tracestate) => {
    bed = createBed(clock, new SeededRandom(17));
    expect(traceHeadersOf(traceparent, tracestate)).toBeUndefined();
  });

  it.each(['vendor=1\r\nx: y', 'vendor=1\n', 'ä=1', ' vendor=1', 'x'.repeat(513)])(
    'leaves a tracestate behind that is not well formed: %j',
    (tracestate) => {
      bed = createBed(clock, new SeededRandom(17));
      expect(traceHeadersOf(TRACEPARENT, tracestate)).toEqual({ traceparent: TRACEPARENT });
    },
  );
});
