import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { createCertificate } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { formatProblems, parseConfiguration, type ConfigurationProblem } from './index.js';

type Settings = Readonly<Record<string, unknown>>;

/** Each secret of this file says so in its value, so that a leak can be searched for. */
const CANARY = 'canary-81d0f2';

const BASE = {
  provider: 'oauth2',
  issuer: 'https://login.example.com',
  clientId: 'payments',
  clientSecret: `${CANARY}-client`,
};

function documentOf(sources: Readonly<Record<string, Settings>>, caller: Settings = {}): string {
  return stringify({
    nats: { servers: ['nats://127.0.0.1:4222'], user: 'broker', password: 'p' },
    redis: { url: 'redis://127.0.0.1:6379/0' },
    encryption: { keys: [{ id: 'k1', secret: Buffer.alloc(32, 3).toString('base64') }] },
    sources,
    callers: { orders: { sources: '*', ...caller } },
  });
}

/** The base source with these settings; undefined removes one. */
const having = (changes: Settings): Settings =>
  Object.fromEntries(Object.entries<unknown>({ ...BASE, ...changes }).filter(([, value]) => value !== undefined));

async function problemsOf(text: string): Promise<readonly ConfigurationProblem[]> {
  const readFile = async (path: string) => {
    if (path === '/cfg/public.pem') return { text: certificate.cert, mode: 0o100644 };
    if (path === '/cfg/open.pem') return { text: pem(ec.privateKey), mode: 0o100644 };
    throw Object.assign(new Error('absent'), { code: 'ENOENT' });
  };
  const parsed = await parseConfiguration(text, { env: {}, readFile, checkModes: true, file: '/cfg/broker.yaml' });
  return parsed.ok ? [] : parsed.error.problems;
}

const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' = 'pkcs8') => key.export({ format: 'pem', type }).toString();
const jwk = (key: KeyObject, more: Settings = {}) => JSON.stringify({ ...key.export({ format: 'jwk' }), ...more });

const certificate = await createCertificate();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const otherEc = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const bitcoin = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
const ed = generateKeyPairSync('ed25519');
const agreement = generateKeyPairSync('x25519');
const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2_048 });
const encrypted = ec.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' });

const byKey = (privateKey: unknown, more: Settings = {}): Settings => ({
  clientAuthentication: 'private_key_jwt',
  clientSecret: undefined,
  privateKey,
  ...more,
});
const byTls = (more: Settings): Settings => ({
  ...{ clientAuthentication: 'tls_client_auth', clientSecret: undefined },
  ...{ certificate: certificate.cert, certificateKey: certificate.key },
  ...more,
});
const explicit = (more: Settings): Settings => ({ issuer: undefined, tokenEndpoint: 'https://idp/token', ...more });
const bearer = (assertion: Settings, more: Settings = {}): Settings => ({
  grant: 'jwt_bearer',
  assertion: { privateKey: pem(ec.privateKey), ...assertion },
  ...more,
});
const exchange = (subjectToken: unknown, more: Settings = {}): Settings => ({
  grant: 'token_exchange',
  subjectToken,
  ...more,
});
const HOUR = { limit: 100, window: '1h' };

/** What is written, where (within the source) the one problem must be, what it says (and hints). */
const REFUSALS: Readonly<Record<string, readonly (readonly [string, Settings, string, string])[]>> = {
  endpoints: [
    [
      'revocation endpoint beside an issuer',
      { revocationEndpoint: 'https://idp/r' },
      'revocationEndpoint',
      'cannot be combined with issuer (the issuer’s metadata name it)',
    ],
    [
      'introspection endpoint beside an issuer',
      { introspectionEndpoint: 'https://idp/i' },
      'introspectionEndpoint',
      'cannot be combined with issuer',
    ],
    [
      'revocation endpoint of http',
      explicit({ revocationEndpoint: 'http://idp/r' }),
      'revocationEndpoint',
      'client secret in clear',
    ],
    [
      'introspection endpoint of http',
      explicit({ introspectionEndpoint: 'http://idp/i' }),
      'introspectionEndpoint',
      'allowInsecureHttp: true in development',
    ],
    [
      'token endpoint with a line end in it',
      explicit({ tokenEndpoint: 'https://idp\n/token' }),
      'tokenEndpoint',
      'URL',
    ],
    ['resource with a line end in it', { resource: 'https://api\n.example.com' }, 'resource', 'not an absolute URI'],
    [
      'http for a public client',
      { clientAuthentication: 'none', clientSecret: undefined, issuer: 'http://idp' },
      'issuer',
      'http:// would send tokens in clear',
    ],
    [
      'http for a certificate',
      byTls({ issuer: 'http://idp' }),
      'issuer',
      'would never present the client’s certificate',
    ],
    ['proxy that is no URL', { proxy: `proxy:3128` }, 'proxy', 'not the URL of an HTTP proxy'],
    ['proxy of SOCKS', { proxy: `socks5://u:${CANARY}@proxy` }, 'proxy', 'not the URL of an HTTP proxy'],
    ['proxy with a path', { proxy: `http://u:${CANARY}@proxy/way` }, 'proxy', 'not the URL of an HTTP proxy'],
    ['proxy with half an escape', { proxy: `http://u:${CANARY}%zz@proxy` }, 'proxy', 'not the URL of an HTTP proxy'],
    ['proxy that is a number', { proxy: 3128 }, 'proxy', 'expected a URL such as "http://proxy:3128", got a number'],
  ],
  'client authentication': [
    ['of no known kind', { clientAuthentication: 'private_key' }, 'clientAuthentication', 'mean "private_key_jwt"?'],
    [
      'client_secret_basic without a secret',
      { clientSecret: undefined },
      'clientSecret',
      'is required for clientAuthentication: client_secret_basic',
    ],
    [
      'client_secret_post without a secret',
      { clientSecret: undefined, clientAuthentication: 'client_secret_post' },
      'clientSecret',
      'is required for clientAuthentication: client_secret_post',
    ],
    [
      'a secret beside private_key_jwt',
      byKey(pem(ec.privateKey), { clientSecret: CANARY }),
      'clientSecret',
      'is never used with clientAuthentication: private_key_jwt (it is for client_secret_basic and client_secret_post)',
    ],
    ['a secret beside tls_client_auth', byTls({ clientSecret: CANARY }), 'clientSecret', 'is never used with'],
    [
      'a secret beside none',
      { clientAuthentication: 'none' },
      'clientSecret',
      'never used with clientAuthentication: none',
    ],
    ['a key beside a secret', { privateKey: pem(ec.privateKey) }, 'privateKey', 'it is for private_key_jwt'],
    ['a key id beside a secret', { keyId: 'k' }, 'keyId', 'it is for private_key_jwt'],
    ['an algorithm beside a secret', { signingAlgorithm: 'ES256' }, 'signingAlgorithm', 'it is for private_key_jwt'],
    ['a certificate beside a secret', { certificate: certificate.cert }, 'certificate', 'it is for tls_client_auth'],
    [
      'private_key_jwt without a key',
      byKey(undefined),
      'privateKey',
      'is required for clientAuthentication: private_key_jwt',
    ],
    ['tls_client_auth without a certificate', byTls({ certificate: undefined }), 'certificate', 'is required for'],
    ['tls_client_auth without a key', byTls({ certificateKey: undefined }), 'certificateKey', 'is required for'],
    [
      'the key of another certificate',
      byTls({ certificateKey: pem(otherEc.privateKey) }),
      'certificateKey',
      'is not the private key of certificate',
    ],
    ['a certificate that is none', byTls({ certificate: 'client.pem' }), 'certificate', 'expected a PEM certificate'],
    ['a certificate’s key that is none', byTls({ certificateKey: CANARY }), 'certificateKey', 'does not parse'],
  ],
  'signing keys': [
    ['text that is no key', byKey(CANARY), 'privateKey', 'is not a private key'],
    ['an empty key', byKey(' '), 'privateKey', 'the secret is empty'],
    ['a mapping for a JWK', byKey({ kty: CANARY }), 'privateKey', 'expected PEM or JWK text, got a mapping'],
    ['a key that does not parse', byKey(pem(ec.privateKey).replace('MIG', 'AAA')), 'privateKey', 'does not parse'],
    ['a public key', byKey(ec.publicKey.export({ format: 'pem', type: 'spki' })), 'privateKey', 'is not a private key'],
    ['an encrypted key', byKey(encrypted), 'privateKey', 'the private key is encrypted'],
    ['a key that is not in PKCS #8', byKey(pem(ec.privateKey, 'sec1')), 'privateKey', 'openssl pkcs8 -topk8'],
    ['a file that everybody can read', byKey('${file:open.pem}'), 'privateKey', 'everybody can read the file'],
    [
      'an RSA key of 1,024 bits',
      byKey(pem(weak.privateKey)),
      'privateKey',
      'the RSA key has 1024 bits (at least 2048)',
    ],
    ['an RSASSA-PSS key', byKey(pem(pss.privateKey)), 'privateKey', 'a plain RSA key signs PS256 as well'],
    ['a curve without an algorithm', byKey(pem(bitcoin.privateKey)), 'privateKey', 'P-256, P-384 or P-521'],
    ['a key that only agrees on keys', byKey(pem(agreement.privateKey)), 'privateKey', 'is not a key that signs'],
    ['a JWK that is no JSON', byKey(`{${CANARY}`), 'privateKey', 'is not a JWK'],
    ['a list', byKey(`["${CANARY}"]`), 'privateKey', 'is not a JWK'],
    ['a set of JWKs', byKey(`{"keys":[${jwk(ec.privateKey)}]}`), 'privateKey', 'is a set of keys (JWKS)'],
    ['a public JWK', byKey(jwk(ec.publicKey)), 'privateKey', 'the JWK holds no private key'],
    ['a symmetric JWK', byKey(`{"kty":"oct","k":"${CANARY}"}`), 'privateKey', 'is a symmetric key'],
    ['a JWK for encryption', byKey(jwk(rsa.privateKey, { use: 'enc' })), 'privateKey', 'is not for signing'],
    ['a JWK that only verifies', byKey(jwk(ec.privateKey, { key_ops: ['verify'] })), 'privateKey', 'not for signing'],
    ['a JWK without its primes', byKey(jwk(rsa.privateKey, { p: undefined })), 'privateKey', 'the JWK does not parse'],
    [
      'an RSA JWK of two halves',
      byKey(
        jwk(rsa.privateKey, {
          n: generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey.export({ format: 'jwk' }).n,
        }),
      ),
      'privateKey',
      'do not belong together',
    ],
    [
      'an Ed25519 JWK of two halves',
      byKey(jwk(ed.privateKey, { x: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x })),
      'privateKey',
      'do not belong together',
    ],
    [
      'a JWK of an algorithm that does not fit',
      byKey(jwk(ec.privateKey, { alg: 'RS256' })),
      'privateKey',
      'the "alg" of the JWK does not fit the key (it signs ES256)',
    ],
    [
      'an algorithm that is not the JWK’s',
      byKey(jwk(rsa.privateKey, { alg: 'PS256' }), { signingAlgorithm: 'RS256' }),
      'signingAlgorithm',
      'does not fit the private key (it signs PS256)',
    ],
    [
      'an algorithm of another kind of key',
      byKey(pem(rsa.privateKey), { signingAlgorithm: 'ES256' }),
      'signingAlgorithm',
      'does not fit the private key (it signs RS256, RS384',
    ],
    [
      'an algorithm of another curve',
      byKey(pem(ec.privateKey), { signingAlgorithm: 'ES384' }),
      'signingAlgorithm',
      'it signs ES256',
    ],
    [
      'a symmetric algorithm',
      byKey(pem(ec.privateKey), { signingAlgorithm: 'HS256' }),
      'signingAlgorithm',
      'expected one of',
    ],
  ],
  grants: [
    ['of no known kind', { grant: 'token_exchang' }, 'grant', 'did you mean "token_exchange"?'],
    [
      'an assertion with client_credentials',
      { assertion: {} },
      'assertion',
      'is never used with grant: client_credentials',
    ],
    [
      'a requested type with refresh_token',
      { grant: 'refresh_token', requestedTokenType: 'urn:x' },
      'requestedTokenType',
      'is never used with grant: refresh_token (it is for token_exchange)',
    ],
    [
      'a requested type that is no URI',
      exchange({}, { requestedTokenType: 'jwt' }),
      'requestedTokenType',
      'absolute URI',
    ],
    [
      'a subject token with refresh_token',
      exchange({}, { grant: 'refresh_token' }),
      'subjectToken',
      'is never used with',
    ],
    [
      'a subject token with an assertion of the key',
      bearer({}, { subjectToken: {} }),
      'subjectToken',
      'assertion.from: key',
    ],
    ['jwt_bearer without a key', { grant: 'jwt_bearer' }, 'assertion.privateKey', 'is required for grant: jwt_bearer'],
    [
      'an assertion that is text',
      { grant: 'jwt_bearer', assertion: 'key' },
      'assertion',
      'expected a mapping, got text',
    ],
    ['an unknown setting of the assertion', bearer({ aud: 'x' }), 'assertion.aud', 'unknown key'],
    ['an origin that is unknown', bearer({ from: 'callers' }), 'assertion.from', 'did you mean "caller"?'],
    [
      'an assertion’s key that is weak',
      bearer({ privateKey: pem(weak.privateKey) }),
      'assertion.privateKey',
      '1024 bits',
    ],
    ['an assertion’s algorithm', bearer({ signingAlgorithm: 'EdDSA' }), 'assertion.signingAlgorithm', 'it signs ES256'],
    [
      'an assertion’s algorithm that does not fit the client’s key',
      { ...byKey(pem(ed.privateKey)), grant: 'jwt_bearer', assertion: { signingAlgorithm: 'ES256' } },
      'assertion.signingAlgorithm',
      'does not fit the private key (it signs EdDSA)',
    ],
    ['a lifetime above an hour', bearer({ lifetime: '61m' }), 'assertion.lifetime', 'is too long: at most 1h'],
    ['a lifetime below a second', bearer({ lifetime: '999ms' }), 'assertion.lifetime', 'is too short: at least 1s'],
    ['claims that are a list', bearer({ claims: ['a'] }), 'assertion.claims', 'expected a mapping, got a list'],
    ['a claim beyond JSON', bearer({ claims: { a: [Number.NaN] } }), 'assertion.claims.a', 'JSON cannot hold'],
    ['a claim of too many digits', bearer({ claims: { a: 2 ** 60 } }), 'assertion.claims.a', 'JSON cannot hold'],
    ...['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti'].map(
      (name) =>
        [
          `claim ${name}`,
          bearer({ claims: { [name]: 'x' } }),
          `assertion.claims.${name}`,
          'set by the broker',
        ] as const,
    ),
    [
      'a setting of the key beside the caller’s assertion',
      { grant: 'jwt_bearer', assertion: { from: 'caller', lifetime: '60s' }, subjectToken: {} },
      'assertion.lifetime',
      'is never used with from: caller',
    ],
    [
      'a caller’s assertion without a check',
      { grant: 'jwt_bearer', assertion: { from: 'caller' } },
      'subjectToken',
      'is required for assertion.from: caller',
    ],
    [
      'a caller’s assertion that is kept warm',
      { grant: 'jwt_bearer', assertion: { from: 'caller' }, subjectToken: {}, refresh: { keepWarm: true } },
      'refresh.keepWarm',
      'is impossible with assertion.from: caller',
    ],
    [
      'token exchange that is kept warm',
      exchange({}, { refresh: { keepWarm: true } }),
      'refresh.keepWarm',
      'is impossible with grant: token_exchange (without a caller there is no token to do it with)',
    ],
    ...[
      'assertion',
      'refresh_token',
      'subject_token',
      'actor_token_type',
      'requested_token_type',
      'client_assertion',
    ].map(
      (name) =>
        [`parameter ${name}`, { parameters: { [name]: 'x' } }, `parameters.${name}`, 'is set by the broker'] as const,
    ),
  ],
  'subject tokens': [
    ['no check of them', exchange(undefined), 'subjectToken', 'is required for grant: token_exchange'],
    ['a check that is unknown', exchange({ check: 'introspect' }), 'subjectToken.check', 'mean "introspection"?'],
    ['a type that is no URI', exchange({ type: 'jwt' }), 'subjectToken.type', 'not an absolute URI'],
    ['an owner’s claim without a name', exchange({ ownerClaim: '' }), 'subjectToken.ownerClaim', 'is empty'],
    ...['issuer', 'jwksUri', 'audience'].map(
      (name) =>
        [
          `${name} beside introspection`,
          exchange({ [name]: 'https://idp' }),
          `subjectToken.${name}`,
          'is never used with check: introspection (it is for check: jwt)',
        ] as const,
    ),
    [
      'introspection without an endpoint',
      exchange({}, explicit({})),
      'introspectionEndpoint',
      'is required for subjectToken.check: introspection (or use check: jwt)',
    ],
    [
      'a JWT of no issuer',
      exchange({ check: 'jwt' }, explicit({})),
      'subjectToken.issuer',
      'is required where the source has no issuer',
    ],
    [
      'a JWT of an issuer without metadata',
      exchange({ check: 'jwt', issuer: 'kubernetes/serviceaccount' }),
      'subjectToken.jwksUri',
      'is required where the issuer is not an https:// URL',
    ],
    [
      'keys by http',
      exchange({ check: 'jwt', jwksUri: 'http://idp/keys' }),
      'subjectToken.jwksUri',
      'http:// would let anybody on the way give keys of their own',
    ],
    [
      'an issuer’s metadata by http',
      exchange({ check: 'jwt', issuer: 'http://idp' }),
      'subjectToken.issuer',
      'allowInsecureHttp: true in development',
    ],
  ],
  quotas: [
    ['text', { quota: '100/h' }, 'quota', 'expected a mapping, or a list of mappings, got text'],
    ['an unknown setting', { quota: { ...HOUR, burst: 5 } }, 'quota.burst', 'unknown key'],
    ['no limit', { quota: { window: '1h' } }, 'quota.limit', 'is required'],
    ['a limit of zero', { quota: { limit: 0, window: '1h' } }, 'quota.limit', 'a whole number from 1'],
    ['a limit of a half', { quota: { limit: 0.5, window: '1h' } }, 'quota.limit', 'a whole number from 1'],
    ['no window', { quota: { limit: 1 } }, 'quota.window', 'is required'],
    ['a window without a unit', { quota: { limit: 1, window: '60' } }, 'quota.window', 'the unit is missing'],
    ['a window of a week', { quota: { limit: 1, window: 'week' } }, 'quota.window', 'or the calendar’s day or month'],
    ['a window that is too short', { quota: { limit: 1, window: '999ms' } }, 'quota.window', 'at least 1s'],
    ['a window that is too long', { quota: { limit: 1, window: '32d' } }, 'quota.window', 'at most 31d'],
    ['a window that is a number', { quota: { limit: 1, window: 60 } }, 'quota.window', 'expected "1h", day or month'],
    ['a reserve of all', { quota: { ...HOUR, reserve: '100%' } }, 'quota.reserve', 'a share under 100%'],
    ['a reserve of the limit', { quota: { ...HOUR, reserve: 100 } }, 'quota.reserve', 'is not below the limit (100)'],
    ['a negative reserve', { quota: { ...HOUR, reserve: -1 } }, 'quota.reserve', 'expected a share'],
    ['a reserve of words', { quota: { ...HOUR, reserve: 'some' } }, 'quota.reserve', 'expected a share'],
    ['an empty list', { quota: [] }, 'quota', 'names no limit'],
    ['another word for doing without Redis', { withoutRedis: 'try' }, 'withoutRedis', 'refuse'],
    [
      'doing without Redis where the journal is',
      { grant: 'refresh_token', withoutRedis: 'fetch' },
      'withoutRedis',
      'the journal of refresh tokens is in Redis',
    ],
    [
      'doing without Redis where a month is counted',
      { withoutRedis: 'fetch', quota: [HOUR, { limit: 5, window: 'month' }] },
      'withoutRedis',
      'stands in Redis alone',
    ],
    [
      'five limits',
      { quota: ['1s', '1m', '1h', 'day', 'month'].map((window) => ({ limit: 9, window })) },
      'quota',
      'names 5 limits: at most 4',
    ],
    [
      'a window twice, in two spellings',
      { quota: [HOUR, { limit: 5, window: 'day' }, { limit: 9, window: '60m' }] },
      'quota[2].window',
      'is that of an earlier limit',
    ],
    [
      'a limit within a list',
      { quota: [HOUR, { limit: -1, window: '1m' }] },
      'quota[1].limit',
      'a whole number from 1',
    ],
  ],
};

describe.each(Object.entries(REFUSALS))('refused %s', (_kind, refusals) => {
  it.each(refusals)('%s', async (_name, changes, path, words) => {
    const problems = await problemsOf(documentOf({ payments: having(changes) }));
    const printed = formatProblems(problems, 'broker.yaml');
    expect(problems.map((problem) => problem.path)).toEqual([`sources.payments.${path}`]);
    expect(printed).toContain(words);
    expect(printed).toMatch(/^broker\.yaml:\d+:\d+ /);
    expect(printed).not.toContain(CANARY);
    expect(printed).not.toMatch(/MI[GIE][A-Za-z0-9+/]{8}/);
  });
});

describe('a refused OAuth 2.0 source', () => {
  it('starts from a valid one', async () => {
    expect(await problemsOf(documentOf({ payments: BASE }))).toEqual([]);
  });

  it('reads a certificate from a file that everybody may read', async () => {
    expect(await problemsOf(documentOf({ payments: having(byTls({ certificate: '${file:public.pem}' })) }))).toEqual(
      [],
    );
  });

  it('names everything that is wrong with it at once', async () => {
    const problems = await problemsOf(
      documentOf({
        payments: having({
          grant: 'token_exchange',
          clientAuthentication: 'private_key_jwt',
          keyId: '',
          subjectToken: { check: 'jwt', issuer: 'name', typ: 'x' },
          proxy: 'proxy',
          refresh: { keepWarm: true },
          quota: { limit: 0, window: '1h', reserve: '200%' },
        }),
      }),
    );
    const paths = ['clientSecret', 'keyId', 'privateKey', 'proxy', 'quota.limit', 'quota.reserve', 'refresh.keepWarm'];
    paths.push('subjectToken.jwksUri', 'subjectToken.typ');
    expect(problems.map(({ path }) => path).sort()).toEqual(paths.map((path) => `sources.payments.${path}`));
  });

  it('is told of one upstream that two sources give different quotas, with both names', async () => {
    const quota = { limit: 100, window: '1h' };
    const problems = await problemsOf(
      documentOf({
        first: having({ quota }),
        second: having({ scope: 'read', quota: { ...quota, limit: 200 } }),
        silent: having({ scope: 'write' }),
        alike: having({ quota: [{ limit: 100, window: '60m', reserve: 10 }] }),
        stranger: having({ clientId: 'ledger', quota: { limit: 7, window: 'day' } }),
        elsewhere: having({ issuer: 'https://other.example.com', quota: { limit: 8, window: 'day' } }),
      }),
    );
    expect(problems).toMatchObject([
      { path: 'sources.second.quota', message: expect.stringContaining('is not sources.first.quota') as unknown },
    ]);
  });
});

describe('an OAuth 2.0 source with anything in the place of a setting', () => {
  it('never throws and never shows a secret', async () => {
    const sources: readonly Settings[] = [
      byKey(pem(ec.privateKey), { keyId: 'k', signingAlgorithm: 'ES256', proxy: 'http://proxy' }),
      byTls(explicit({ revocationEndpoint: 'https://idp/r', introspectionEndpoint: 'https://idp/i' })),
      bearer({ claims: { a: 1 } }, { quota: { ...HOUR, reserve: '5%' } }),
      exchange({ check: 'jwt', issuer: 'i', jwksUri: 'https://k', ownerClaim: 'azp' }, { quota: [HOUR] }),
      { grant: 'jwt_bearer', assertion: { from: 'caller' }, subjectToken: { type: 'urn:x' } },
    ];
    const inner = ['from', 'privateKey', 'claims', 'check', 'issuer', 'jwksUri', 'type', 'limit', 'window', 'reserve'];
    const secret = fc.constantFrom(CANARY, [CANARY], { a: CANARY }, `{"kty":"${CANARY}"}`, '${env:GONE}');
    const place = fc.constantFrom(
      ...sources.flatMap((source) =>
        Object.keys(having(source)).flatMap((key) => [
          { source, key, path: '' },
          ...inner.map((path) => ({ source, key, path })),
        ]),
      ),
    );
    await fc.assert(
      fc.asyncProperty(place, fc.oneof(secret, fc.jsonValue()), async ({ source, key, path }, value) => {
        const before = having(source)[key];
        const mapping = typeof before === 'object' ? before : {};
        const changed = path === '' ? value : { ...mapping, [path]: value };
        const problems = await problemsOf(documentOf({ payments: having({ ...source, [key]: changed }) }));
        expect(formatProblems(problems, 'f')).not.toContain(CANARY);
      }),
      { numRuns: 500 },
    );
  });
});

describe('refused client ids of a caller', () => {
  it.each([
    ['text', 'orders', 'callers.orders.clientIds', 'expected a list, got text'],
    ['an empty one', ['a', ''], 'callers.orders.clientIds[1]', 'is empty'],
    ['one twice', ['a', 'b', 'a'], 'callers.orders.clientIds[2]', 'is in the list already'],
  ])('%s', async (_name, clientIds, path, words) => {
    const problems = await problemsOf(documentOf({ payments: BASE }, { clientIds }));
    expect(problems).toMatchObject([{ path, message: expect.stringContaining(words) as unknown }]);
  });
});
