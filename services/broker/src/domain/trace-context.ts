/** Where a trace goes on: the span that is the parent of what comes next, as W3C Trace Context names it. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Whoever began the trace has it recorded. */
  readonly isSampled: boolean;
  /** The span is of another process. */
  readonly isRemote: boolean;
  /** What vendors carry along (`tracestate`), as it came. */
  readonly state?: string;
}

/** Version, trace id, parent id and flags of W3C Trace Context; later versions may have more behind them. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/;
/** Version 0 has nothing behind the flags. */
const VERSION_0_CHARACTERS = 55;
const SAMPLED = 1;
/** What whoever hands a `tracestate` on has to hand on at least (Trace Context §3.3.1.5); a longer one is left behind. */
const STATE_CHARACTERS = 512;

/** What the headers `traceparent` and `tracestate` say; `undefined` where there is no `traceparent` that is well formed. */
export function readTraceContext(traceparent: string | undefined, tracestate?: string): TraceContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceparent === undefined || traceId === undefined || spanId === undefined || flags === undefined)
    return undefined;
  if (traceparent.startsWith('00') && traceparent.length !== VERSION_0_CHARACTERS) return undefined;
  const hasState = tracestate !== undefined && tracestate !== '' && tracestate.length <= STATE_CHARACTERS;
  return {
    traceId,
    spanId,
    isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED,
    isRemote: true,
    ...(hasState ? { state: tracestate } : {}),
  };
}
