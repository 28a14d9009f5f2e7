import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordedLog } from '../../app/fakes/recorded-telemetry.js';
import type { Tracing } from '../../app/ports/tracing.js';
import { readTraceContext } from '../../domain/trace-context.js';
import { loadTracing } from './open-telemetry.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN_ID = '00f067aa0ba902b7';

let exporter: InMemorySpanExporter;
let log: RecordedLog;

beforeEach(() => {
  exporter = new InMemorySpanExporter();
  log = new RecordedLog();
});
afterEach(() => {
  trace.disable();
});

function register(): BasicTracerProvider {
  const provider = new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  trace.setGlobalTracerProvider(provider);
  return provider;
}

async function load(): Promise<Tracing> {
  return (await loadTracing({ version: '1.2.3', clock: new VirtualClock(), log })).tracing;
}

function exported(name: string): ReadableSpan {
  const span = exporter.getFinishedSpans().find((each) => each.name === name);
  if (span === undefined) throw new Error(`there is no span ${name}`);
  return span;
}

describe('without an SDK', () => {
  it('nothing is traced, and nothing is said', async () => {
    expect((await load()).isOn).toBe(false);
    expect(log.lines).toEqual([]);
  });

  it('of an API that is older than ours, it is said why', async () => {
    const registry = Symbol.for('opentelemetry.js.api.1');
    Object.assign(globalThis, { [registry]: { version: '1.0.0', trace: {} } });
    try {
      expect((await load()).isOn).toBe(false);
      expect(log.lines).toMatchObject([{ level: 'warn', fields: { api: '1.0.0' } }]);
    } finally {
      Reflect.deleteProperty(globalThis, registry);
    }
  });
});

describe('with an SDK', () => {
  it('spans are children of what a request brought, with its state, and carry prefixed facts', async () => {
    register();
    const tracing = await load();
    expect(tracing.isOn).toBe(true);
    const parent = readTraceContext(`00-${TRACE_ID}-${SPAN_ID}-01`, 'vendor=1');
    const get = tracing.start('get', parent, { source: 'payments-api' });
    const flight = tracing.start('flight', get.context, {});
    const call = tracing.start('idp call', flight.context, {});
    get.set({ layer: 'idp', generation: 7, verified: true });
    flight.event('lock', { outcome: 'acquired' });
    for (const span of [call, flight, get]) span.end('ok');

    const [server, internal, client] = ['get', 'flight', 'idp call'].map((name) => exported(`token-broker ${name}`));
    expect([server?.kind, internal?.kind, client?.kind]).toEqual([SpanKind.SERVER, SpanKind.INTERNAL, SpanKind.CLIENT]);
    expect(server?.parentSpanContext).toMatchObject({ traceId: TRACE_ID, spanId: SPAN_ID, isRemote: true });
    expect(server?.spanContext().traceState?.serialize()).toBe('vendor=1');
    expect(internal?.parentSpanContext).toMatchObject({ spanId: server?.spanContext().spanId, isRemote: false });
    expect(client?.parentSpanContext?.spanId).toBe(internal?.spanContext().spanId);
    expect(client?.spanContext()).toMatchObject({ traceId: TRACE_ID });
    expect(server?.attributes).toEqual({
      'token_broker.source': 'payments-api',
      'token_broker.layer': 'idp',
      'token_broker.generation': 7,
      'token_broker.verified': true,
      'token_broker.outcome': 'ok',
    });
    expect(internal?.events).toMatchObject([{ name: 'lock', attributes: { 'token_broker.outcome': 'acquired' } }]);
    expect(server?.instrumentationScope).toMatchObject({ name: '@token-broker/broker', version: '1.2.3' });
    expect(server?.status.code).toBe(SpanStatusCode.UNSET);
  });

  it('a caller that does not have its trace recorded has none of ours recorded either', async () => {
    register();
    const span = (await load()).start('get', readTraceContext(`00-${TRACE_ID}-${SPAN_ID}-00`), {});
    expect(span.context).toMatchObject({ traceId: TRACE_ID, isSampled: false });
    span.end('ok');
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  it('links lead to spans of other traces', async () => {
    register();
    const tracing = await load();
    const flight = tracing.start('flight', undefined, {});
    const get = tracing.start('get', undefined, {});
    get.link(flight.context);
    get.link(undefined);
    get.end('ok');
    const { traceId, spanId } = flight.context ?? {};
    expect(exported('token-broker get').links).toMatchObject([{ context: { traceId, spanId } }]);
    expect(exported('token-broker get').parentSpanContext).toBeUndefined();
  });

  it.each([
    ['get', 'IDP_DENIED', true],
    ['get', 'FORBIDDEN', false],
    ['get', 'BAD_REQUEST', false],
    ['get', 'QUOTA_EXHAUSTED', true],
    ['flight', 'elsewhere', false],
    ['flight', 'IDP_TIMEOUT', true],
    ['idp call', 'IDP_DENIED', true],
    ['revoke', 'incomplete', true],
    ['revoke', 'STORE_UNAVAILABLE', true],
    ['revoke', 'FORBIDDEN', false],
  ] as const)('a %s that ends with %s: is that an error? %s', async (name, how, isError) => {
    register();
    (await load()).start(name, undefined, {}).end(how);
    const { status, attributes } = exported(`token-broker ${name}`);
    expect(status).toEqual({ code: isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET });
    expect(attributes).toEqual({ 'token_broker.outcome': how, ...(isError ? { 'error.type': how } : {}) });
  });

  it('waits for the last spans when the broker ends, and no longer than it may', async () => {
    let flushes = 0;
    let isStuck = false;
    const processor = new SimpleSpanProcessor(exporter);
    processor.forceFlush = () => {
      flushes++;
      return isStuck ? new Promise(() => undefined) : Promise.resolve();
    };
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
    const clock = new VirtualClock();
    const { flush } = await loadTracing({ version: '1.2.3', clock, log });
    await flush(1_000);
    expect(flushes).toBe(1);
    isStuck = true;
    const flushed = flush(1_000);
    await clock.advance(1_000);
    await flushed;
    expect(flushes).toBe(2);
  });
});
