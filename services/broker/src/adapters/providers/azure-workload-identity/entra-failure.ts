import type { ProviderFailure } from '../../../app/ports/provider.js';
import type { HttpAnswer } from '../http/http-client.js';
import { notNow, saidIn, throttled, unserved } from '../http/http-failure.js';
import { parseObject } from '../http/json-object.js';

/**
 * Numbers of Microsoft Entra ID that say "not now" with a status that says "no". Microsoft may change them at any time, so
 * that nothing else is decided by a number: one that is missing here is a denial of this one token, which pauses nobody else.
 */
const THROTTLING: ReadonlySet<number> = new Set([
  50_196, // LoopDetected: the same request, too often
  90_055, // TenantThrottlingError
]);
const OUTAGE: ReadonlySet<number> = new Set([
  90_006, // ExternalServerRetryableError
  90_012, // RequestTimeout
  90_024, // RequestBudgetExceededError
  90_033, // MsodsServiceUnavailable
]);

/** OAuth errors that say: not now, rather than: not you. */
const TEMPORARY: ReadonlySet<string> = new Set(['temporarily_unavailable', 'server_error']);

/** Not this request, but the application with what it proves itself by. */
const OF_CLIENT: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client']);

/** The errors of the token endpoint, as Microsoft documents them. They may be repeated to a caller; any other may hold anything. */
const KNOWN: ReadonlySet<string> = new Set([
  ...OF_CLIENT,
  ...['invalid_request', 'invalid_grant', 'invalid_scope', 'invalid_resource', 'unsupported_grant_type'],
  ...['access_denied', 'interaction_required'],
]);

/** What a reply of Microsoft Entra ID means that holds no token. */
export function failureOfEntra({ reply, context }: HttpAnswer): ProviderFailure {
  const body = parseObject(reply.text);
  const error = typeof body?.['error'] === 'string' && body['error'] !== '' ? body['error'] : undefined;
  const codes = codesIn(body?.['error_codes']);
  const named = [error ?? 'no error is named', ...codes.map((code) => `AADSTS${String(code)}`)].join(' ');
  const said = saidIn(reply, named, context);

  if (codes.some((code) => THROTTLING.has(code))) return throttled(reply, said, context.wallMs);
  const temporary = notNow(reply, said, context);
  if (temporary !== undefined) return temporary;
  if (codes.some((code) => OUTAGE.has(code)) || (error !== undefined && TEMPORARY.has(error)))
    return unserved(reply, said, context);
  if (reply.status < 400 || error === undefined) {
    const message = `the reply is not one of Microsoft Entra ID (status ${String(reply.status)})`;
    return { code: 'IDP_PROTOCOL', message, detail: said };
  }
  const name = KNOWN.has(error) ? error : 'an error of another name';
  const number = codes[0] === undefined ? '' : ` (AADSTS${String(codes[0])})`;
  return {
    code: 'IDP_DENIED',
    message: `Microsoft Entra ID refused: ${name}${number}`,
    detail: said,
    ...(OF_CLIENT.has(error) ? { refused: 'credential' as const } : {}),
  };
}

function codesIn(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter((code): code is number => Number.isSafeInteger(code)).slice(0, 8) : [];
}
