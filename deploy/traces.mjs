// Traces of a broker, as an example: node --import ./deploy/traces.mjs <the broker's main file> --config …
//
// The broker has no SDK of its own. Whatever is registered here, before its first line, is given its spans:
// docs/operations.md, "Traces". Where they go, and how many, is said in the environment: OTEL_EXPORTER_OTLP_ENDPOINT,
// OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG, OTEL_SERVICE_NAME; OTEL_TRACES_EXPORTER=console prints them.
import { trace } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, ConsoleSpanExporter } from '@opentelemetry/sdk-trace-base';

async function exporterOf({ OTEL_TRACES_EXPORTER: name = 'otlp' }) {
  if (name === 'console') return new ConsoleSpanExporter();
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter();
}

const { OTEL_SERVICE_NAME: serviceName = 'token-broker' } = process.env;

trace.setGlobalTracerProvider(
  new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [new BatchSpanProcessor(await exporterOf(process.env))],
  }),
);
// The broker flushes what is left when it ends. Instrumentations of HTTP are left out on purpose: they would tell the
// identity providers of every trace.
