import { describe, expect, it } from 'vitest';
import { formatProblems, parseConfiguration, traitsOf, type SourceConfiguration } from './index.js';
import { documentOf, load, problemsOf, type Settings } from './fakes/oauth2-sources.js';

const AZURE = {
  provider: 'azure-workload-identity',
  tenantId: '8f2a1b3c-0000-4000-8000-0123456789ab',
  clientId: '11111111-2222-4333-8444-555555555555',
  federatedTokenFile: '/var/run/secrets/azure/tokens/azure-identity-token',
  scope: 'https://vault.azure.net/.default',
};
const POOL = 'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster';
const GOOGLE = {
  provider: 'google-workload-identity',
  workloadIdentityProvider: POOL,
  subjectTokenFile: '/var/run/secrets/tokens/google',
};
const ACCOUNT = 'orders@project.iam.gserviceaccount.com';
const HOUR = { limit: 100, window: '1h' };

const written = (settings: Settings): Settings =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));

async function sourceOf(settings: Settings): Promise<SourceConfiguration | undefined> {
  return (await load(documentOf({ key: written(settings) }))).sources.get('key');
}

describe('a source of Microsoft Entra ID', () => {
  it('is in the public cloud, where nothing else is said', async () => {
    expect(await sourceOf(AZURE)).toMatchObject({
      tenantId: AZURE.tenantId,
      clientId: AZURE.clientId,
      tokenFile: AZURE.federatedTokenFile,
      authority: 'https://login.microsoftonline.com',
      scopes: ['https://vault.azure.net/.default'],
      timeoutMs: 10_000,
    });
  });

  it('takes the authority as AKS sets it, with a slash at its end', async () => {
    const source = await sourceOf({ ...AZURE, authority: 'https://login.microsoftonline.us/' });
    expect(source).toMatchObject({ authority: 'https://login.microsoftonline.us' });
  });

  it('keeps a password of its proxy as a secret', async () => {
    const source = await sourceOf({ ...AZURE, proxy: 'http://user:canary@proxy:3128' });
    expect(source !== undefined && traitsOf(source).secrets.map((secret) => secret.reveal())).toEqual([
      'http://user:canary@proxy:3128',
    ]);
    expect(JSON.stringify(source)).not.toContain('canary');
  });

  it.each<[string, Settings, string, string]>([
    ['no tenant', { tenantId: undefined }, 'tenantId', 'is required'],
    ['a name for many tenants', { tenantId: 'common' }, 'tenantId', 'stands for many tenants'],
    ['a tenant that is a path', { tenantId: 'a/b' }, 'tenantId', 'is not the id of a tenant'],
    ['a client of another form', { clientId: 'orders' }, 'clientId', 'is not the id of an application'],
    ['no file', { federatedTokenFile: undefined }, 'federatedTokenFile', 'is required'],
    ['a file that is relative', { federatedTokenFile: 'token' }, 'federatedTokenFile', 'is no absolute path'],
    ['no scope', { scope: undefined }, 'scope', 'is required'],
    ['a scope of one permission', { scope: 'https://vault.azure.net/read' }, 'scope', 'ends in /.default'],
    ['two scopes', { scope: 'https://a/.default https://b/.default' }, 'scope', 'ends in /.default'],
    ['an authority in clear', { authority: 'http://login.example.com' }, 'authority', 'in clear'],
    ['an authority that is none', { authority: 'login' }, 'authority', 'not an https:// URL'],
    ['a proxy that is none', { proxy: 'proxy' }, 'proxy', 'not the URL of an HTTP proxy'],
    ['a lock that ends before the call', { timeout: '5s', lockTime: '5s' }, 'lockTime', 'is not above timeout'],
    ['a secret, which it has none of', { clientSecret: 'x' }, 'clientSecret', 'unknown key'],
  ])('is refused with %s', async (_, change, path, words) => {
    const problems = await problemsOf(documentOf({ key: written({ ...AZURE, ...change }) }));
    expect(problems.map((problem) => problem.path)).toEqual([`sources.key.${path}`]);
    expect(formatProblems(problems, 'broker.yaml')).toContain(words);
  });
});

describe('a source of Google Cloud', () => {
  it('asks for the pool’s own token for all of the platform, where nothing else is said', async () => {
    const source = await sourceOf(GOOGLE);
    expect(source).toMatchObject({
      workloadIdentityProvider: `//iam.googleapis.com/${POOL}`,
      subject: { kind: 'file', file: GOOGLE.subjectTokenFile },
      subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt',
      scopes: ['https://www.googleapis.com/auth/cloud-platform'],
      stsEndpoint: 'https://sts.googleapis.com/v1/token',
      iamCredentialsEndpoint: 'https://iamcredentials.googleapis.com',
    });
    expect(source).not.toHaveProperty('impersonation');
  });

  it('impersonates a service account, for an hour', async () => {
    const change = { serviceAccount: ACCOUNT, delegates: [`a-${ACCOUNT}`], scope: 'b a', subjectTokenField: 'id' };
    expect(await sourceOf({ ...GOOGLE, ...change })).toMatchObject({
      impersonation: { serviceAccount: ACCOUNT, delegates: [`a-${ACCOUNT}`], lifetimeMs: 3_600_000 },
      subject: { kind: 'file', field: 'id' },
      scopes: ['a', 'b'],
    });
  });

  it('may be known by the token of another source', async () => {
    const google = { ...written({ ...GOOGLE, subjectTokenFile: undefined }), subjectTokenSource: 'entra' };
    const configuration = await load(documentOf({ google, entra: AZURE }));
    expect(configuration.sources.get('google')).toMatchObject({ subject: { kind: 'source', source: 'entra' } });
  });

  it.each<[string, Settings, string, string]>([
    ['no provider of a pool', { workloadIdentityProvider: undefined }, '.workloadIdentityProvider', 'is required'],
    ['a pool alone', { workloadIdentityProvider: 'pool' }, '.workloadIdentityProvider', 'is not the full name of'],
    ['no subject token', { subjectTokenFile: undefined }, '', 'names no subject token'],
    ['a relative file', { subjectTokenFile: 't' }, '.subjectTokenFile', 'is no absolute path'],
    ['an unknown type', { subjectTokenType: 'jwt' }, '.subjectTokenType', 'expected one of'],
    ['an account that is none', { serviceAccount: 'orders' }, '.serviceAccount', 'is not the email of'],
    ['delegates without an account', { delegates: [ACCOUNT] }, '.delegates', 'without serviceAccount'],
    ['a life without an account', { tokenLifetime: '1h' }, '.tokenLifetime', 'without serviceAccount'],
    ['too long a life', { serviceAccount: ACCOUNT, tokenLifetime: '13h' }, '.tokenLifetime', 'at most 12h'],
    ['an exchange in clear', { stsEndpoint: 'http://sts.example.com' }, '.stsEndpoint', 'in clear'],
    ['impersonation in clear', { iamCredentialsEndpoint: 'http://a' }, '.iamCredentialsEndpoint', 'in clear'],
  ])('is refused with %s', async (_, change, path, words) => {
    const problems = await problemsOf(documentOf({ key: written({ ...GOOGLE, ...change }) }));
    expect(problems.map((problem) => problem.path)).toEqual([`sources.key${path}`]);
    expect(formatProblems(problems, 'broker.yaml')).toContain(words);
  });

  it.each<[string, Settings, Readonly<Record<string, Settings>>, string, string]>([
    ['a file beside it', { subjectTokenFile: '/t' }, { other: AZURE }, 'subjectTokenFile', 'never used beside'],
    ['fetches without Redis', { withoutRedis: 'fetch' }, { other: AZURE }, 'withoutRedis', 'cannot be fetch'],
    ['no such source', {}, { othr: AZURE }, 'subjectTokenSource', 'did you mean "othr"?'],
    ['itself', { subjectTokenSource: 'key' }, {}, 'subjectTokenSource', 'leads back to this source'],
    [
      'a source of passwords',
      {},
      { other: { provider: 'static', value: 'x', tokenType: 'password' } },
      'subjectTokenSource',
      'is a source without bearer tokens',
    ],
    [
      'a source of AWS',
      {},
      { other: { provider: 'exec', command: '/bin/x', output: 'credential-process' } },
      'subjectTokenSource',
      'is a source without bearer tokens',
    ],
  ])('is refused where it is lent its subject token, with %s', async (_, change, others, path, words) => {
    const base = written({ ...GOOGLE, subjectTokenFile: undefined, subjectTokenSource: 'other' });
    const problems = await problemsOf(documentOf({ key: { ...base, ...change }, ...others }));
    expect(problems.map((problem) => problem.path)).toContain(`sources.key.${path}`);
    expect(formatProblems(problems, 'broker.yaml')).toContain(words);
  });
});

it.each<[string, Settings]>([
  ['Microsoft Entra ID', { ...AZURE, authority: 'http://127.0.0.1:1' }],
  ['the Security Token Service of Google', { ...GOOGLE, stsEndpoint: 'http://127.0.0.1:1/v1/token' }],
])('%s may be reached in clear where that is allowed, with a warning', async (_, settings) => {
  const text = documentOf({ key: { ...settings, allowInsecureHttp: true } });
  const parsed = await parseConfiguration(text, { env: {}, readFile: () => Promise.reject(new Error('absent')) });
  const warnings = parsed.ok ? parsed.value.warnings : [];
  expect(warnings.map(({ path, message }) => `${path}: ${message}`)).toContain(
    'sources.key.allowInsecureHttp: tokens travel in clear: for development only',
  );
});

it.each<[string, Settings]>([
  ['an application of Microsoft Entra ID', AZURE],
  ['a workload of Google Cloud', GOOGLE],
])('%s has one quota, for all its sources', async (_, settings) => {
  const other = { ...HOUR, limit: 200 };
  const text = documentOf({ one: { ...settings, quota: HOUR }, two: { ...settings, quota: other } });
  expect(formatProblems(await problemsOf(text), 'broker.yaml')).toContain('one client has one quota');
});
