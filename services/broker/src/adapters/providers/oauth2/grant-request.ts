import { randomId, type Clock, type Random } from '@token-broker/foundation';
import type { JwtAssertion, OAuth2SourceConfiguration } from '@token-broker/configuration';
import { SignJWT } from 'jose';
import * as oauth from 'openid-client';
import type { ProviderFailure, ProviderRequest } from '../../../app/ports/provider.js';
import { keyOnDemand } from './signing-key.js';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
/** RFC 8693 §3: what a subject token is, where the configuration does not say. */
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** Sends one token request by openid-client, which then judges the form of the reply. */
export type SendTokenRequest = (configuration: oauth.Configuration) => Promise<unknown>;

export interface GrantPorts {
  readonly clock: Clock;
  readonly random: Random;
}

/** The token requests of a source's grant. */
export interface GrantRequests {
  /**
   * What a request lacks that its grant is about: IDP_DENIED for a missing subject token, REAUTH_REQUIRED for a missing
   * refresh token. Known before anything is sent.
   */
  readonly lackOf: (request: ProviderRequest) => ProviderFailure | undefined;
  /** Makes the form, and signs what is to be signed. */
  readonly prepare: (request: ProviderRequest, server: oauth.ServerMetadata) => Promise<SendTokenRequest>;
}

export function createGrantRequests(source: OAuth2SourceConfiguration, ports: GrantPorts): GrantRequests {
  const { grant } = source;
  const assertion =
    grant.kind === 'jwt_bearer' && grant.assertion.from === 'key'
      ? createAssertions(source, grant.assertion, ports)
      : undefined;
  const takesSubject = grant.kind === 'token_exchange' || (grant.kind === 'jwt_bearer' && assertion === undefined);
  return {
    lackOf({ refreshToken, subjectToken }) {
      if (grant.kind === 'refresh_token' && refreshToken === undefined) {
        return lacking('REAUTH_REQUIRED', 'there is no refresh token to spend');
      }
      if (!takesSubject || subjectToken !== undefined) return undefined;
      return lacking('IDP_DENIED', "the source's grant needs a subject token, and the request has none");
    },
    async prepare(request, server) {
      const form = targetOf(source, request);
      switch (grant.kind) {
        case 'client_credentials':
          return (configuration) => oauth.clientCredentialsGrant(configuration, form);
        case 'refresh_token': {
          const token = request.refreshToken?.reveal() ?? '';
          return (configuration) => oauth.refreshTokenGrant(configuration, token, form);
        }
        case 'jwt_bearer':
          form.set('assertion', await (assertion?.(server) ?? request.subjectToken?.reveal() ?? ''));
          return (configuration) => oauth.genericGrantRequest(configuration, JWT_BEARER, form);
        case 'token_exchange':
          form.set('subject_token', request.subjectToken?.reveal() ?? '');
          form.set('subject_token_type', source.subjectToken?.type ?? ACCESS_TOKEN);
          if (request.actorToken !== undefined) {
            form.set('actor_token', request.actorToken.reveal());
            form.set('actor_token_type', source.subjectToken?.actorType ?? ACCESS_TOKEN);
          }
          if (grant.requestedTokenType !== undefined) form.set('requested_token_type', grant.requestedTokenType);
          return (configuration) => oauth.genericGrantRequest(configuration, TOKEN_EXCHANGE, form);
      }
    },
  };
}

function lacking(code: 'IDP_DENIED' | 'REAUTH_REQUIRED', message: string): ProviderFailure {
  return { code, message, detail: message };
}

/** What the token is for, beside the source's further parameters. */
function targetOf(
  { parameters }: OAuth2SourceConfiguration,
  { scopes, audience, resource }: ProviderRequest,
): URLSearchParams {
  const form = new URLSearchParams([...parameters]);
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  if (audience !== undefined) form.set('audience', audience);
  // RFC 8707.
  if (resource !== undefined) form.set('resource', resource);
  return form;
}

/** Signed assertions (RFC 7523 §3), each with an id of its own. */
function createAssertions(
  { endpoint }: OAuth2SourceConfiguration,
  assertion: Extract<JwtAssertion, { readonly from: 'key' }>,
  { clock, random }: GrantPorts,
): (server: oauth.ServerMetadata) => Promise<string> {
  const importKey = keyOnDemand(assertion.key);
  return async (server) => {
    const { key, keyId } = await importKey();
    const nowSeconds = Math.floor(clock.wallMs() / 1_000);
    const itself = endpoint.kind === 'issuer' ? server.issuer : endpoint.tokenEndpoint;
    // What the claims name is overwritten by what an assertion is made of.
    return new SignJWT(Object.fromEntries(assertion.claims))
      .setProtectedHeader({
        alg: assertion.key.algorithm,
        typ: 'JWT',
        ...(keyId === undefined ? {} : { kid: keyId }),
      })
      .setIssuer(assertion.issuer)
      .setSubject(assertion.subject)
      .setAudience(assertion.audience ?? itself)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + Math.ceil(assertion.lifetimeMs / 1_000))
      .setJti(randomId(random))
      .sign(key);
  };
}
