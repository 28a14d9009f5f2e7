import type { ProviderFailure } from '../../../app/ports/provider.js';
import type { HttpAnswer } from '../http/http-client.js';
import { notNow, saidIn, throttled, unserved } from '../http/http-failure.js';
import { isObject, parseObject } from '../http/json-object.js';

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';
/** A wish for a longer pause is a mistake. */
const LONGEST_PAUSE_SECONDS = 24 * 60 * 60;

/** Names that say: not now, rather than: not you. OAuth's, and those of Google's APIs. */
const TEMPORARY: ReadonlySet<string> = new Set([
  ...['temporarily_unavailable', 'server_error', 'internal_failure'],
  ...['UNAVAILABLE', 'INTERNAL', 'DEADLINE_EXCEEDED', 'ABORTED'],
]);

/** Not this request, but the workload, with the token that it is known by. */
const OF_WORKLOAD: ReadonlySet<string> = new Set([
  ...['invalid_client', 'invalid_grant', 'invalid_target', 'unauthorized_client'],
]);

/** Denials whose names may be repeated to a caller. Any other may hold anything. */
const KNOWN: ReadonlySet<string> = new Set([
  ...OF_WORKLOAD,
  ...['invalid_request', 'invalid_scope', 'access_denied', 'unsupported_grant_type'],
  ...['INVALID_ARGUMENT', 'FAILED_PRECONDITION', 'PERMISSION_DENIED', 'UNAUTHENTICATED', 'NOT_FOUND'],
]);

/**
 * What a reply of Google means that holds no token. The Security Token Service answers in the form of OAuth
 * (RFC 6749 §5.2), all else, and at times that service too, in the form of Google's APIs (AIP-193).
 */
export function failureOfGoogle({ reply, context }: HttpAnswer): ProviderFailure {
  const error = parseObject(reply.text)?.['error'];
  const name = isObject(error) ? error['status'] : error;
  const known = typeof name === 'string' && name !== '' ? name : undefined;
  const said = saidIn(reply, known ?? 'no error is named', context);

  const pauseMs = pauseMsIn(error);
  const pause = pauseMs === undefined ? {} : { retryAfterMs: pauseMs };
  // The header goes before the body.
  if (known === 'RESOURCE_EXHAUSTED') return { ...pause, ...throttled(reply, said, context.wallMs) };
  const temporary = notNow(reply, said, context);
  if (temporary !== undefined) return { ...pause, ...temporary };
  if (known !== undefined && TEMPORARY.has(known)) return { ...pause, ...unserved(reply, said, context) };
  if (reply.status < 400 || known === undefined) {
    const message = `the reply is not one of Google (status ${String(reply.status)})`;
    return { code: 'IDP_PROTOCOL', message, detail: said };
  }
  return {
    code: 'IDP_DENIED',
    message: `Google refused ${context.asked}: ${KNOWN.has(known) ? known : 'an error of another name'}`,
    detail: said,
    ...(OF_WORKLOAD.has(known) ? { refused: 'credential' as const } : {}),
  };
}

/** The pause that an error asks for: `google.rpc.RetryInfo`, whose `retryDelay` is such as `7s` or `1.5s`. */
function pauseMsIn(error: unknown): number | undefined {
  const details: unknown = isObject(error) ? error['details'] : undefined;
  for (const detail of Array.isArray(details) ? (details as readonly unknown[]) : []) {
    if (!isObject(detail) || detail['@type'] !== RETRY_INFO) continue;
    const delay = detail['retryDelay'];
    const [, seconds] = /^(\d{1,12}(?:\.\d{1,9})?)s$/.exec(typeof delay === 'string' ? delay : '') ?? [];
    if (seconds !== undefined) return Math.ceil(Math.min(LONGEST_PAUSE_SECONDS, Number(seconds)) * 1_000);
  }
  return undefined;
}
