import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, type JsonWebKey } from 'node:crypto';
import type Provider from 'oidc-provider';
import type { ResourceServerInfo } from 'oidc-provider';
import { JWT_BEARER, registerExtensionGrants, TOKEN_EXCHANGE } from './extension-grants.js';
import type { IdentityClient } from './identity-client.js';
import { createMemoryStorage } from './memory-storage.js';
import { mutualTlsFeature } from './mutual-tls.js';
import { silenceProviderNotices } from './provider-notices.js';
import { ALREADY_USED, type RefreshTokenWatch } from './refresh-token-counts.js';

/** What the provider knows, and what its tokens are like. */
export interface ProviderOptions {
  readonly clients: readonly IdentityClient[];
  /** The life of an access token. Default 3600 s. */
  readonly tokenLifeSeconds?: number | ((clientId: string) => number);
  /** `jwt` (ES256), or a random string. Default `opaque`. */
  readonly tokenFormat?: 'opaque' | 'jwt';
  /** The resources, or audiences, for which tokens are issued: absolute URIs. Default: any. */
  readonly resources?: readonly string[];
  /**
   * `on`: each use of a refresh token spends it, and the reply brings its successor. `off`: it stays good, and the reply names
   * it again. `omitted`: it stays good, and the reply names none (RFC 6749 §6). Default `on`.
   */
  readonly rotation?: 'on' | 'off' | 'omitted';
  /** How long a spent refresh token is still taken. Default 0: its use revokes the family at once. */
  readonly refreshGraceMs?: number;
  /** Puts another access token, such as a canary, into the reply. The provider itself does not know that token. */
  readonly tokenTransform?: (accessToken: string, clientId: string) => string;
}

/** The audience of JWTs where the request names none. */
const DEFAULT_RESOURCE = 'urn:token-broker:testing';

const SIGNING_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

export interface ProviderPorts {
  /** Told for each token that is given out. */
  readonly issued: () => void;
  readonly refreshTokens: RefreshTokenWatch;
  /** The address at which clients present certificates, where there is one. */
  readonly mutualTlsOrigin?: string;
}

/** Builds the provider. It is loaded only here, since that takes a while. */
export async function createProvider(
  issuer: string,
  options: ProviderOptions,
  ports: ProviderPorts,
): Promise<Provider> {
  silenceProviderNotices();
  const { default: OidcProvider, errors } = await import('oidc-provider');
  const { clients } = options;
  const rotation = options.rotation ?? 'on';
  const scopes = [...new Set(clients.flatMap((client) => client.scopes ?? []))];
  const key = createSigningKey();
  const actors = new WeakMap<object, Readonly<Record<string, unknown>>>();
  const resourceOf = createResources(options, scopes, () => new errors.InvalidTarget());

  const provider = new OidcProvider(issuer, {
    adapter: createMemoryStorage({
      refreshGraceMs: options.refreshGraceMs ?? 0,
      onForgiven: () => {
        ports.refreshTokens.forgave();
      },
      refuseReplay: (grantId) => {
        provider.emit('grant.revoked', undefined, grantId);
        throw new errors.InvalidGrant(ALREADY_USED);
      },
    }),
    clients: clients.map(metadataOf),
    scopes: ['openid', 'offline_access', ...scopes],
    clientAuthMethods: [
      ...['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
      ...(ports.mutualTlsOrigin === undefined ? [] : ['tls_client_auth']),
    ],
    enabledJWA: { clientAuthSigningAlgValues: SIGNING_ALGORITHMS },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      ...(ports.mutualTlsOrigin === undefined ? {} : { mTLS: mutualTlsFeature(clients) }),
      resourceIndicators: {
        enabled: true,
        defaultResource: (): string | undefined => (options.tokenFormat === 'jwt' ? DEFAULT_RESOURCE : undefined),
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: unknown, resource: string) => resourceOf(resource),
      },
    },
    ...(ports.mutualTlsOrigin === undefined ? {} : { discovery: aliasesAt(ports.mutualTlsOrigin) }),
    extraTokenClaims: (_context: unknown, token: object) => actors.get(token),
    findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
    ttl: livesOf(options),
    rotateRefreshToken: rotation === 'on',
    cookies: { keys: [randomBytes(16).toString('hex')] },
    jwks: { keys: [key.private] },
    interactions: { url: () => '/interaction' },
  });
  ports.refreshTokens.watch(provider);
  registerExtensionGrants(provider, {
    issuer,
    clients,
    ownKeys: [key.public],
    resourceOf: (resource) => resourceOf(resource ?? (options.tokenFormat === 'jwt' ? DEFAULT_RESOURCE : undefined)),
    actors,
    refuse: {
      grant: (detail) => new errors.InvalidGrant(detail),
      request: (detail) => new errors.InvalidRequest(detail),
    },
  });

  provider.use(async (context, next) => {
    await next();
    const clientId = context.oidc?.client?.clientId;
    if (context.oidc?.route !== 'token' || clientId === undefined || !carriesToken(context.body)) return;
    ports.issued();
    if (rotation === 'omitted') delete context.body.refresh_token;
    if (options.tokenTransform !== undefined) {
      context.body.access_token = options.tokenTransform(context.body.access_token, clientId);
    }
  });
  return provider;
}

/** As in dynamic registration (RFC 7591 §2). */
function metadataOf(client: IdentityClient): Readonly<Record<string, unknown>> {
  const { clientId, clientSecret, clientAuthentication = 'client_secret_basic', keys } = client;
  return {
    client_id: clientId,
    ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
    token_endpoint_auth_method: clientAuthentication,
    ...(keys === undefined ? {} : { jwks: { keys } }),
    ...(clientAuthentication === 'tls_client_auth' ? { tls_client_auth_san_dns: 'localhost' } : {}),
    ...(client.certificateBoundTokens === true ? { tls_client_certificate_bound_access_tokens: true } : {}),
    grant_types: ['client_credentials', 'refresh_token', 'authorization_code', TOKEN_EXCHANGE, JWT_BEARER],
    redirect_uris: ['https://client.invalid/callback'],
    response_types: ['code'],
    id_token_signed_response_alg: 'ES256',
    scope: ['openid', 'offline_access', ...(client.scopes ?? [])].join(' '),
  };
}

/** The endpoints that take certificates (RFC 8705 §5). */
function aliasesAt(origin: string): Readonly<Record<string, unknown>> {
  return {
    mtls_endpoint_aliases: {
      token_endpoint: `${origin}/token`,
      revocation_endpoint: `${origin}/token/revocation`,
      introspection_endpoint: `${origin}/token/introspection`,
    },
  };
}

function createResources(
  { tokenFormat = 'opaque', resources }: ProviderOptions,
  scopes: readonly string[],
  unknown: () => Error,
): (resource: string | undefined) => ResourceServerInfo | undefined {
  return (resource) => {
    if (resource === undefined) return undefined;
    const isKnown = resources?.includes(resource) ?? true;
    if (!isKnown && resource !== DEFAULT_RESOURCE) throw unknown();
    return {
      audience: resource,
      scope: scopes.join(' '),
      accessTokenFormat: tokenFormat,
      ...(tokenFormat === 'jwt' ? { jwt: { sign: { alg: 'ES256' } } } : {}),
    };
  };
}

function livesOf({ tokenLifeSeconds = 3600 }: ProviderOptions): Readonly<Record<string, unknown>> {
  const accessTokenLife = (_context: unknown, _token: unknown, client: { readonly clientId: string }): number =>
    typeof tokenLifeSeconds === 'number' ? tokenLifeSeconds : tokenLifeSeconds(client.clientId);
  return {
    AccessToken: accessTokenLife,
    ClientCredentials: accessTokenLife,
    Grant: 30 * 86_400,
    IdToken: 3600,
    RefreshToken: 30 * 86_400,
  };
}

function createSigningKey(): { readonly private: JsonWebKey; readonly public: JsonWebKey } {
  const { privateKey: der } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  // Read anew: Node 20 waits for itself for ever where the generator of a key is collected while that key is exported.
  const privateKey = createPrivateKey({ key: der, type: 'pkcs8', format: 'der' });
  const about = { use: 'sig', alg: 'ES256', kid: randomBytes(8).toString('hex') };
  return {
    private: { ...privateKey.export({ format: 'jwk' }), ...about },
    public: { ...createPublicKey(privateKey).export({ format: 'jwk' }), ...about },
  };
}

function carriesToken(body: unknown): body is { access_token: string; refresh_token?: string } {
  return typeof body === 'object' && body !== null && 'access_token' in body && typeof body.access_token === 'string';
}
