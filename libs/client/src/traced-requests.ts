import { TokenBrokerError, type ErrorCode } from '@token-broker/protocol';

/** W3C Trace Context, as it travels beside a request: in NATS headers, or in those of HTTP. */
export interface TraceHeaders {
  readonly traceparent: string;
  readonly tracestate?: string;
}

/** What is asked of a broker: `get`, or a verb of operators. */
export interface TracedWork {
  readonly operation: string;
  readonly source?: string;
  readonly slot?: string;
  /** Nobody waits for it: a token is renewed, or fetched again after a revocation. It belongs to no caller's trace. */
  readonly isBackground: boolean;
}

/** How it ended. `ABANDONED`: the caller did not want it any more. */
export type TracedEnd = 'ok' | 'ABANDONED' | ErrorCode;

/** One request of a broker in a trace: it is sent again, under the same name, where no answer comes. */
export interface TracedRequest {
  /** What travels with the request; `undefined`: nothing does. */
  readonly headers: TraceHeaders | undefined;
  /** Another call waits for this request too, in a trace of its own. The answer tells how its wait ended. */
  joined(): (how: TracedEnd) => void;
  end(how: TracedEnd): void;
}

/** Follows requests into the brokers. Made by `@token-broker/client/tracing`. */
export interface Tracing {
  /** To be called in the context of whoever asks. */
  begin(work: TracedWork): TracedRequest;
}

/** Headers of a message: any object with this method is one, for both NATS libraries. */
export interface MessageHeaders {
  encode(): Uint8Array;
}

/** Version 0 of Trace Context and what later ones begin with. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-[!-~]*)?$/;
/** Visible ASCII and spaces between it: no line break, which would end the header. */
const TRACESTATE = /^[!-~](?:[ -~]{0,510}[!-~])?$/;

/** What of these may travel: a `tracestate` goes nowhere without a `traceparent`, and nothing goes that is not well formed. */
export function traceHeadersOf(
  traceparent: string | undefined,
  tracestate: string | undefined,
): TraceHeaders | undefined {
  if (traceparent === undefined || !TRACEPARENT.test(traceparent)) return undefined;
  return { traceparent, ...(tracestate !== undefined && TRACESTATE.test(tracestate) ? { tracestate } : {}) };
}

/** The headers of a NATS message. They are encoded once, however often it is sent. */
function messageHeadersOf({ traceparent, tracestate }: TraceHeaders): MessageHeaders {
  const state = tracestate === undefined ? '' : `tracestate: ${tracestate}\r\n`;
  const bytes = new TextEncoder().encode(`NATS/1.0\r\ntraceparent: ${traceparent}\r\n${state}\r\n`);
  return { encode: () => bytes };
}

/** Sends a request that is followed, and tells how it ended. */
export async function followed<T>(
  request: TracedRequest,
  send: (headers: MessageHeaders | undefined) => Promise<T>,
): Promise<T> {
  const { headers } = request;
  try {
    const result = await send(headers === undefined ? undefined : messageHeadersOf(headers));
    request.end('ok');
    return result;
  } catch (error) {
    request.end(endOf(error));
    throw error;
  }
}

/** How work ended that has thrown this. */
export function endOf(error: unknown): TracedEnd {
  return error instanceof TokenBrokerError ? error.code : 'ABANDONED';
}
