import { describe, expect, it } from 'vitest';
import { formatProblems, traitsOf } from './index.js';
import { documentOf, problemsOf, sourceOfKind, type Settings } from './fakes/oauth2-sources.js';

const APPROLE = { method: 'approle', roleId: 'role-1', secretId: 'canary-of-a-secret-id' };
const KUBERNETES = { method: 'kubernetes', role: 'broker' };
const BASE = {
  provider: 'vault',
  address: 'https://vault.example.com:8200',
  auth: APPROLE,
  path: 'database/creds/orders',
};
const AWS = { provider: 'aws-sts', region: 'eu-central-1', roleArn: 'arn:aws:iam::123456789012:role/orders' };

const sourceOf = (change: Settings) => sourceOfKind('vault', { ...BASE, ...change });

describe('a source of Vault', () => {
  it('reads a password with its user name, by an AppRole', async () => {
    const source = await sourceOf({});
    expect(source).toMatchObject({
      address: 'https://vault.example.com:8200',
      auth: { kind: 'approle', mount: 'approle', roleId: 'role-1' },
      path: 'database/creds/orders',
      credential: { kind: 'password', secretField: 'password' },
      maxLifetimeMs: 31_536_000_000,
    });
    expect(source).not.toHaveProperty('body');
    expect(traitsOf(source).secrets.map((secret) => secret.reveal())).toEqual([APPROLE.secretId]);
    expect(JSON.stringify(source)).not.toContain(APPROLE.secretId);
  });

  it('logs in as a pod, with the token that Kubernetes puts there', async () => {
    expect(await sourceOf({ auth: KUBERNETES })).toMatchObject({
      auth: {
        ...{ kind: 'kubernetes', mount: 'kubernetes', role: 'broker' },
        tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
      },
    });
    const elsewhere = { ...KUBERNETES, mount: 'clusters/eu', tokenFile: '/t' };
    expect(await sourceOf({ auth: elsewhere })).toMatchObject({ auth: { mount: 'clusters/eu', tokenFile: '/t' } });
  });

  it('may write what it asks for, in a namespace, and name its fields', async () => {
    const change = {
      ...{ namespace: 'teams/orders/', address: 'https://vault.example.com/' },
      ...{ path: 'kubernetes/creds/deployer', body: { kubernetes_namespace: 'orders' } },
      ...{ credentialType: 'bearer', secretField: 'service_account_token', usernameField: 'service_account_name' },
    };
    expect(await sourceOf(change)).toMatchObject({
      address: 'https://vault.example.com',
      namespace: 'teams/orders',
      body: { kubernetes_namespace: 'orders' },
      credential: { kind: 'bearer', secretField: 'service_account_token', usernameField: 'service_account_name' },
    });
  });

  it('is the same whatever the order in which its body is written', async () => {
    const [one, other] = [await sourceOf({ body: { a: 1, b: [2] } }), await sourceOf({ body: { b: [2], a: 1 } })];
    expect(JSON.stringify(traitsOf(one).recipe)).toBe(JSON.stringify(traitsOf(other).recipe));
  });

  it('lends credentials of AWS to others, and nothing else', async () => {
    const user = { ...AWS, credentials: { source: 'key' } };
    const lender = { ...BASE, path: 'aws/creds/base', credentialType: 'aws-credentials' };
    expect(await problemsOf(documentOf({ key: lender, user }))).toEqual([]);
    const [problem] = await problemsOf(documentOf({ key: BASE, user }));
    expect(problem?.message).toBe('is a source without credentials of AWS');
  });

  it.each<[string, Settings, string, string]>([
    ['no address', { address: undefined }, 'address', 'is required'],
    ['an address in clear', { address: 'http://vault:8200' }, 'address', 'in clear'],
    ['no path', { path: undefined }, 'path', 'is required'],
    ['the version of the API in its path', { path: 'v1/database/creds/x' }, 'path', 'begins with v1/'],
    ['slashes around its path', { path: '/database/creds/x' }, 'path', 'is no path of Vault'],
    ['a query in its path', { path: 'database/creds/x?y' }, 'path', 'is no path of Vault'],
    ['a path that leads upward', { path: 'database/../sys/seal' }, 'path', 'leads out of its place'],
    ['a namespace that is none', { namespace: 'a b' }, 'namespace', 'is not a namespace'],
    ['no login', { auth: undefined }, 'auth', 'is required'],
    ['another login', { auth: { method: 'aprole', roleId: 'x' } }, 'auth.method', '"approle"'],
    ['no RoleID', { auth: { ...APPROLE, roleId: undefined } }, 'auth.roleId', 'is required for approle'],
    ['an empty SecretID', { auth: { ...APPROLE, secretId: ' ' } }, 'auth.secretId', 'the secret is empty'],
    ['no role', { auth: { method: 'kubernetes' } }, 'auth.role', 'is required for kubernetes'],
    ['a SecretID of a pod', { auth: { ...KUBERNETES, secretId: 'x' } }, 'auth.secretId', 'method: kubernetes'],
    ['a file that is relative', { auth: { ...KUBERNETES, tokenFile: 't' } }, 'auth.tokenFile', 'is no absolute path'],
    ['a body that is none', { body: 'x' }, 'body', 'a mapping'],
    ['a type of another name', { credentialType: 'passwort' }, 'credentialType', '"password"'],
    ['a bearer token of no field', { credentialType: 'bearer' }, 'secretField', 'is required for bearer'],
    [
      'fields of a token of Vault',
      { credentialType: 'vault-token', secretField: 'x' },
      'secretField',
      'is never used with credentialType: vault-token',
    ],
    [
      'a bound below the margin',
      { maxLifetime: '1m', refresh: { ahead: '2m' } },
      'refresh.ahead',
      'is not below the life',
    ],
    ['what only other providers know', { clientId: 'x' }, 'clientId', 'unknown key'],
  ])('is refused with %s', async (_, change, path, words) => {
    const problems = await problemsOf(documentOf({ key: { ...BASE, ...change } }));
    expect(problems.map((problem) => problem.path)).toEqual([`sources.key.${path}`]);
    const printed = formatProblems(problems, 'broker.yaml');
    expect(printed).toContain(words);
    expect(printed).not.toContain(APPROLE.secretId);
  });
});
