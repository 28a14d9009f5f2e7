import type { ErrorCode } from '@token-broker/protocol';
import type { TraceContext } from '../../domain/trace-context.js';

/** What spans are of. `get` and `revoke` answer a request; a `flight` is shared by many; an `idp call` is one token request. */
export type SpanName = 'get' | 'flight' | 'idp call' | 'revoke';

/** Facts of a span. Names, counts and codes; never a token, a secret, a subject, an address or a text of others. */
export type SpanFacts = Readonly<Record<string, string | number | boolean>>;

/** How work ended. `elsewhere`: another replica is at it. `incomplete`: done, and not confirmed by all. */
export type SpanEnd = 'ok' | 'elsewhere' | 'incomplete' | ErrorCode;

/** Work of one request or flight, as a trace shows it. After {@link Span.end} nothing counts any more. */
export interface Span {
  /** What names this span as a parent or as a link; `undefined`: there is none. */
  readonly context: TraceContext | undefined;
  set(facts: SpanFacts): void;
  event(name: string, facts?: SpanFacts): void;
  /** This work waited for, or caused, work of another trace. */
  link(to: TraceContext | undefined): void;
  end(how: SpanEnd): void;
}

/**
 * Traces, where whoever runs the broker brings an OpenTelemetry SDK. Parents are given and nothing is carried in the
 * background: a flight outlives the request that began it, and serves others.
 */
export interface Tracing {
  /** `false`: nothing is recorded, and nobody needs to read a header for it. */
  readonly isOn: boolean;
  /** @param parent `undefined`: a trace of its own */
  start(name: SpanName, parent: TraceContext | undefined, facts: SpanFacts): Span;
}

/** Records nothing. */
export const noSpan: Span = {
  context: undefined,
  set: () => undefined,
  event: () => undefined,
  link: () => undefined,
  end: () => undefined,
};

/** Without an SDK. */
export const noTracing: Tracing = { isOn: false, start: () => noSpan };
