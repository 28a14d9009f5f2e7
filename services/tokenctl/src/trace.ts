import { traceHeadersOf, type TraceHeaders } from '@token-broker/client/tracing';

/**
 * The trace that this run is a part of: `TRACEPARENT` and `TRACESTATE` in the environment, where build servers and other
 * programs put them. What is not well formed counts for nothing, as Trace Context wants it.
 */
export function traceOf({ env }: { readonly env: Readonly<Record<string, string | undefined>> }): {
  readonly trace?: TraceHeaders;
} {
  const trace = traceHeadersOf(env['TRACEPARENT'], env['TRACESTATE']);
  return trace === undefined ? {} : { trace };
}
