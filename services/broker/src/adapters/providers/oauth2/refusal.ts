import type { ProviderFailure } from '../../../app/ports/provider.js';
import type { Exchange } from '../http/exchange.js';
import { notNow, saidIn, unserved, type FailureContext } from '../http/http-failure.js';
import { parseObject } from '../http/json-object.js';

/** OAuth errors (RFC 6749 §4.1.2.1) that say: not now, rather than: not you. */
const TEMPORARY: ReadonlySet<string> = new Set(['temporarily_unavailable', 'server_error']);

/** The identity provider wants tokens bound to a key of ours (RFC 9449). */
const DEMANDS_DPOP: ReadonlySet<string> = new Set(['use_dpop_nonce', 'invalid_dpop_proof']);

/** Not this request, but the client with what it proves itself by. */
const OF_CLIENT: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client']);

/** Names that OAuth defines: they may be repeated to a caller. Any other may hold anything. */
const KNOWN: ReadonlySet<string> = new Set([
  ...['invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type'],
  ...[
    'unsupported_token_type',
    'invalid_scope',
    'invalid_target',
    'invalid_token',
    'insufficient_scope',
    'access_denied',
  ],
]);

export interface RefusalContext extends FailureContext {
  readonly asked: 'the token request' | 'the revocation' | 'the introspection' | 'the key set' | 'discovery';
  /** Whether a refresh token is spent by it. Default false. */
  readonly spendsRefreshToken?: boolean;
}

/** What a reply means that holds no token. `objection` is what the OAuth library made of it. */
export function refusalOf(reply: Exchange, objection: unknown, context: RefusalContext): ProviderFailure {
  const { asked } = context;
  const status = `status ${String(reply.status)}`;
  const oauthError = oauthErrorIn(reply);
  const said = saidIn(reply, oauthError ?? messageOf(objection), context);

  const temporary = notNow(reply, said, context);
  if (temporary !== undefined) return temporary;
  if (oauthError !== undefined && TEMPORARY.has(oauthError)) return unserved(reply, said, context);
  if (asked === 'discovery' || asked === 'the key set') {
    const what = asked === 'discovery' ? 'metadata' : 'key set';
    return { code: 'IDP_PROTOCOL', message: `the issuer's ${what} cannot be used (${status})`, detail: said };
  }
  if (oauthError === 'invalid_grant' && context.spendsRefreshToken === true) {
    const message = 'the identity provider refused the refresh token: invalid_grant';
    return { code: 'REAUTH_REQUIRED', message, detail: said, refused: 'refresh-token' };
  }
  if (oauthError !== undefined || reply.status === 401 || reply.status === 403) {
    const isOfClient = oauthError === undefined ? reply.status === 401 : OF_CLIENT.has(oauthError);
    const refused = isOfClient ? { refused: 'credential' as const } : {};
    return { code: 'IDP_DENIED', message: denial(oauthError, status), detail: said, ...refused };
  }
  return { code: 'IDP_PROTOCOL', message: `the identity provider's reply is not OAuth (${status})`, detail: said };
}

/** What it means that no request was made: the OAuth library refused to, or there is a bug. */
export function refusalWithoutRequest(objection: unknown, { asked, detail }: RefusalContext): ProviderFailure {
  return {
    code: 'IDP_PROTOCOL',
    message: `${asked} could not be made`,
    detail: detail(`${asked}: ${messageOf(objection)}`),
  };
}

/** The name of the error (RFC 6749 §5.2) in the body, else in the challenge of a refusal. */
export function oauthErrorIn({ status, text, headers }: Exchange): string | undefined {
  const error = parseObject(text)?.['error'];
  if (typeof error === 'string' && error !== '') return error;
  if (status < 400) return undefined;
  return /\berror="([^"]+)"/i.exec(headers.get('www-authenticate') ?? '')?.[1];
}

function denial(oauthError: string | undefined, status: string): string {
  if (oauthError === undefined) return `the identity provider refused (${status})`;
  if (DEMANDS_DPOP.has(oauthError)) {
    return 'the identity provider demands DPoP; sender-constrained tokens are useless to another holder: have the client issued bearer tokens';
  }
  return `the identity provider refused: ${KNOWN.has(oauthError) ? oauthError : 'an error that OAuth does not define'}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
