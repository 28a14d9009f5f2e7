import type {
  ClientAuthentication,
  Configuration,
  OAuth2Endpoint,
  OAuth2Grant,
  SigningKey,
  SourceConfiguration,
} from '@token-broker/configuration';
import { configurationFingerprint, credentialOf, recipeOf, upstreamOf } from '../../domain/recipe.js';

/** Everything of a source that can change its tokens, in an order that never changes. */
export function recipeOfSource(recipeKey: Uint8Array, source: SourceConfiguration): string {
  return recipeOf(recipeKey, [
    source.provider,
    grantIngredients(source.grant),
    endpointIngredients(source.endpoint),
    source.clientId,
    ...authenticationIngredients(source.clientAuthentication),
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
  ]);
}

/** The upstream identity: one client at one endpoint, however many sources use it. */
export function upstreamOfSource(recipeKey: Uint8Array, source: SourceConfiguration): string {
  return upstreamOf(recipeKey, [source.provider, endpointIngredients(source.endpoint), source.clientId]);
}

/** What the source's client proves itself with, at this upstream. */
export function credentialOfSource(recipeKey: Uint8Array, source: SourceConfiguration): string {
  return credentialOf(recipeKey, authenticationIngredients(source.clientAuthentication));
}

/** The fingerprint that replicas with the same sources and callers share. */
export function fingerprintOf(recipeKey: Uint8Array, configuration: Configuration): string {
  return configurationFingerprint(recipeKey, [
    [...configuration.sources.values()].map((source) => [source.name, recipeOfSource(recipeKey, source)]).sort(byName),
    [...configuration.callers.values()]
      .map((caller) => [
        caller.name,
        caller.admin,
        [...caller.grants].map(([name, grant]) => [name, grant.scopes, grant.audiences]).sort(byName),
        // Only where they say more than the name does, so that a configuration without them keeps its version.
        ...(isOwnName(caller) ? [] : [caller.clientIds]),
      ])
      .sort(byName),
  ]);
}

function isOwnName({ name, clientIds }: { readonly name: string; readonly clientIds: readonly string[] }): boolean {
  return clientIds.length === 1 && clientIds[0] === name;
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

function byName(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}
