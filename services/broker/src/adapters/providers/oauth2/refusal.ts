import type { ProviderFailure } from '../../../app/ports/provider.js';
import { ExchangeError, type Exchange } from './exchange.js';

/** OAuth errors (RFC 6749 §5.2) that say: not now, rather than: not you. */
const TEMPORARY = new Set(['temporarily_unavailable', 'server_error']);
/** A wish for a pause above this is a mistake, or an attack on the source's life. */
const MAX_RETRY_AFTER_MS = 24 * 60 * 60 * 1_000;

/** Reads why there is no token from what came back, and from what the OAuth library made of it. */
export function refusalOf(
  error: unknown,
  last: Exchange | undefined,
  wallMs: number,
  detail: (text: string) => string,
): ProviderFailure {
  const exchange = exchangeErrorIn(error);
  if (exchange !== undefined) return ofExchange(exchange, detail);
  if (last === undefined) {
    return { code: 'IDP_PROTOCOL', message: 'the token request could not be made', detail: detail(messageOf(error)) };
  }
  const retryAfterMs = parseRetryAfter(last.headers.get('retry-after'), wallMs);
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
  const oauthError = oauthErrorIn(last);
  const said = detail(`status ${String(last.status)}, ${oauthError ?? messageOf(error)}: ${last.text}`);
  if (last.status === 429)
    return {
      code: 'QUOTA_EXHAUSTED',
      message: 'the identity provider limits the rate of requests',
      detail: said,
      ...retry,
    };
  if (last.status >= 500 || (oauthError !== undefined && TEMPORARY.has(oauthError))) {
    return {
      code: 'IDP_UNAVAILABLE',
      message: `the identity provider fails (status ${String(last.status)})`,
      detail: said,
      ...retry,
    };
  }
  if (oauthError !== undefined) {
    return { code: 'IDP_DENIED', message: `the identity provider refused: ${named(oauthError)}`, detail: said };
  }
  if (last.status === 401 || last.status === 403) {
    return {
      code: 'IDP_DENIED',
      message: `the identity provider refused (status ${String(last.status)})`,
      detail: said,
    };
  }
  return {
    code: 'IDP_PROTOCOL',
    message: `the identity provider's reply is not OAuth (status ${String(last.status)})`,
    detail: said,
  };
}

/** Seconds, or an HTTP date (RFC 9110 §10.2.3). */
export function parseRetryAfter(value: string | null, wallMs: number): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - wallMs;
  return Number.isFinite(ms) ? Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms)) : undefined;
}

function ofExchange(error: ExchangeError, detail: (text: string) => string): ProviderFailure {
  const said = detail(error.message);
  switch (error.why) {
    case 'timeout':
      return { code: 'IDP_TIMEOUT', message: 'the identity provider did not answer in time', detail: said };
    case 'network':
      return { code: 'IDP_UNAVAILABLE', message: 'the identity provider cannot be reached', detail: said };
    case 'redirect':
      return {
        code: 'IDP_PROTOCOL',
        message: 'the identity provider redirects; configure the final address',
        detail: said,
      };
    case 'too-large':
      return { code: 'IDP_PROTOCOL', message: "the identity provider's reply is too large", detail: said };
  }
}

/** Ours are wrapped by the OAuth library, as causes. */
function exchangeErrorIn(error: unknown): ExchangeError | undefined {
  for (let inner = error; inner instanceof Error; inner = inner.cause) if (inner instanceof ExchangeError) return inner;
  return undefined;
}

/** From the body, else from the challenge of a 401. */
function oauthErrorIn({ text, headers }: Exchange): string | undefined {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string')
      return body.error;
  } catch {
    // Not JSON: a challenge may still say it.
  }
  return /\berror="([^"]+)"/.exec(headers.get('www-authenticate') ?? '')?.[1];
}

/** Error names are ASCII words; anything else is not repeated. */
function named(oauthError: string): string {
  return /^[a-z0-9_.-]{1,64}$/i.test(oauthError) ? oauthError : 'an unnamed error';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
