import type { TraceContext } from '../../domain/trace-context.js';
import type { Span, SpanEnd, SpanFacts, SpanName, Tracing } from '../ports/tracing.js';

/** A span as a test looks at it. */
export interface RecordedSpan {
  readonly name: SpanName;
  readonly context: TraceContext;
  /** The span id of its parent; `undefined`: it begins a trace. */
  readonly parent: string | undefined;
  facts: SpanFacts;
  readonly events: { readonly name: string; readonly facts: SpanFacts }[];
  /** Span ids. */
  readonly links: string[];
  ended: SpanEnd | undefined;
}

/** Keeps every span, sampled or not. */
export class RecordedTracing implements Tracing {
  readonly isOn = true;
  readonly spans: RecordedSpan[] = [];

  start(name: SpanName, parent: TraceContext | undefined, facts: SpanFacts): Span {
    const id = this.spans.length + 1;
    const context: TraceContext = {
      traceId: parent?.traceId ?? id.toString(16).padStart(32, '0'),
      spanId: id.toString(16).padStart(16, '0'),
      isSampled: parent?.isSampled ?? true,
      isRemote: false,
    };
    const about = { name, context, parent: parent?.spanId, facts };
    const span: RecordedSpan = { ...about, events: [], links: [], ended: undefined };
    this.spans.push(span);
    const unended = (): void => {
      if (span.ended !== undefined) throw new Error(`the span of a ${name} has ended already`);
    };
    return {
      context,
      set(more) {
        unended();
        span.facts = { ...span.facts, ...more };
      },
      event(what, more = {}) {
        unended();
        span.events.push({ name: what, facts: more });
      },
      link(to) {
        unended();
        if (to !== undefined) span.links.push(to.spanId);
      },
      end(how) {
        unended();
        span.ended = how;
      },
    };
  }

  of(name: SpanName): RecordedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }
}
