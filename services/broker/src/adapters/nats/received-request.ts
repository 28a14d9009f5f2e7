import { Match, type MsgHdrs, type ServiceMsg } from 'nats';
import type { ServiceRequest } from '../../app/ports/bus.js';
import { readTraceContext, type TraceContext } from '../../domain/trace-context.js';
import type { RequestRoute } from './request-routes.js';

/**
 * More headers than this are not read. The driver takes all of them apart, in a time that grows with the square of their
 * number, and whoever may ask may send many.
 */
const MAX_HEADER_BYTES = 4_096;

/** A request as it came. Its headers are read when somebody asks for the trace: most answers need none of them. */
export class ReceivedRequest implements ServiceRequest {
  readonly verb: ServiceRequest['verb'];
  readonly caller: string;
  readonly target: string;
  readonly subject: string;
  readonly body: Uint8Array;
  readonly #message: ServiceMsg;

  constructor({ verb, caller, target }: RequestRoute, message: ServiceMsg, body: Uint8Array) {
    this.verb = verb;
    this.caller = caller;
    this.target = target;
    this.subject = message.subject;
    this.body = body;
    this.#message = message;
  }

  get trace(): TraceContext | undefined {
    if (headerBytesOf(this.#message, this.body) > MAX_HEADER_BYTES) return undefined;
    const headers = headersOf(this.#message);
    return headers === undefined
      ? undefined
      : readTraceContext(headers.get('traceparent', Match.IgnoreCase), headers.get('tracestate', Match.IgnoreCase));
  }
}

/** `undefined`: there are none, or they are not well formed, which the driver throws at. */
function headersOf(message: ServiceMsg): MsgHdrs | undefined {
  try {
    return message.headers;
  } catch {
    return undefined;
  }
}

/** The driver keeps to itself how long headers are, and tells how long everything is; a message of a service wraps another. */
function headerBytesOf(message: ServiceMsg, body: Uint8Array): number {
  const { msg } = message as { readonly msg?: { readonly size?: () => number } };
  const wholeBytes = msg?.size?.();
  if (wholeBytes === undefined) return Number.POSITIVE_INFINITY;
  return wholeBytes - Buffer.byteLength(message.subject) - Buffer.byteLength(message.reply ?? '') - body.length;
}
