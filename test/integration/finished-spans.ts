import * as api from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { eventually } from '@token-broker/testing';

/** The spans of this process, clients and brokers alike. */
export interface FinishedSpans {
  all(): readonly ReadableSpan[];
  /** Waits until a span has ended; without a trace, the first of its kind. */
  one(name: string, kind: api.SpanKind, traceId?: string): Promise<ReadableSpan>;
  /** Works within a span of the application, and gives it, ended. */
  within<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly span: api.SpanContext }>;
  clear(): void;
  stop(): void;
}

/** Registers a real SDK, as an application does it. */
export function registerSdk(): FinishedSpans {
  const exporter = new InMemorySpanExporter();
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  api.propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  api.trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
  return {
    all: () => exporter.getFinishedSpans(),
    one: (name, kind, traceId) =>
      eventually(
        () =>
          exporter
            .getFinishedSpans()
            .find(
              (span) =>
                span.name === name &&
                span.kind === kind &&
                (traceId === undefined || span.spanContext().traceId === traceId),
            ),
        { what: `the span ${name}` },
      ),
    async within(work) {
      const span = api.trace.getTracer('application').startSpan('application');
      try {
        const result = await api.context.with(api.trace.setSpan(api.ROOT_CONTEXT, span), work);
        return { result, span: span.spanContext() };
      } finally {
        span.end();
      }
    },
    clear() {
      exporter.reset();
    },
    stop() {
      for (const part of [api.trace, api.context, api.propagation]) part.disable();
    },
  };
}
