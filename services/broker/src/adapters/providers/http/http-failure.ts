import type { ProviderFailure } from '../../../app/ports/provider.js';
import { parseRetryAfter } from '../retry-after.js';
import type { Exchange, ExchangeError } from './exchange.js';
import { parseObject, shapeOf } from './json-object.js';

export interface FailureContext {
  /** What the request was for, as the subject of a sentence: `the token request`. */
  readonly asked: string;
  readonly wallMs: number;
  /** Makes a text of the upstream fit for the log. */
  readonly detail: (text: string) => string;
}

/** What it means that there is no whole reply. */
export function failureOfExchange(
  { why, message }: ExchangeError,
  { asked, detail }: Pick<FailureContext, 'asked' | 'detail'>,
): ProviderFailure {
  const said = detail(`${asked}: ${message}`);
  switch (why) {
    case 'timeout':
      return { code: 'IDP_TIMEOUT', message: 'the identity provider did not answer in time', detail: said };
    case 'network':
      return { code: 'IDP_UNAVAILABLE', message: 'the identity provider cannot be reached', detail: said };
    case 'redirect': {
      const problem = 'the identity provider redirects, which is refused: configure the final address';
      return { code: 'IDP_PROTOCOL', message: problem, detail: said };
    }
    case 'too-large':
      return { code: 'IDP_PROTOCOL', message: "the identity provider's reply is too large", detail: said };
  }
}

/** The pause that a reply asks for, as a failure carries it: `{}` where it asks for none. */
function pauseIn({ headers }: Exchange, wallMs: number): Pick<ProviderFailure, 'retryAfterMs'> {
  const retryAfterMs = parseRetryAfter(headers, wallMs);
  return retryAfterMs === undefined ? {} : { retryAfterMs };
}

/**
 * What a reply means that says "not now" rather than "not you": a throttle (429) or an outage (5xx, 408), with its pause.
 * `undefined`: it says something else.
 *
 * @param said what the log is told of it, as {@link saidIn} makes it
 */
export function notNow(
  reply: Exchange,
  said: string,
  { asked, wallMs }: Pick<FailureContext, 'asked' | 'wallMs'>,
): ProviderFailure | undefined {
  if (reply.status === 429) return throttled(reply, said, wallMs);
  return reply.status >= 500 || reply.status === 408 ? unserved(reply, said, { asked, wallMs }) : undefined;
}

/** A throttle, by whatever sign the upstream gives it. */
export function throttled(reply: Exchange, said: string, wallMs: number): ProviderFailure {
  const message = 'the identity provider limits our requests';
  return { code: 'QUOTA_EXHAUSTED', message, detail: said, ...pauseIn(reply, wallMs) };
}

/** An outage, by whatever sign the upstream gives it. */
export function unserved(
  reply: Exchange,
  said: string,
  { asked, wallMs }: Pick<FailureContext, 'asked' | 'wallMs'>,
): ProviderFailure {
  const message = `the identity provider cannot serve ${asked} now (status ${String(reply.status)})`;
  return { code: 'IDP_UNAVAILABLE', message, detail: said, ...pauseIn(reply, wallMs) };
}

/**
 * What the log is told of a reply that is of no use. One that reports success may hold a token, in whatever form: of its
 * fields only the names are told.
 *
 * @param error what the upstream calls the error, or what is wrong with the reply
 */
export function saidIn(
  { status, text }: Exchange,
  error: string,
  { asked, detail }: Pick<FailureContext, 'asked' | 'detail'>,
): string {
  const body = status < 300 ? parseObject(text) : undefined;
  return detail(`${asked}: status ${String(status)}, ${error}: ${body === undefined ? text : shapeOf(body)}`);
}
