import type { IdentityClient, IdentityProvider } from '@token-broker/testing';
import { CLIENT_ID, CLIENT_SECRET } from './stack.js';

/** What the identity provider itself says, asked directly and not through any broker. */
export interface IdentityReply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const PAYMENTS: IdentityClient = { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET };

async function post(
  url: string,
  form: Readonly<Record<string, string>>,
  { clientId, clientSecret = '' }: IdentityClient,
): Promise<IdentityReply> {
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64');
  const reply = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams(form),
  });
  const text = await reply.text();
  return { status: reply.status, body: text === '' ? {} : (JSON.parse(text) as IdentityReply['body']) };
}

/** Spends a refresh token at the provider, behind the brokers' backs. */
export function spendDirectly(
  idp: IdentityProvider,
  refreshToken: string,
  client: IdentityClient = PAYMENTS,
): Promise<IdentityReply> {
  return post(idp.tokenEndpoint, { grant_type: 'refresh_token', refresh_token: refreshToken }, client);
}

/** A token that a client has of its own right, as a service would bring it along. */
export async function ownToken(idp: IdentityProvider, client: IdentityClient): Promise<string> {
  const { body } = await post(idp.tokenEndpoint, { grant_type: 'client_credentials' }, client);
  return accessTokenIn(body);
}

/** A token of a person who has logged in at a client. */
export async function personsToken(
  idp: IdentityProvider,
  client: IdentityClient,
  accountId: string,
  scope = 'openid offline_access',
  resource?: string,
): Promise<string> {
  const login = await idp.issueRefreshToken({
    clientId: client.clientId,
    accountId,
    scope,
    ...(resource === undefined ? {} : { resource }),
  });
  return accessTokenIn((await spendDirectly(idp, login, client)).body);
}

/** What the introspection endpoint says of a token: `{ active: false }` of one that is not good. */
export async function introspected(idp: IdentityProvider, token: string): Promise<IdentityReply['body']> {
  return (await post(idp.introspectionEndpoint, { token }, PAYMENTS)).body;
}

/** The claims of a JWT. */
export function claimsOf(token: string): Readonly<Record<string, unknown>> {
  const [, payload = ''] = token.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
}

function accessTokenIn(body: IdentityReply['body']): string {
  const { access_token: token } = body;
  if (typeof token !== 'string') throw new Error(`the identity provider gave no token: ${JSON.stringify(body)}`);
  return token;
}
