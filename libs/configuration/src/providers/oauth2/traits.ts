import type { Redacted } from '@token-broker/foundation';
import type {
  ClientAuthentication,
  OAuth2Endpoint,
  OAuth2Grant,
  OAuth2SourceConfiguration,
  SigningKey,
} from '../../configuration.js';
import type { SourceTraits } from '../source-traits.js';

export function oauth2Traits(source: OAuth2SourceConfiguration): SourceTraits {
  const { provider, grant, endpoint, clientId, clientAuthentication } = source;
  const authentication = authenticationIngredients(clientAuthentication);
  return {
    recipe: [
      provider,
      grantIngredients(grant),
      endpointIngredients(endpoint),
      clientId,
      ...authentication,
      source.scopes,
      source.audience ?? null,
      source.resource ?? null,
      [...source.parameters].sort(([a], [b]) => (a < b ? -1 : 1)),
      source.ca ?? null,
      source.allowInsecureHttp,
      source.acceptNarrowerScope,
      // Last, and only where they are there: what a source without them was fetched for stays good.
      ...(source.proxy === undefined ? [] : [['proxy', source.proxy.reveal()]]),
      ...(source.subjectToken === undefined ? [] : [['subject-token', source.subjectToken]]),
    ],
    // One client at one endpoint, however many sources use it.
    upstream: [provider, endpointIngredients(endpoint), clientId],
    credential: authentication,
    besides: besidesOf(source),
    secrets: secretsOfOAuth2(source),
    summary: { grant: grant.kind, endpoint: addressOf(endpoint), clientId },
  };
}

function besidesOf({
  timeoutMs,
  defaultLifetimeMs,
  maxLifetimeMs,
  endpoint,
  grant,
}: OAuth2SourceConfiguration): readonly unknown[] {
  return [
    ...[timeoutMs, defaultLifetimeMs, maxLifetimeMs],
    ...(endpoint.kind === 'issuer'
      ? []
      : [endpoint.revocationEndpoint ?? null, endpoint.introspectionEndpoint ?? null]),
    ...(grant.kind === 'jwt_bearer' && grant.assertion.from === 'key' ? [grant.assertion.lifetimeMs] : []),
  ];
}

function secretsOfOAuth2({ grant, proxy, clientAuthentication }: OAuth2SourceConfiguration): readonly Redacted[] {
  return [
    ...authenticationSecrets(clientAuthentication),
    ...(grant.kind === 'jwt_bearer' && grant.assertion.from === 'key' ? [grant.assertion.key.privateKey] : []),
    ...(proxy === undefined ? [] : [proxy]),
  ];
}

function authenticationSecrets(authentication: ClientAuthentication): readonly Redacted[] {
  switch (authentication.kind) {
    case 'client_secret_basic':
    case 'client_secret_post':
      return [authentication.clientSecret];
    case 'private_key_jwt':
      return [authentication.key.privateKey];
    case 'tls_client_auth':
      return [authentication.key];
    case 'none':
      return [];
  }
}

function grantIngredients(grant: OAuth2Grant): unknown {
  switch (grant.kind) {
    case 'client_credentials':
    case 'refresh_token':
      return grant.kind;
    case 'token_exchange':
      return [grant.kind, grant.requestedTokenType ?? null];
    case 'jwt_bearer': {
      const { assertion } = grant;
      if (assertion.from === 'caller') return [grant.kind, 'caller'];
      const { key, issuer, subject, audience, claims } = assertion;
      const sorted = [...claims].sort(([a], [b]) => (a < b ? -1 : 1));
      return [grant.kind, 'key', keyIngredients(key), issuer, subject, audience ?? null, sorted];
    }
  }
}

function endpointIngredients(endpoint: OAuth2Endpoint): unknown {
  return endpoint.kind === 'issuer' ? ['issuer', endpoint.issuer] : ['token-endpoint', endpoint.tokenEndpoint];
}

function authenticationIngredients(authentication: ClientAuthentication): readonly unknown[] {
  switch (authentication.kind) {
    case 'client_secret_basic':
    case 'client_secret_post':
      return [authentication.clientSecret.reveal(), authentication.kind];
    case 'private_key_jwt':
      return [keyIngredients(authentication.key), authentication.kind];
    case 'tls_client_auth':
      return [[authentication.certificate, authentication.key.reveal()], authentication.kind];
    case 'none':
      return [null, authentication.kind];
  }
}

function keyIngredients({ privateKey, algorithm, keyId }: SigningKey): unknown {
  return [privateKey.reveal(), algorithm, keyId ?? null];
}

/** Without what a URL may hold beside its place: a password, a query. */
function addressOf(endpoint: OAuth2Endpoint): string {
  const text = endpoint.kind === 'issuer' ? endpoint.issuer : endpoint.tokenEndpoint;
  if (!URL.canParse(text)) return '';
  const { origin, pathname } = new URL(text);
  return pathname === '/' ? origin : `${origin}${pathname}`;
}
