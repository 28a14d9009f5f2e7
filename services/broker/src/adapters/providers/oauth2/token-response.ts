import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import type { IssuedToken, ProviderFailure } from '../../../app/ports/provider.js';

export interface ReadTokenOptions {
  readonly source: Pick<OAuth2SourceConfiguration, 'defaultLifetimeMs' | 'maxLifetimeMs' | 'acceptNarrowerScope'>;
  /** What was asked for. */
  readonly scopes: readonly string[];
  readonly detail: (text: string) => string;
  /** Something is odd but usable. */
  readonly warn: (what: 'no-expires-in' | 'lifetime-clamped' | 'narrower-scope') => void;
}

/**
 * Reads the body of a successful token response (RFC 6749 §5.1) strictly. The OAuth library checks its form; what it lets
 * through, and what would harm those whom the token is handed to, is checked here.
 */
export function readToken(body: unknown, options: ReadTokenOptions): Result<IssuedToken, ProviderFailure> {
  if (!isObject(body)) return protocol('the reply is not a JSON object');
  const accessToken = body['access_token'];
  // RFC 6750 §2.1: what does not fit a header would be an injection into one.
  if (typeof accessToken !== 'string' || accessToken === '') return protocol('the reply has no access_token');
  if (!/^[\x21-\x7e]+$/.test(accessToken))
    return protocol('the access_token holds characters that no header may carry');

  const tokenType = body['token_type'];
  if (typeof tokenType !== 'string') return protocol('the reply has no token_type');
  if (tokenType.toLowerCase() === 'dpop' || isSenderConstrained(accessToken)) {
    return protocol(
      'the token is bound to a key of the broker (DPoP or mTLS): it is useless to anybody else. Turn binding off for this client',
    );
  }
  if (tokenType.toLowerCase() !== 'bearer')
    return protocol(`the token_type "${options.detail(tokenType).slice(0, 40)}" is not Bearer`);

  const life = readLife(body['expires_in'], options);
  if (life === undefined) return protocol('expires_in is not a positive number of seconds');
  const scope = readScope(body['scope'], options);
  if (!scope.ok) return scope;
  return ok({
    accessToken: new Redacted(accessToken),
    tokenType: 'Bearer',
    ...(scope.value === undefined ? {} : { scope: scope.value }),
    lifeMs: life,
  });
}

function protocol(message: string): Result<never, ProviderFailure> {
  return err({ code: 'IDP_PROTOCOL', message, detail: message });
}

function readLife(value: unknown, { source, warn }: ReadTokenOptions): number | undefined {
  if (value === undefined || value === null) {
    warn('no-expires-in');
    return source.defaultLifetimeMs;
  }
  const seconds = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return undefined;
  const lifeMs = seconds * 1_000;
  if (lifeMs <= source.maxLifetimeMs) return Math.floor(lifeMs);
  warn('lifetime-clamped');
  return source.maxLifetimeMs;
}

/** An absent scope means "as asked" (RFC 6749 §5.1). */
function readScope(value: unknown, options: ReadTokenOptions): Result<string | undefined, ProviderFailure> {
  if (value === undefined || value === null) return ok(undefined);
  if (typeof value !== 'string') return protocol('the scope is not a string');
  const granted = value.split(' ').filter((scope) => scope !== '');
  if (options.scopes.length === 0) return ok(granted.join(' '));
  const wider = granted.find((scope) => !options.scopes.includes(scope));
  if (wider !== undefined)
    return protocol(`the token has a scope that was not asked for: "${options.detail(wider).slice(0, 80)}"`);
  const missing = options.scopes.filter((scope) => !granted.includes(scope));
  if (missing.length > 0) {
    if (!options.source.acceptNarrowerScope) {
      const message = `the identity provider did not grant the scope "${missing.join(' ')}" (acceptNarrowerScope takes less)`;
      return err({ code: 'IDP_DENIED', message, detail: message });
    }
    options.warn('narrower-scope');
  }
  return ok(granted.join(' '));
}

/** A JWT with a confirmation claim (RFC 7800) is bound to a key, whatever its type says. */
function isSenderConstrained(accessToken: string): boolean {
  const [, payload, signature, ...rest] = accessToken.split('.');
  if (payload === undefined || signature === undefined || rest.length > 0) return false;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    if (!isObject(claims) || !isObject(claims['cnf'])) return false;
    return 'jkt' in claims['cnf'] || 'x5t#S256' in claims['cnf'];
  } catch {
    return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
