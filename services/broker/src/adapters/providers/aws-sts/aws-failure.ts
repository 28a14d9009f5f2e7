import type { ProviderFailure } from '../../../app/ports/provider.js';
import { parseRetryAfter } from '../retry-after.js';

/** Not so often. Spelled in many ways, with status 400 as a rule. All names here are without `Exception` at their end. */
const THROTTLING: ReadonlySet<string> = new Set([
  ...['Throttling', 'Throttled', 'RequestThrottled', 'TooManyRequests', 'RequestLimitExceeded', 'LimitExceeded'],
  ...['BandwidthLimitExceeded', 'SlowDown'],
]);

/** Not this request, but the keys that it was signed with. */
const OF_KEYS: ReadonlySet<string> = new Set([
  ...['InvalidClientTokenId', 'SignatureDoesNotMatch', 'UnrecognizedClient', 'InvalidAccessKeyId'],
  ...['IncompleteSignature', 'MissingAuthenticationToken', 'OptInRequired'],
]);

/** Denials whose names may be repeated to a caller. Any other may hold anything. */
const KNOWN: ReadonlySet<string> = new Set([
  ...OF_KEYS,
  ...['AccessDenied', 'ExpiredToken', 'NotAuthorized', 'RequestExpired', 'RegionDisabled'],
  ...['InvalidIdentityToken', 'IDPRejectedClaim', 'MalformedPolicyDocument', 'PackedPolicyTooLarge'],
  ...['ValidationError', 'InvalidParameterValue', 'MissingParameter'],
]);

/** The identity provider of a web identity, which AWS could not reach. */
const OF_OTHERS = 'IDPCommunicationError';

/** The connection, as Node.js and the SDK name what goes wrong with one. */
const TRANSPORT =
  /^(E[A-Z]+|UND_ERR_\w+|CERT_\w+|DEPTH_ZERO_\w+|SELF_SIGNED_\w+|UNABLE_TO_\w+|ERR_(TLS|SSL|SOCKET|HTTP)\w*)$/;

export interface AwsReply {
  /** Of what came back, if anything did. */
  readonly status: number | undefined;
  readonly headers: Headers;
  readonly wallMs: number;
}

/** What it means that the SDK threw: the reply tells, and the name that AWS gives to the error. */
export function failureOfAws(error: unknown, { status, headers, wallMs }: AwsReply): ProviderFailure {
  const { name: thrown, code, message } = partsOf(error);
  // The SDK puts it behind the names of those errors that it has classes for.
  const name = thrown.replace(/Exception$/, '');
  const detail = `${thrown}${status === undefined ? '' : ` (status ${String(status)})`}: ${message}`;
  const pauseMs = parseRetryAfter(headers, wallMs);
  const pause = pauseMs === undefined ? {} : { retryAfterMs: pauseMs };
  if (name === 'AbortError') return { code: 'IDP_TIMEOUT', message: 'AWS did not answer in time', detail };
  if (TRANSPORT.test(code) || status === undefined) {
    return name === 'TimeoutError'
      ? { code: 'IDP_TIMEOUT', message: 'AWS did not answer in time', detail }
      : { code: 'IDP_UNAVAILABLE', message: 'AWS cannot be reached', detail };
  }
  if (THROTTLING.has(name) || status === 429)
    return { code: 'QUOTA_EXHAUSTED', message: 'AWS wants to be asked less often', detail, ...pause };
  if (status >= 500 || name === OF_OTHERS)
    return { code: 'IDP_UNAVAILABLE', message: `AWS fails (status ${String(status)})`, detail, ...pause };
  if (status < 400) return { code: 'IDP_PROTOCOL', message: 'the reply of AWS cannot be read', detail: name };
  if (!KNOWN.has(name) && name === 'Error')
    return { code: 'IDP_PROTOCOL', message: `the reply is not one of AWS (status ${String(status)})`, detail };
  return {
    code: 'IDP_DENIED',
    message: `AWS refused: ${KNOWN.has(name) ? name : 'an error of another name'}`,
    detail,
    ...(OF_KEYS.has(name) ? { refused: 'credential' as const } : {}),
  };
}

function partsOf(error: unknown): { readonly name: string; readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { name: 'Error', code: '', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return { name: error.name, code, message: error.message };
}
