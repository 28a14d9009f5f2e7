import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { createCertificate } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import {
  formatProblems,
  parseConfiguration,
  secretsOf,
  type LoadedConfiguration,
  type OAuth2SourceConfiguration,
  type SigningKey,
} from './index.js';

type Settings = Readonly<Record<string, unknown>>;

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

async function load(source: Settings, callers: Settings = { orders: { sources: '*' } }): Promise<LoadedConfiguration> {
  const text = stringify({
    nats: { servers: ['nats://127.0.0.1:4222'], user: 'broker', password: 'p', events: { token: 't' } },
    redis: { url: 'redis://127.0.0.1:6379/0' },
    encryption: { keys: [{ id: 'k1', secret: Buffer.alloc(32, 3).toString('base64') }] },
    sources: { payments: { provider: 'oauth2', clientId: 'payments', ...source } },
    callers,
  });
  const loaded = await parseConfiguration(text, { env: {}, readFile: () => Promise.reject(new Error('absent')) });
  if (!loaded.ok) throw new Error(formatProblems(loaded.error.problems, loaded.error.file));
  return loaded.value;
}

async function sourceOf(source: Settings): Promise<OAuth2SourceConfiguration> {
  const { configuration } = await load(source);
  const found = configuration.sources.get('payments');
  if (found?.provider !== 'oauth2') throw new Error('the source is gone');
  return found;
}

async function warningsOf(source: Settings, callers?: Settings) {
  return (await load(source, callers)).warnings.map(({ path, message }) => `${path}: ${message}`);
}

const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }).toString().trim();
const jwk = (key: KeyObject, more: Settings = {}) => JSON.stringify({ ...key.export({ format: 'jwk' }), ...more });
const curve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey;

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
const ec = curve('P-256');
const other = curve('P-384');
const ed = generateKeyPairSync('ed25519').privateKey;
const certificate = await createCertificate();

const ISSUER = { issuer: 'https://login.example.com' };
const SECRET = { ...ISSUER, clientSecret: 'the-client-secret' };
const byKey = (privateKey: string, more: Settings = {}) => ({
  ...ISSUER,
  clientAuthentication: 'private_key_jwt',
  privateKey,
  ...more,
});

async function signingKeyOf(settings: Settings): Promise<SigningKey> {
  const { clientAuthentication } = await sourceOf(settings);
  if (clientAuthentication.kind !== 'private_key_jwt') throw new Error('not by a key');
  return clientAuthentication.key;
}

describe('endpoints', () => {
  it('are those of the issuer, or named', async () => {
    expect((await sourceOf(SECRET)).endpoint).toEqual({ kind: 'issuer', issuer: 'https://login.example.com' });
    const endpoints = {
      tokenEndpoint: 'https://idp/t?tenant=a',
      revocationEndpoint: 'https://idp/r',
      introspectionEndpoint: 'https://idp/i',
    };
    const { endpoint } = await sourceOf({ ...endpoints, clientSecret: 's' });
    expect(endpoint).toEqual({ kind: 'token-endpoint', ...endpoints });
  });

  it('are reached through a proxy, whose password is a secret', async () => {
    const source = await sourceOf({ ...SECRET, proxy: 'http://user:pass%40word@proxy.example.com:3128' });
    expect(source.proxy?.reveal()).toBe('http://user:pass%40word@proxy.example.com:3128');
    expect(secretsOf(source)).toContain(source.proxy);
    expect(inspect(source, { depth: 9 })).not.toContain('word');
  });

  it('may be of http where that is allowed, with a warning of what it means', async () => {
    const tokenEndpoint = 'http://127.0.0.1:1/t';
    const allowInsecureHttp = true;
    expect(await warningsOf({ tokenEndpoint, clientSecret: 's', allowInsecureHttp })).toEqual([
      'sources.payments.allowInsecureHttp: the client secret travels in clear: for development only',
    ]);
    const by = { clientAuthentication: 'private_key_jwt', privateKey: pem(ec) };
    expect(await warningsOf({ tokenEndpoint, ...by, allowInsecureHttp })).toEqual([
      'sources.payments.allowInsecureHttp: tokens travel in clear: for development only',
    ]);
    const subjectToken = { check: 'jwt', jwksUri: 'http://127.0.0.1:1/keys' };
    expect(await warningsOf({ ...SECRET, grant: 'token_exchange', subjectToken, allowInsecureHttp })).toEqual([
      'sources.payments.allowInsecureHttp: keys that check tokens come over http://: for development only',
    ]);
    expect(await warningsOf({ ...SECRET, allowInsecureHttp })).toEqual([]);
  });
});

describe('client authentication', () => {
  it.each(['client_secret_basic', 'client_secret_post'])('%s: by the secret', async (kind) => {
    const { clientAuthentication } = await sourceOf({ ...SECRET, clientAuthentication: kind });
    expect(clientAuthentication).toMatchObject({ kind });
    expect('clientSecret' in clientAuthentication && clientAuthentication.clientSecret.reveal()).toBe(
      'the-client-secret',
    );
  });

  it('none: by nothing, of which a warning tells where nothing else proves anything', async () => {
    const settings = { ...ISSUER, clientAuthentication: 'none' };
    expect((await sourceOf(settings)).clientAuthentication).toEqual({ kind: 'none' });
    expect(await warningsOf(settings)).toEqual([
      'sources.payments.clientAuthentication: the client proves nothing: whoever knows its id gets its tokens',
    ]);
    expect(await warningsOf({ ...settings, grant: 'refresh_token' })).toEqual([]);
  });

  it('tls_client_auth: by a certificate and its key', async () => {
    const settings = { ...ISSUER, certificate: certificate.cert, certificateKey: certificate.key };
    const source = await sourceOf({ ...settings, clientAuthentication: 'tls_client_auth' });
    const { clientAuthentication } = source;
    expect(clientAuthentication).toMatchObject({ kind: 'tls_client_auth', certificate: certificate.cert });
    expect(secretsOf(source).map((secret) => secret.reveal())).toEqual([certificate.key]);
    expect(inspect(source, { depth: 9 })).not.toContain('PRIVATE KEY');
  });

  it.each([
    ['RSA', rsa, 'RS256'],
    ['P-256', ec, 'ES256'],
    ['P-384', other, 'ES384'],
    ['P-521', curve('P-521'), 'ES512'],
    ['Ed25519', ed, 'EdDSA'],
  ])('private_key_jwt: %s in PEM and as a JWK, by its default algorithm', async (_name, key, algorithm) => {
    for (const written of [pem(key), jwk(key)]) {
      const signing = await signingKeyOf(byKey(written));
      expect(signing).toEqual({ privateKey: expect.anything() as unknown, algorithm });
      expect(signing.privateKey.reveal()).toBe(written);
    }
  });

  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])('private_key_jwt: RSA by %s', async (algorithm) => {
    expect((await signingKeyOf(byKey(pem(rsa), { signingAlgorithm: algorithm }))).algorithm).toBe(algorithm);
  });

  it('private_key_jwt: key id and algorithm are those of the JWK unless they are given', async () => {
    const written = jwk(rsa, { kid: 'of-the-jwk', alg: 'PS384', use: 'sig' });
    expect(await signingKeyOf(byKey(written))).toMatchObject({ keyId: 'of-the-jwk', algorithm: 'PS384' });
    expect(await signingKeyOf(byKey(written, { keyId: 'given' }))).toMatchObject({ keyId: 'given' });
    expect(await signingKeyOf(byKey(pem(rsa), { keyId: 'given' }))).toMatchObject({ keyId: 'given' });
  });

  it('private_key_jwt: takes the key out of a file that says more', async () => {
    const signing = await signingKeyOf(byKey(`Bag Attributes\n    friendlyName: a\n${pem(ec)}\n\n`));
    expect(signing.privateKey.reveal()).toBe(pem(ec));
    expect(createPrivateKey(signing.privateKey.reveal()).asymmetricKeyType).toBe('ec');
  });

  it('private_key_jwt: is never printed', async () => {
    const source = await sourceOf(byKey(pem(ec)));
    expect(inspect(source, { depth: 9, showHidden: true })).not.toContain('PRIVATE KEY');
    expect(JSON.stringify(source)).not.toContain('PRIVATE KEY');
  });
});

describe('grants', () => {
  it('client_credentials is the default, and refresh_token may be kept warm', async () => {
    expect((await sourceOf(SECRET)).grant).toEqual({ kind: 'client_credentials' });
    const source = await sourceOf({ ...SECRET, grant: 'refresh_token', refresh: { keepWarm: true } });
    expect(source).toMatchObject({ grant: { kind: 'refresh_token' }, refresh: { keepWarm: true } });
    expect(source.subjectToken).toBeUndefined();
  });

  it('jwt_bearer: an assertion of the client, good for a minute', async () => {
    const source = await sourceOf({ ...SECRET, grant: 'jwt_bearer', assertion: { privateKey: pem(ec), keyId: 'a1' } });
    expect(source.grant).toEqual({
      kind: 'jwt_bearer',
      assertion: {
        from: 'key',
        key: { privateKey: expect.anything() as unknown, algorithm: 'ES256', keyId: 'a1' },
        issuer: 'payments',
        subject: 'payments',
        lifetimeMs: 60_000,
        claims: new Map(),
      },
    });
    expect(secretsOf(source).map((secret) => secret.reveal())).toEqual(['the-client-secret', pem(ec)]);
  });

  it('jwt_bearer: everything that the assertion says may be given', async () => {
    const claims = { tenant: 'acme', roles: ['a', { deep: [1.5, true, null] }], 'https://example.com/x': 7 };
    const said = { issuer: 'i', subject: 's', audience: 'https://idp/token', claims };
    const assertion = { privateKey: pem(rsa), signingAlgorithm: 'PS256', lifetime: '1h', ...said };
    const { grant } = await sourceOf({ ...ISSUER, clientAuthentication: 'none', grant: 'jwt_bearer', assertion });
    expect(grant).toMatchObject({
      assertion: {
        ...{ issuer: 'i', subject: 's', audience: 'https://idp/token', lifetimeMs: 3_600_000 },
        key: { algorithm: 'PS256' },
        claims: new Map(Object.entries(claims)),
      },
    });
  });

  it('jwt_bearer: the key of private_key_jwt signs the assertion too, unless that has one of its own', async () => {
    const client = byKey(pem(rsa), { keyId: 'client', signingAlgorithm: 'RS512', grant: 'jwt_bearer' });
    const keyOf = async (assertion?: Settings) => {
      const { grant } = await sourceOf(assertion === undefined ? client : { ...client, assertion });
      if (grant.kind !== 'jwt_bearer' || grant.assertion.from !== 'key') throw new Error('no key');
      return { ...grant.assertion.key, privateKey: grant.assertion.key.privateKey.reveal() };
    };
    const inherited = { privateKey: pem(rsa), keyId: 'client', algorithm: 'RS512' };
    expect(await keyOf()).toEqual(inherited);
    expect(await keyOf({})).toEqual(inherited);
    expect(await keyOf({ keyId: 'assertion' })).toEqual({ ...inherited, keyId: 'assertion' });
    expect(await keyOf({ signingAlgorithm: 'PS256' })).toEqual({ ...inherited, algorithm: 'PS256' });
    expect(await keyOf({ privateKey: pem(ec) })).toEqual({ privateKey: pem(ec), algorithm: 'ES256' });
  });

  it('jwt_bearer: the caller’s token as the assertion', async () => {
    const source = await sourceOf({
      ...SECRET,
      ...{ grant: 'jwt_bearer', assertion: { from: 'caller' }, subjectToken: { check: 'jwt' } },
    });
    expect(source.grant).toEqual({ kind: 'jwt_bearer', assertion: { from: 'caller' } });
    expect(source.subjectToken?.check).toEqual({ kind: 'jwt', issuer: ISSUER.issuer });
  });

  it('token_exchange: subject tokens are access tokens that are introspected, unless told otherwise', async () => {
    const source = await sourceOf({ ...SECRET, grant: 'token_exchange', subjectToken: {} });
    expect(source.grant).toEqual({ kind: 'token_exchange' });
    expect(source.subjectToken).toEqual({
      ...{ type: ACCESS_TOKEN, actorType: ACCESS_TOKEN },
      ...{ check: { kind: 'introspection' }, ownerClaim: 'client_id' },
    });
    const endpoints = { tokenEndpoint: 'https://idp/t', introspectionEndpoint: 'https://idp/i', clientSecret: 's' };
    const explicit = await sourceOf({ ...endpoints, grant: 'token_exchange', subjectToken: {} });
    expect(explicit.subjectToken?.check).toEqual({ kind: 'introspection' });
  });

  it('token_exchange: JWTs of another issuer, other types and another owner', async () => {
    const types = { type: 'urn:ietf:params:oauth:token-type:jwt', actorType: 'https://example.com/actor' };
    const issuer = { issuer: 'kubernetes/serviceaccount', jwksUri: 'https://k8s/keys', audience: 'broker' };
    const source = await sourceOf({
      ...{ tokenEndpoint: 'https://idp/t', clientSecret: 's', grant: 'token_exchange' },
      requestedTokenType: 'urn:ietf:params:oauth:token-type:jwt',
      subjectToken: { check: 'jwt', ...types, ...issuer, ownerClaim: 'azp' },
    });
    expect(source.grant).toEqual({
      kind: 'token_exchange',
      requestedTokenType: 'urn:ietf:params:oauth:token-type:jwt',
    });
    expect(source.subjectToken).toEqual({ ...types, check: { kind: 'jwt', ...issuer }, ownerClaim: 'azp' });
  });

  it('token_exchange: metadata name the keys of an issuer that can publish them', async () => {
    const subjectToken = { check: 'jwt', issuer: 'https://other.example.com/realm' };
    const source = await sourceOf({
      ...{ tokenEndpoint: 'https://idp/t', clientSecret: 's', grant: 'token_exchange' },
      subjectToken,
    });
    expect(source.subjectToken?.check).toEqual({ kind: 'jwt', issuer: 'https://other.example.com/realm' });
  });
});

describe('quotas', () => {
  const quotaOf = async (quota: unknown) => (await sourceOf({ ...SECRET, quota })).quota;
  const sliding = (ms: number) => ({ kind: 'sliding', ms });

  it('are none, one or several limits', async () => {
    expect((await sourceOf(SECRET)).quota).toEqual([]);
    expect(await quotaOf({ limit: 1_000, window: '1h' })).toEqual([
      { limit: 1_000, window: sliding(3_600_000), reserve: 100 },
    ]);
    expect(
      await quotaOf([
        { limit: 100, window: '1m', reserve: 0 },
        { limit: '5000', window: 'day', reserve: '20%' },
        { limit: 90_000, window: 'month', reserve: 7 },
        { limit: 1, window: '31d' },
      ]),
    ).toEqual([
      { limit: 100, window: sliding(60_000), reserve: 0 },
      { limit: 5_000, window: { kind: 'calendar', period: 'day' }, reserve: 1_000 },
      { limit: 90_000, window: { kind: 'calendar', period: 'month' }, reserve: 7 },
      { limit: 1, window: sliding(31 * 86_400_000), reserve: 0 },
    ]);
  });

  it.each([
    [1, '10%', 0],
    [9, '10%', 0],
    [10, '10%', 1],
    [100, '29%', 29],
    [1_000, '0.7%', 7],
    [3, '99.9%', 2],
    [50, '0%', 0],
    [50, '49', 49],
  ])('of %d calls keep %s, which is %d', async (limit, reserve, expected) => {
    expect(await quotaOf({ limit, window: '1m', reserve })).toMatchObject([{ reserve: expected }]);
  });

  it('keep less than the limit and never more than the share that was asked for', async () => {
    const limits = fc.integer({ min: 1, max: 1_000_000_000 });
    await fc.assert(
      fc.asyncProperty(limits, fc.integer({ min: 0, max: 999 }), async (limit, perMille) => {
        const [first] = await quotaOf({
          limit,
          ...{ window: '1m', reserve: `${String(Math.floor(perMille / 10))}.${String(perMille % 10)}%` },
        });
        const reserve = first?.reserve ?? Number.NaN;
        expect(reserve).toBe(Number((BigInt(limit) * BigInt(perMille)) / 1_000n));
        expect(reserve).toBeLessThan(limit);
      }),
      { numRuns: 100 },
    );
  });
});

describe('client ids of a caller', () => {
  const callers = { orders: { sources: '*' }, billing: { sources: '*', clientIds: ['billing-web', 'billing-jobs'] } };

  it('are its name unless they are given', async () => {
    const { configuration } = await load(SECRET, callers);
    expect(configuration.callers.get('orders')?.clientIds).toEqual(['orders']);
    expect(configuration.callers.get('billing')?.clientIds).toEqual(['billing-web', 'billing-jobs']);
  });

  it('that two callers share are warned of where callers give tokens', async () => {
    const shared = { ...callers, billing: { sources: '*', clientIds: ['billing', 'orders'] } };
    const takesTokens = { ...SECRET, grant: 'token_exchange', subjectToken: {} };
    expect(await warningsOf(takesTokens, shared)).toEqual(['callers.billing: shares a client id with callers.orders']);
    expect(await warningsOf(takesTokens, callers)).toEqual([]);
    expect(await warningsOf(SECRET, shared)).toEqual([]);
  });
});
