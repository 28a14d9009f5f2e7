import type * as OpenTelemetry from '@opentelemetry/api';
import { within, type Clock } from '@token-broker/foundation';
import type { Log } from '../../app/ports/telemetry.js';
import {
  noTracing,
  type Span,
  type SpanEnd,
  type SpanFacts,
  type SpanName,
  type Tracing,
} from '../../app/ports/tracing.js';
import type { TraceContext } from '../../domain/trace-context.js';

type Api = typeof OpenTelemetry;

/** The instrumentation scope of every span. */
const SCOPE = '@token-broker/broker';
const PREFIX = 'token_broker.';
const KINDS: Readonly<Record<SpanName, 'SERVER' | 'INTERNAL' | 'CLIENT'>> = {
  get: 'SERVER',
  flight: 'INTERNAL',
  'idp call': 'CLIENT',
  revoke: 'SERVER',
};
/** What a server refuses for these is no error of the server. */
const FAULTS_OF_CALLERS: ReadonlySet<SpanEnd> = new Set<SpanEnd>(['BAD_REQUEST', 'FORBIDDEN', 'UNKNOWN_SOURCE']);
/** Where every 1.x of the API keeps what was registered, whichever copy of it did so. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');

export interface LoadedTracing {
  readonly tracing: Tracing;
  /** Resolves when the SDK has handed on the spans that have ended, or after `limitMs`. Never rejects. */
  readonly flush: (limitMs: number) => Promise<void>;
}

export interface TracingOptions {
  /** Version of the broker. */
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Traces to the OpenTelemetry SDK that whoever started this process has registered in it; without one there are none. */
export async function loadTracing(options: TracingOptions): Promise<LoadedTracing> {
  // Without one the API has nothing to hand out, and takes 25 ms to say so.
  if (registered()?.trace === undefined) return NOWHERE;
  const api = await import('@opentelemetry/api').catch(() => undefined);
  return api === undefined ? NOWHERE : tracingOver(api, options);
}

interface Registry {
  readonly version?: string;
  readonly trace?: object;
}

function registered(): Registry | undefined {
  return (globalThis as Readonly<Record<symbol, Registry | undefined>>)[REGISTRY];
}

const NOWHERE: LoadedTracing = { tracing: noTracing, flush: () => Promise.resolve() };

/** What the API has in the place of a provider, until an SDK comes, and as a shell of the SDK's own after that. */
interface ProviderShell {
  getDelegateTracer(name: string, version: string): OpenTelemetry.Tracer | undefined;
  getDelegate(): object;
}

function isShell(provider: object): provider is ProviderShell {
  return 'getDelegateTracer' in provider && 'getDelegate' in provider;
}

function tracingOver(api: Api, { version, clock, log }: TracingOptions): LoadedTracing {
  const provider = api.trace.getTracerProvider();
  const tracer = isShell(provider) ? provider.getDelegateTracer(SCOPE, version) : provider.getTracer(SCOPE, version);
  if (tracer === undefined) {
    log.warn('traces: none; the SDK of this process came with an older @opentelemetry/api than this broker', {
      api: registered()?.version,
    });
    return NOWHERE;
  }
  log.info('traces: spans go to the OpenTelemetry SDK of this process');
  const sdk = (isShell(provider) ? provider.getDelegate() : provider) as { forceFlush?: () => Promise<void> };
  return {
    tracing: { isOn: true, start: (name, parent, facts) => start(api, tracer, name, parent, facts) },
    flush: async (limitMs) => {
      const flushed = sdk.forceFlush?.().catch((error: unknown) => {
        log.warn('traces: the last spans were not taken', { detail: error instanceof Error ? error.message : '' });
      });
      if (flushed !== undefined) await within(clock, limitMs, flushed);
    },
  };
}

function start(
  api: Api,
  tracer: OpenTelemetry.Tracer,
  name: SpanName,
  parent: TraceContext | undefined,
  facts: SpanFacts,
): Span {
  const { ROOT_CONTEXT, SpanKind, trace } = api;
  // Never the active context: what is awaited is shared by requests of many traces.
  const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContextOf(api, parent));
  const kind = KINDS[name];
  const options = { kind: SpanKind[kind], attributes: attributesOf(facts) };
  return new RecordedSpan(api, tracer.startSpan(`token-broker ${name}`, options, context), kind === 'SERVER');
}

class RecordedSpan implements Span {
  readonly context: TraceContext | undefined;
  readonly #api: Api;
  readonly #span: OpenTelemetry.Span;
  readonly #isServer: boolean;

  constructor(api: Api, span: OpenTelemetry.Span, isServer: boolean) {
    this.#api = api;
    this.#span = span;
    this.#isServer = isServer;
    const spanContext = span.spanContext();
    this.context = api.isSpanContextValid(spanContext) ? traceContextOf(api, spanContext) : undefined;
  }

  set(facts: SpanFacts): void {
    this.#span.setAttributes(attributesOf(facts));
  }

  event(name: string, facts: SpanFacts = {}): void {
    this.#span.addEvent(name, attributesOf(facts));
  }

  link(to: TraceContext | undefined): void {
    if (to !== undefined) this.#span.addLink({ context: spanContextOf(this.#api, to) });
  }

  end(how: SpanEnd): void {
    this.set({ outcome: how });
    if (isError(how, this.#isServer)) {
      this.#span.setAttribute('error.type', how);
      this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    }
    this.#span.end();
  }
}

function isError(how: SpanEnd, isServer: boolean): boolean {
  if (how === 'ok' || how === 'elsewhere') return false;
  return !(isServer && FAULTS_OF_CALLERS.has(how));
}

function attributesOf(facts: SpanFacts): OpenTelemetry.Attributes {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [PREFIX + name, value]));
}

function spanContextOf(api: Api, context: TraceContext): OpenTelemetry.SpanContext {
  const { traceId, spanId, isSampled, isRemote, state } = context;
  const traceFlags = isSampled ? api.TraceFlags.SAMPLED : api.TraceFlags.NONE;
  const traceState = state === undefined ? {} : { traceState: api.createTraceState(state) };
  return { traceId, spanId, traceFlags, isRemote, ...traceState };
}

function traceContextOf(
  api: Api,
  { traceId, spanId, traceFlags, traceState }: OpenTelemetry.SpanContext,
): TraceContext {
  const state = traceState?.serialize() ?? '';
  const isSampled = (traceFlags & api.TraceFlags.SAMPLED) !== 0;
  return { traceId, spanId, isSampled, isRemote: false, ...(state === '' ? {} : { state }) };
}
