import type { JsonWebKey } from 'node:crypto';
import type Provider from 'oidc-provider';
import type { ResourceServerInfo, TokenContext } from 'oidc-provider';
import type { IdentityClient } from './identity-client.js';
import { verifySignedToken, type SignedToken } from './signed-token.js';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';

export interface ExtensionGrantPorts {
  readonly issuer: string;
  readonly clients: readonly IdentityClient[];
  /** Of the provider itself: its own JWTs may be exchanged, and may be assertions. */
  readonly ownKeys: readonly JsonWebKey[];
  readonly resourceOf: (resource: string | undefined) => ResourceServerInfo | undefined;
  /** Claims of tokens that act for somebody (RFC 8693 §4.1). */
  readonly actors: WeakMap<object, Readonly<Record<string, unknown>>>;
  readonly refuse: {
    readonly grant: (detail: string) => Error;
    readonly request: (detail: string) => Error;
  };
}

interface Party {
  readonly subject: string;
  readonly clientId?: string;
}

/**
 * Teaches the provider the grants of RFC 8693 (token exchange) and RFC 7523 (JWT bearer), which it has not of its own. Both
 * verify what they are given: subject and actor tokens must be tokens of this provider that are still good; an assertion must
 * be signed by a key of the client that it names, or by the provider, be meant for the provider, and be new.
 */
export function registerExtensionGrants(provider: Provider, ports: ExtensionGrantPorts): void {
  const { refuse } = ports;
  const spentAssertions = new Set<string>();

  const partyOf = async (token: string, type: string): Promise<Party> => {
    if (type !== ACCESS_TOKEN_TYPE && type !== JWT_TYPE) throw refuse.request(`unsupported token type ${type}`);
    const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
    if (found?.isValid === true) return { subject: found.accountId ?? found.clientId, clientId: found.clientId };
    const signed = found === undefined ? verifySignedToken(token, ports.ownKeys) : undefined;
    if (signed?.claims['iss'] !== ports.issuer) throw refuse.grant('the token is not good');
    return { subject: String(signed.claims['sub']), clientId: String(signed.claims['client_id']) };
  };

  const issue = async (context: TokenContext, subject: string, actor?: Party): Promise<Record<string, unknown>> => {
    const { client, params } = context.oidc ?? {};
    if (client === undefined) throw refuse.request('no client');
    const asked = textOf(params?.['scope'])?.split(' ') ?? [];
    const allowed = new Set(client.scope?.split(' '));
    const scope = asked.filter((name) => allowed.has(name)).join(' ');
    const resource = textOf(params?.['resource']) ?? textOf(params?.['audience']);
    const info = ports.resourceOf(resource);
    const token = new provider.AccessToken({
      accountId: subject,
      client,
      gty: textOf(params?.['grant_type']),
      ...(scope === '' ? {} : { scope }),
    });
    if (info !== undefined) token.resourceServer = new provider.ResourceServer(info.audience, info);
    if (actor !== undefined) ports.actors.set(token, { act: { sub: actor.subject } });
    const value = await token.save();
    return {
      access_token: value,
      expires_in: token.expiration,
      token_type: 'Bearer',
      ...(scope === '' ? {} : { scope }),
    };
  };

  provider.registerGrantType(
    TOKEN_EXCHANGE,
    async (context, next) => {
      const params = context.oidc?.params ?? {};
      const subjectToken = textOf(params['subject_token']);
      const subjectType = textOf(params['subject_token_type']);
      if (subjectToken === undefined || subjectType === undefined) throw refuse.request('no subject token');
      const subject = await partyOf(subjectToken, subjectType);
      const actorToken = textOf(params['actor_token']);
      const actorType = textOf(params['actor_token_type']);
      if ((actorToken === undefined) !== (actorType === undefined)) throw refuse.request('half an actor token');
      const actor =
        actorToken === undefined || actorType === undefined ? undefined : await partyOf(actorToken, actorType);
      const requested = textOf(params['requested_token_type']) ?? ACCESS_TOKEN_TYPE;
      if (requested !== ACCESS_TOKEN_TYPE && requested !== JWT_TYPE) throw refuse.request('unsupported requested type');
      context.body = { ...(await issue(context, subject.subject, actor)), issued_token_type: requested };
      await next();
    },
    ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', ...TARGETS],
  );

  provider.registerGrantType(
    JWT_BEARER,
    async (context, next) => {
      const assertion = textOf(context.oidc?.params?.['assertion']);
      if (assertion === undefined) throw refuse.request('no assertion');
      const own = verifySignedToken(assertion, ports.ownKeys);
      const signed = own?.claims['iss'] === ports.issuer ? own : verifyAssertion(assertion, ports);
      if (signed === undefined) throw refuse.grant('the assertion is not good');
      if (signed !== own) {
        const id = `${String(signed.claims['iss'])} ${String(signed.claims['jti'])}`;
        if (signed.claims['jti'] === undefined || spentAssertions.has(id))
          throw refuse.grant('the assertion is not new');
        spentAssertions.add(id);
      }
      context.body = await issue(context, String(signed.claims['sub']));
      await next();
    },
    ['assertion', ...TARGETS],
  );
}

const TARGETS = ['scope', 'resource', 'audience'];

/** RFC 7523 §3. */
function verifyAssertion(assertion: string, { issuer, clients }: ExtensionGrantPorts): SignedToken | undefined {
  for (const client of clients) {
    const signed = verifySignedToken(assertion, client.keys ?? []);
    if (signed?.claims['iss'] !== client.clientId) continue;
    const audience: unknown = signed.claims['aud'];
    const isForUs = [audience].flat().some((name) => name === issuer || name === `${issuer}/token`);
    if (isForUs && typeof signed.claims['sub'] === 'string') return signed;
  }
  return undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
