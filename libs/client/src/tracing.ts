import {
  traceHeadersOf,
  type TracedEnd,
  type TracedRequest,
  type TracedWork,
  type TraceHeaders,
  type Tracing,
} from './traced-requests.js';

export {
  traceHeadersOf,
  type TracedEnd,
  type TracedRequest,
  type TracedWork,
  type TraceHeaders,
  type Tracing,
} from './traced-requests.js';

type Attributes = Record<string, string>;

interface TraceStateLike {
  serialize(): string;
}

interface SpanContextLike {
  traceId: string;
  spanId: string;
  traceFlags: number;
  traceState?: TraceStateLike;
}

interface ContextLike {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): ContextLike;
  deleteValue(key: symbol): ContextLike;
}

interface SpanLike {
  spanContext(): SpanContextLike;
  setAttribute(key: string, value: string): unknown;
  setStatus(status: { code: number }): unknown;
  end(): void;
}

interface SpanOptionsLike {
  kind?: number;
  attributes?: object;
  links?: { context: SpanContextLike }[];
  root?: boolean;
}

interface TracerLike {
  startSpan(name: string, options?: SpanOptionsLike, context?: ContextLike): SpanLike;
}

/**
 * What is used of the module `@opentelemetry/api`, 1.3 or later. It is given, so that nobody needs it who has no use for it,
 * and so that it is the copy in which the SDK of the application is registered.
 */
export interface TracingLibrary {
  readonly trace: {
    getTracer(name: string, version?: string): TracerLike;
    setSpan(context: ContextLike, span: never): ContextLike;
  };
  readonly context: { active(): ContextLike };
  readonly propagation: { inject(context: ContextLike, carrier: Record<string, string>): void };
}

const SCOPE = '@token-broker/client';
const PREFIX = 'token_broker.';
/** The numbers of the API: they are part of its contract. */
const INTERNAL = 0;
const CLIENT = 2;
const STATUS_ERROR = 2;

/**
 * Shows requests of brokers as spans of kind `CLIENT` in the trace of whoever asks, and has that trace go on in the broker.
 * Where no SDK is registered but a propagator and a context are, the trace goes on all the same, without spans. Only
 * `traceparent` and `tracestate` travel: baggage stays here.
 *
 * @param library the module `@opentelemetry/api`
 */
export function createTracing(library: TracingLibrary): Tracing {
  const tracer = library.trace.getTracer(SCOPE);
  return {
    begin(work) {
      const attributes = attributesOf(work);
      const active = library.context.active();
      const name = `token-broker ${work.operation}`;
      // Whoever noticed that a token has to be renewed does not wait for it.
      const span = tracer.startSpan(name, { kind: CLIENT, attributes, root: work.isBackground }, active);
      return {
        headers: headersOf(library, active, span),
        joined() {
          const links = [{ context: span.spanContext() }];
          // Its own context: another call than the one that began the request.
          const wait = tracer.startSpan(
            `${name} wait`,
            { kind: INTERNAL, attributes, links },
            library.context.active(),
          );
          return (how) => {
            endSpan(wait, how);
          };
        },
        end(how) {
          endSpan(span, how);
        },
      };
    },
  };
}

/**
 * Has all requests belong to one trace that another program began, such as a build server that has put `TRACEPARENT` into the
 * environment. It makes no spans. Of headers that are not well formed nothing travels.
 */
export function createFixedTracing({ traceparent, tracestate }: TraceHeaders): Tracing {
  const headers = traceHeadersOf(traceparent, tracestate);
  const request: TracedRequest = { headers, joined: () => () => undefined, end: () => undefined };
  return { begin: () => request };
}

/** By the propagator of the application, where it writes Trace Context, and else from the span itself. */
function headersOf(library: TracingLibrary, active: ContextLike, span: SpanLike): TraceHeaders | undefined {
  const carrier: Record<string, string> = {};
  library.propagation.inject(library.trace.setSpan(active, span as never), carrier);
  const written = traceHeadersOf(carrier['traceparent'], carrier['tracestate']);
  if (written !== undefined) return written;
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const flags = (traceFlags & 0xff).toString(16).padStart(2, '0');
  return traceHeadersOf(`00-${traceId}-${spanId}-${flags}`, traceState?.serialize());
}

function endSpan(span: SpanLike, how: TracedEnd): void {
  span.setAttribute(`${PREFIX}outcome`, how);
  if (how !== 'ok' && how !== 'ABANDONED') {
    span.setAttribute('error.type', how);
    span.setStatus({ code: STATUS_ERROR });
  }
  span.end();
}

function attributesOf({ source, slot }: TracedWork): Attributes {
  return {
    ...(source === undefined ? {} : { [`${PREFIX}source`]: source }),
    ...(slot === undefined ? {} : { [`${PREFIX}slot`]: slot }),
  };
}
