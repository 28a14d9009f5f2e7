import type { RecordedTokenRequest } from '@token-broker/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { claimsOf, ownToken, personsToken } from './identity.js';
import { createSigningPair } from './signing-keys.js';
import { CLIENT_ID, sourceSettings, startStack, type Settings, type Stack } from './stack.js';

const PAYMENTS_API = 'https://payments.example';
const LEDGER_API = 'https://ledger.example';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

const key = createSigningPair('assertions-1');
/** The service that asks, as the identity provider knows it. */
const ORDERS = { clientId: 'orders', clientSecret: 'orders-secret', scopes: ['orders:write'] };
const ASSERTER = { clientId: 'asserter', clientSecret: 'asserter-secret', scopes: ['a'], keys: [key.publicKey] };

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    clients: [ORDERS, ASSERTER],
    // The brokers know the resource servers of this provider's tokens, and nothing of their content: a test reads it.
    identity: { tokenFormat: 'jwt', resources: [PAYMENTS_API, LEDGER_API] },
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        machine: sourceSettings(idp),
        resource: sourceSettings(idp, { resource: PAYMENTS_API }),
        narrow: sourceSettings(idp, { scope: 'payments:read payments:admin' }),
        narrower: sourceSettings(idp, { scope: 'payments:read payments:admin', acceptNarrowerScope: true }),
        mailbox: sourceSettings(idp, { grant: 'refresh_token', scope: 'payments:read', resource: PAYMENTS_API }),
        asserted: sourceSettings(idp, {
          grant: 'jwt_bearer',
          clientId: ASSERTER.clientId,
          clientSecret: ASSERTER.clientSecret,
          scope: 'a',
          assertion: { privateKey: key.pem, keyId: 'assertions-1', subject: 'robot', claims: { tenant: 'north' } },
        }),
        'on-behalf': sourceSettings(idp, {
          grant: 'jwt_bearer',
          assertion: { from: 'caller' },
          subjectToken: { check: 'jwt' },
        }),
        exchanged: sourceSettings(idp, { grant: 'token_exchange', subjectToken: { check: 'jwt' } }),
      },
      callers: { orders: { sources: '*' }, ops: { sources: ['*'], admin: true } } satisfies Settings,
    }),
  });
});
afterAll(() => stack.stop());
beforeEach(() => {
  stack.idp.resetCounts();
});

/** The one request that the brokers have made. */
function onlyRequest(): RecordedTokenRequest {
  const requests = stack.idp.requests();
  expect(requests).toHaveLength(1);
  const [request] = requests;
  if (request === undefined) throw new Error('no request');
  return request;
}

function fieldsOf({ form }: RecordedTokenRequest): Readonly<Record<string, string>> {
  return Object.fromEntries(form);
}

describe('each grant, from the client library to the identity provider', () => {
  it('client_credentials: a token of the client itself', async () => {
    const client = await stack.client('orders');
    const token = await client.source('machine').get();
    expect(fieldsOf(onlyRequest())).toEqual({
      grant_type: 'client_credentials',
      scope: 'payments:read payments:write',
    });
    expect(claimsOf(token.accessToken)).toMatchObject({ client_id: CLIENT_ID, scope: 'payments:read payments:write' });
  });

  it('refresh_token: a token of whoever logged in, for the resource that it was for', async () => {
    const refreshToken = await stack.idp.issueRefreshToken({
      clientId: CLIENT_ID,
      accountId: 'alice',
      scope: 'openid offline_access payments:read',
      resource: PAYMENTS_API,
    });
    const operator = await stack.operator();
    await operator.setRefreshToken({ source: 'mailbox', refreshToken });
    const client = await stack.client('orders');
    const token = await client.source('mailbox').get();
    expect(fieldsOf(onlyRequest())).toMatchObject({ grant_type: 'refresh_token', refresh_token: refreshToken });
    expect(claimsOf(token.accessToken)).toMatchObject({ sub: 'alice', aud: PAYMENTS_API, scope: 'payments:read' });
  });

  it('jwt_bearer with a key: the assertion says what the configuration says, and is never sent twice', async () => {
    const client = await stack.client('orders');
    const token = await client.source('asserted').get();
    const request = onlyRequest();
    const assertion = claimsOf(String(request.form.get('assertion')));
    expect(request.grant).toBe(JWT_BEARER);
    expect(assertion).toMatchObject({ iss: 'asserter', sub: 'robot', aud: stack.idp.issuer, tenant: 'north' });
    expect(Number(assertion['exp']) - Number(assertion['iat'])).toBe(60);
    expect(claimsOf(token.accessToken)).toMatchObject({ sub: 'robot', client_id: 'asserter', scope: 'a' });

    await (await stack.operator()).revoke({ selector: { source: 'asserted' }, reason: 'a test' });
    await client.source('asserted').get();
    const ids = stack.idp.requests().map(({ form }) => claimsOf(String(form.get('assertion')))['jti']);
    expect(new Set(ids).size).toBe(2);
  });

  it('jwt_bearer with the caller’s token as the assertion: a token of its subject', async () => {
    const subjectToken = await ownToken(stack.idp, ORDERS);
    stack.idp.resetCounts();
    const client = await stack.client('orders');
    const token = await client.source('on-behalf', { subjectToken }).get();
    const request = onlyRequest();
    expect([request.grant, request.form.get('assertion')]).toEqual([JWT_BEARER, subjectToken]);
    expect(claimsOf(token.accessToken)).toMatchObject({ sub: claimsOf(subjectToken)['sub'], client_id: CLIENT_ID });
  });

  it('token_exchange: a token of the subject, which the actor acts for', async () => {
    const subjectToken = await personsToken(stack.idp, ORDERS, 'alice', undefined, LEDGER_API);
    const actorToken = await ownToken(stack.idp, ORDERS);
    stack.idp.resetCounts();
    const client = await stack.client('orders');
    const alone = await client.source('exchanged', { subjectToken }).get();
    expect(fieldsOf(onlyRequest())).toEqual({
      grant_type: TOKEN_EXCHANGE,
      subject_token: subjectToken,
      subject_token_type: ACCESS_TOKEN,
      scope: 'payments:read payments:write',
    });
    expect(claimsOf(alone.accessToken)).toMatchObject({ sub: 'alice', client_id: CLIENT_ID });
    expect(claimsOf(alone.accessToken)).not.toHaveProperty('act');

    stack.idp.resetCounts();
    const acted = await client.source('exchanged', { subjectToken, actorToken }).get();
    expect(fieldsOf(onlyRequest())).toMatchObject({ actor_token: actorToken, actor_token_type: ACCESS_TOKEN });
    expect(claimsOf(acted.accessToken)).toMatchObject({ sub: 'alice', act: { sub: ORDERS.clientId } });
  });
});

describe('what a token is for', () => {
  it('K2: the resource of the source, and another one that the caller asks for and its policy allows', async () => {
    const client = await stack.client('ops');
    const own = await client.source('resource').get();
    expect(claimsOf(own.accessToken)).toMatchObject({ aud: PAYMENTS_API });
    const asCaller = await stack.client('orders');
    await expect(asCaller.source('resource', { resource: LEDGER_API }).get()).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await stack.rewrite((settings) => ({
      ...settings,
      callers: { ...(settings['callers'] as Settings), orders: { sources: [{ name: 'resource', audiences: 'any' }] } },
    }));
    await Promise.all(stack.brokers.map((broker) => broker.reload()));
    const other = await asCaller.source('resource', { resource: LEDGER_API }).get();
    expect(claimsOf(other.accessToken)).toMatchObject({ aud: LEDGER_API });
    expect(stack.idp.counts().tokenRequests).toBe(2);
    await expect(asCaller.source('resource', { resource: 'https://unknown.example' }).get()).rejects.toMatchObject({
      code: 'IDP_DENIED',
    });
  });

  it('a narrower scope than asked for is an error, and none where the source accepts it', async () => {
    const client = await stack.client('ops');
    await expect(client.source('narrow').get()).rejects.toMatchObject({ code: 'IDP_DENIED' });
    const accepted = await client.source('narrower').get();
    expect(accepted.scope).toBe('payments:read');
    expect(claimsOf(accepted.accessToken)['scope']).toBe('payments:read');
  });
});
