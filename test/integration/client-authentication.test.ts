import {
  createCertificate,
  eventually,
  type IdentityClient,
  type RecordedTokenRequest,
  type TestCertificate,
} from '@token-broker/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { claimsOf } from './identity.js';
import { createSigningPair } from './signing-keys.js';
import { startStack, type Settings, type Stack } from './stack.js';

const SECRET = 'a secret/with+odd:characters%';
const firstKey = createSigningPair('key-1');
const secondKey = createSigningPair('key-2');
const foreignKey = createSigningPair('key-1');

let stack: Stack;
let server: TestCertificate;
let own: TestCertificate;
let foreign: TestCertificate;

beforeAll(async () => {
  [server, own, foreign] = await Promise.all([createCertificate(), createCertificate(), createCertificate()]);
  const clients: IdentityClient[] = [
    { clientId: 'basic', clientSecret: SECRET, clientAuthentication: 'client_secret_basic', scopes: ['a'] },
    { clientId: 'post', clientSecret: SECRET, clientAuthentication: 'client_secret_post' },
    {
      clientId: 'signing',
      clientAuthentication: 'private_key_jwt',
      keys: [firstKey.publicKey, secondKey.publicKey],
    },
    { clientId: 'mutual', clientAuthentication: 'tls_client_auth', certificate: own.cert },
    { clientId: 'public', clientAuthentication: 'none', scopes: ['a'] },
  ];
  stack = await startStack({
    clients,
    identity: { tls: server },
    configure: (settings, idp) => {
      const source = (clientId: string, change: Settings): Settings => ({
        provider: 'oauth2',
        issuer: idp.issuer,
        ca: server.cert,
        clientId,
        ...change,
      });
      const signing = { clientAuthentication: 'private_key_jwt', privateKey: firstKey.jwk };
      const mutual = { clientAuthentication: 'tls_client_auth', certificate: own.cert, certificateKey: own.key };
      return {
        ...settings,
        sources: {
          basic: source('basic', { clientSecret: SECRET }),
          post: source('post', { clientAuthentication: 'client_secret_post', clientSecret: SECRET }),
          signing: source('signing', signing),
          mutual: source('mutual', mutual),
          public: source('public', { clientAuthentication: 'none', grant: 'refresh_token', scope: 'a' }),
          'wrong-secret': source('basic', { clientSecret: 'wrong' }),
          'wrong-key': source('signing', { ...signing, privateKey: foreignKey.jwk }),
          'wrong-certificate': source('mutual', {
            ...mutual,
            certificate: foreign.cert,
            certificateKey: foreign.key,
          }),
        },
        callers: { orders: { sources: '*' }, ops: { sources: ['*'], admin: true } },
      };
    },
  });
});
afterAll(() => stack.stop());
beforeEach(() => {
  stack.idp.resetCounts();
});

function lastRequest(): RecordedTokenRequest {
  const request = stack.idp.requests().at(-1);
  if (request === undefined) throw new Error('no request');
  return request;
}

function fieldsOf({ form }: RecordedTokenRequest): Readonly<Record<string, string>> {
  return Object.fromEntries(form);
}

function headerOf(assertion: string): unknown {
  const [header = ''] = assertion.split('.');
  return JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
}

describe('how a client proves who it is, over TLS with a CA of its own', () => {
  it('client_secret_basic: in the header, and nowhere else', async () => {
    const client = await stack.client('orders');
    await client.source('basic').get();
    const request = lastRequest();
    const [scheme, sent = ''] = (request.headers.authorization ?? '').split(' ');
    const [user, secret] = Buffer.from(sent, 'base64').toString('utf8').split(':');
    // Form-encoded first (RFC 6749 §2.3.1): a space is a plus.
    const decoded = new URLSearchParams(`secret=${secret ?? ''}`).get('secret');
    expect([scheme, user, decoded]).toEqual(['Basic', 'basic', SECRET]);
    expect(fieldsOf(request)).toEqual({ grant_type: 'client_credentials' });
  });

  it('client_secret_post: in the body, and nowhere else', async () => {
    const client = await stack.client('orders');
    await client.source('post').get();
    const request = lastRequest();
    expect(request.headers.authorization).toBeUndefined();
    expect(fieldsOf(request)).toEqual({
      grant_type: 'client_credentials',
      client_id: 'post',
      client_secret: SECRET,
    });
  });

  it('private_key_jwt: an assertion for this provider, with the key’s id, and a new one each time', async () => {
    const client = await stack.client('orders');
    await client.source('signing').get();
    await (await stack.operator()).revoke({ selector: { source: 'signing' }, reason: 'a test' });
    await client.source('signing').get();
    const assertions = stack.idp.requests().map(({ form }) => String(form.get('client_assertion')));
    expect(assertions.map(headerOf)).toEqual(Array(2).fill(expect.objectContaining({ alg: 'ES256', kid: 'key-1' })));
    for (const claims of assertions.map(claimsOf))
      expect(claims).toMatchObject({ iss: 'signing', sub: 'signing', aud: stack.idp.issuer });
    expect(new Set(assertions.map((assertion) => claimsOf(assertion)['jti'])).size).toBe(2);
  });

  it('tls_client_auth: by the certificate, at the address that takes one', async () => {
    expect(stack.idp.mutualTlsTokenEndpoint).toBeDefined();
    const client = await stack.client('orders');
    await client.source('mutual').get();
    const request = lastRequest();
    expect(fieldsOf(request)).toEqual({ grant_type: 'client_credentials', client_id: 'mutual' });
    expect(request.headers.host).toBe(new URL(String(stack.idp.mutualTlsTokenEndpoint)).host);
  });

  it('none: by its id alone, with a refresh token for its right', async () => {
    const refreshToken = await stack.idp.issueRefreshToken({ clientId: 'public', scope: 'openid offline_access a' });
    await (await stack.operator()).setRefreshToken({ source: 'public', refreshToken });
    const client = await stack.client('orders');
    await client.source('public').get();
    const request = lastRequest();
    expect(request.headers.authorization).toBeUndefined();
    expect(fieldsOf(request)).toEqual({
      grant_type: 'refresh_token',
      client_id: 'public',
      refresh_token: refreshToken,
      scope: 'a',
    });
  });

  it.each(['wrong-secret', 'wrong-key', 'wrong-certificate'])(
    '%s: denied, by one call that is not made again for the next caller',
    async (source) => {
      const client = await stack.client('orders');
      await expect(client.source(source).get()).rejects.toMatchObject({ code: 'IDP_DENIED' });
      const other = await stack.client('ops');
      await expect(other.source(source).get()).rejects.toMatchObject({ code: 'IDP_DENIED' });
      expect(stack.idp.counts()).toMatchObject({ tokenRequests: 1, tokensIssued: 0 });
    },
  );
});

it('K5: a rotated private key signs at once, and near caches drop what the old one brought', async () => {
  /** The word of the reload goes out at once; a loaded machine may take its time to carry it. */
  const DROPPED_WITHIN_MS = 2_000;
  const client = await stack.client('orders', { refetchOnRevoke: false });
  const handle = client.source('signing');
  const old = await handle.get();
  stack.idp.resetCounts();
  await stack.changeSource('signing', { privateKey: secondKey.pem, keyId: 'key-2' });
  await eventually(() => handle.current === undefined, {
    what: 'the near cache to drop the old token',
    withinMs: DROPPED_WITHIN_MS,
  });
  const fresh = await handle.get();
  expect(fresh.generation).toBeGreaterThan(old.generation);
  expect(fresh.accessToken).not.toBe(old.accessToken);
  const [assertion, ...more] = stack.idp.requests().map(({ form }) => String(form.get('client_assertion')));
  expect(more).toEqual([]);
  expect(headerOf(assertion ?? '')).toMatchObject({ kid: 'key-2' });
});
