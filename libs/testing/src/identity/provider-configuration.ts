import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type Provider from 'oidc-provider';
import { createMemoryStorage } from './memory-storage.js';
import { silenceProviderNotices } from './provider-notices.js';

/** A client that the provider knows. */
export interface IdentityClient {
  readonly clientId: string;
  readonly clientSecret: string;
  /** How the client proves itself. Default `client_secret_basic`. */
  readonly clientAuthentication?: 'client_secret_basic' | 'client_secret_post';
  /** The scopes that it may ask for. Default none. */
  readonly scopes?: readonly string[];
}

/** What the provider knows, and what its tokens are like. */
export interface ProviderOptions {
  readonly clients: readonly IdentityClient[];
  /** The life of an access token. Default 3600 s. */
  readonly tokenLifeSeconds?: number | ((clientId: string) => number);
  /** `jwt` (ES256), or a random string. Default `opaque`. */
  readonly tokenFormat?: 'opaque' | 'jwt';
  /** The resources, or audiences, for which tokens are issued: absolute URIs. Default: any. */
  readonly resources?: readonly string[];
  /** How long a spent refresh token is still taken. Default 0: its use revokes the family at once. */
  readonly refreshGraceMs?: number;
  /** Puts another access token, such as a canary, into the reply. The provider itself does not know that token. */
  readonly tokenTransform?: (accessToken: string, clientId: string) => string;
}

/** The audience of JWTs where the request names none. */
const DEFAULT_RESOURCE = 'urn:token-broker:testing';

/** Builds the provider. It is loaded only here, since that takes a while. */
export async function createProvider(issuer: string, options: ProviderOptions, issued: () => void): Promise<Provider> {
  silenceProviderNotices();
  const { default: OidcProvider, errors } = await import('oidc-provider');
  const format = options.tokenFormat ?? 'opaque';
  const life = options.tokenLifeSeconds ?? 3600;
  const accessTokenLife = (_context: unknown, _token: unknown, client: { readonly clientId: string }): number =>
    typeof life === 'number' ? life : life(client.clientId);
  const scopes = [...new Set(options.clients.flatMap((client) => client.scopes ?? []))];

  const provider = new OidcProvider(issuer, {
    adapter: createMemoryStorage(options.refreshGraceMs ?? 0),
    clients: options.clients.map((client) => ({
      client_id: client.clientId,
      client_secret: client.clientSecret,
      token_endpoint_auth_method: client.clientAuthentication ?? 'client_secret_basic',
      grant_types: ['client_credentials', 'refresh_token', 'authorization_code'],
      redirect_uris: ['https://client.invalid/callback'],
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
      scope: ['openid', 'offline_access', ...(client.scopes ?? [])].join(' '),
    })),
    scopes: ['openid', 'offline_access', ...scopes],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (): string | undefined => (format === 'jwt' ? DEFAULT_RESOURCE : undefined),
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: unknown, resource: string) => {
          const isKnown = options.resources?.includes(resource) ?? true;
          if (!isKnown && resource !== DEFAULT_RESOURCE) throw new errors.InvalidTarget();
          return {
            audience: resource,
            scope: scopes.join(' '),
            accessTokenFormat: format,
            ...(format === 'jwt' ? { jwt: { sign: { alg: 'ES256' } } } : {}),
          };
        },
      },
    },
    findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
    ttl: {
      AccessToken: accessTokenLife,
      ClientCredentials: accessTokenLife,
      Grant: 30 * 86_400,
      IdToken: 3600,
      RefreshToken: 30 * 86_400,
    },
    rotateRefreshToken: true,
    cookies: { keys: [randomBytes(16).toString('hex')] },
    jwks: { keys: [signingKey()] },
    interactions: { url: () => '/interaction' },
  });

  provider.use(async (context, next) => {
    await next();
    const clientId = context.oidc?.client?.clientId;
    if (context.oidc?.route !== 'token' || clientId === undefined || !carriesToken(context.body)) return;
    issued();
    if (options.tokenTransform !== undefined) {
      context.body.access_token = options.tokenTransform(context.body.access_token, clientId);
    }
  });
  return provider;
}

function signingKey(): Readonly<Record<string, unknown>> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: randomBytes(8).toString('hex') };
}

function carriesToken(body: unknown): body is { access_token: string } {
  return typeof body === 'object' && body !== null && 'access_token' in body && typeof body.access_token === 'string';
}
