import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { OAuth2Grant, OAuth2SourceConfiguration } from '@token-broker/configuration';
import type { IssuedToken, ProviderFailure } from '../../../app/ports/provider.js';
import { isObject, parseObject, shapeOf, type JsonObject } from '../http/json-object.js';

/** Longer tokens fit into no HTTP header, and not into the messages that carry them. */
const MAX_TOKEN_CHARACTERS = 64 * 1024;
const MAX_SCOPE_CHARACTERS = 16 * 1024;

/** RFC 6750 §2.1, and a little more: what is not visible ASCII would be an injection into a header. */
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;
/** RFC 6749, appendix A.17. */
const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
/** RFC 6749 §3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Types of tokens that are bound to a key (RFC 9449, and drafts that were given up but are in use). */
const BOUND_TYPES: ReadonlySet<string> = new Set(['dpop', 'pop', 'mac']);

/** What an exchange may issue where nothing was asked for (RFC 8693 §3). */
const ACCESS_TOKEN_TYPES: readonly string[] = [
  'urn:ietf:params:oauth:token-type:access_token',
  'urn:ietf:params:oauth:token-type:jwt',
];

/** Odd, but usable. */
export type Oddity = 'no-expires-in' | 'lifetime-clamped' | 'narrower-scope';

export interface ReadTokenOptions {
  readonly source: Pick<
    OAuth2SourceConfiguration,
    'grant' | 'defaultLifetimeMs' | 'maxLifetimeMs' | 'acceptNarrowerScope'
  >;
  /** What was asked for. */
  readonly scopes: readonly string[];
  /** Makes a text of the identity provider fit for the log. */
  readonly detail: (text: string) => string;
  readonly warn: (what: Oddity) => void;
}

/**
 * Reads the body of a successful token response (RFC 6749 §5.1) strictly. The OAuth library checks its form; what it lets
 * through or changes, and what would harm those whom the token is handed to, is checked here.
 */
export function readToken(text: string, options: ReadTokenOptions): Result<IssuedToken, ProviderFailure> {
  const body = parseObject(text);
  const refuse = (problem: string): Result<never, ProviderFailure> =>
    err({
      code: 'IDP_PROTOCOL',
      message: `the identity provider's reply is refused: ${problem}`,
      detail: options.detail(body === undefined ? `${problem}: ${text}` : `${problem}; ${shapeOf(body)}`),
    });
  if (body === undefined) return refuse('it is not a JSON object');

  const { access_token: accessToken, token_type: tokenType, error } = body;
  // Some providers spell out that there is none.
  if (error !== undefined && error !== null && error !== '') return refuse('it holds an error');
  if (accessToken === undefined) return refuse('it has no access_token');
  if (typeof accessToken !== 'string') return refuse('access_token is not a string');
  if (!VISIBLE_ASCII.test(accessToken)) {
    return refuse('access_token is empty or holds characters other than visible ASCII');
  }
  if (accessToken.length > MAX_TOKEN_CHARACTERS) {
    return refuse(`access_token is longer than ${String(MAX_TOKEN_CHARACTERS)} characters`);
  }
  if (typeof tokenType !== 'string') return refuse('it has no token_type');
  if (BOUND_TYPES.has(tokenType.toLowerCase()) || isSenderConstrained(accessToken)) {
    return refuse(
      'the token is sender-constrained (DPoP, mutual TLS or another key), and useless to another holder; have the client issued bearer tokens',
    );
  }
  if (tokenType.toLowerCase() === 'n_a') return refuse('token_type is N_A: what was issued is no access token');
  if (tokenType.toLowerCase() !== 'bearer') return refuse('token_type is not Bearer');
  const mistaken = mistakenType(options.source.grant, body['issued_token_type']);
  if (mistaken !== undefined) return refuse(mistaken);

  const lifeMs = readLifeMs(body['expires_in'], options);
  if (lifeMs === undefined) return refuse('expires_in is not a positive number of seconds');

  const granted = readScopes(body['scope']);
  if (granted === 'malformed') return refuse('scope is not a list of scopes');
  if (granted !== undefined && options.scopes.length > 0) {
    const asked = new Set(options.scopes);
    const wider = granted.filter((scope) => !asked.has(scope));
    if (wider.length > 0) return refuse('the token has scopes that were not asked for');
    const missing = options.scopes.filter((scope) => !granted.includes(scope));
    if (missing.length > 0 && !options.source.acceptNarrowerScope) return err(narrowerScope(missing, options.detail));
    if (missing.length > 0) options.warn('narrower-scope');
  }
  const successor = options.source.grant.kind === 'refresh_token' ? readRefreshToken(body) : undefined;
  if (successor === 'malformed') return refuse('refresh_token is not a string that could be one');
  return ok({
    accessToken: new Redacted(accessToken),
    tokenType: 'Bearer',
    ...(granted === undefined ? {} : { scope: granted.join(' ') }),
    lifeMs,
    ...(successor === undefined ? {} : { refreshToken: successor }),
  });
}

/**
 * The refresh token of a reply, whatever else is wrong with it: where the reply has been sent, the one that was spent may be
 * good no more. One that is empty or null is none.
 */
export function readRefreshToken(body: JsonObject): Redacted | undefined | 'malformed' {
  const value = body['refresh_token'];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string' || value.length > MAX_TOKEN_CHARACTERS || !PRINTABLE_ASCII.test(value)) {
    return 'malformed';
  }
  return new Redacted(value);
}

/** What is wrong with the type of what was exchanged (RFC 8693 §2.2.1): it tells what the token is, and must be there. */
function mistakenType(grant: OAuth2Grant, issued: unknown): string | undefined {
  if (grant.kind !== 'token_exchange') return undefined;
  if (issued === undefined) return 'it has no issued_token_type';
  const expected = grant.requestedTokenType === undefined ? ACCESS_TOKEN_TYPES : [grant.requestedTokenType];
  if (typeof issued === 'string' && expected.includes(issued)) return undefined;
  return 'issued_token_type is not what was asked for';
}

function readLifeMs(value: unknown, { source, warn }: ReadTokenOptions): number | undefined {
  if (value === undefined) {
    warn('no-expires-in');
    return source.defaultLifetimeMs;
  }
  const seconds = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return undefined;
  const lifeMs = Math.floor(seconds * 1_000);
  if (lifeMs <= 0) return undefined;
  if (lifeMs <= source.maxLifetimeMs) return lifeMs;
  warn('lifetime-clamped');
  return source.maxLifetimeMs;
}

/** An absent scope means "as asked" (RFC 6749 §5.1). */
function readScopes(value: unknown): readonly string[] | undefined | 'malformed' {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.length > MAX_SCOPE_CHARACTERS) return 'malformed';
  const scopes = value.split(' ').filter((scope) => scope !== '');
  return scopes.every((scope) => SCOPE.test(scope)) ? scopes : 'malformed';
}

function narrowerScope(missing: readonly string[], detail: (text: string) => string): ProviderFailure {
  const message = `the identity provider did not grant the scope "${missing.join(' ')}" (acceptNarrowerScope takes less)`;
  return { code: 'IDP_DENIED', message, detail: detail(message) };
}

/** A JWT with a confirmation claim (RFC 7800) is bound to a key, whatever its type says. */
function isSenderConstrained(accessToken: string): boolean {
  const [, payload, signature, ...rest] = accessToken.split('.');
  if (payload === undefined || signature === undefined || rest.length > 0) return false;
  const confirmation = parseObject(Buffer.from(payload, 'base64url').toString('utf8'))?.['cnf'];
  return isObject(confirmation) && Object.keys(confirmation).length > 0;
}
