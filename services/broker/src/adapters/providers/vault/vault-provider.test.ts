import { createSystemClock, Redacted } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { VaultSourceConfiguration } from '@token-broker/configuration';
import type { Provider } from '../../../app/ports/provider.js';
import type { Log, LogFields } from '../../../app/ports/telemetry.js';
import type { JsonReply } from '../fakes/json-endpoint.js';
import { failureOf, valueOf } from '../fakes/oauth2-bed.js';
import { startVault, type VaultEndpoint } from '../fakes/vault-endpoint.js';
import { APPROLE, ROLE, vaultSource } from '../fakes/vault-source.js';
import { createProvider } from '../provider-registry.js';

const ANY = { scopes: [] };
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const clock = createSystemClock();

interface Opened {
  readonly provider: Provider;
  readonly warnings: string[];
}

function open({ url }: VaultEndpoint, change: Partial<VaultSourceConfiguration> = {}): Opened {
  const warnings: string[] = [];
  const warn = (message: string, fields?: LogFields): void => {
    warnings.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log: Log = { debug: () => undefined, info: () => undefined, warn, error: warn };
  const lend = (): Promise<never> => Promise.reject(new Error('not asked for'));
  const provider = createProvider(vaultSource({ address: url, ...change }), { clock, log, lend });
  onTestFinished(() => provider.close());
  return { provider, warnings };
}

describe('a lease', () => {
  it('is had by a login and a request, and its token lives on with it', async () => {
    const vault = await startVault(ROLE);
    const { provider, warnings } = open(vault);
    const { lifeMs, username, accessToken } = valueOf(await provider.fetch(ANY));
    expect(vault.requests).toEqual(['POST auth/approle/login', 'GET database/creds/orders']);
    expect([lifeMs, username]).toEqual([HOUR_MS, 'v-approle-orders-0001']);
    vault.state.pass(lifeMs - 1);
    expect(vault.state.secrets).toEqual([accessToken.reveal()]);
    expect(warnings).toEqual([]);
  });

  it('lives no longer than the token that it was asked for with, which ends it; the log says so, once', async () => {
    const vault = await startVault(ROLE);
    vault.loginLifeMs = 20 * MINUTE_MS;
    const { provider, warnings } = open(vault);
    const { lifeMs } = valueOf(await provider.fetch(ANY));
    await provider.fetch(ANY);
    expect(lifeMs).toBe(20 * MINUTE_MS);
    vault.state.pass(lifeMs);
    expect(vault.state.secrets).toEqual([]);
    expect(warnings).toEqual([
      'vault: the login token ends before what was asked for with it, and ends it {"source":"orders-db","login":1200,"lease":3600}',
    ]);
  });

  it('is not shortened by a token that does not end', async () => {
    const vault = await startVault(ROLE);
    const { id } = vault.state.createToken(HOUR_MS, 'service', undefined);
    vault.answers.login = { status: 200, body: { auth: { client_token: id, lease_duration: 0 } } };
    expect(valueOf(await open(vault).provider.fetch(ANY)).lifeMs).toBe(HOUR_MS);
  });

  it('is one of the namespace', async () => {
    const vault = await startVault({ ...ROLE, namespace: 'teams/orders' });
    expect((await open(vault, { namespace: 'teams/orders' }).provider.fetch(ANY)).ok).toBe(true);
    expect(failureOf(await open(vault).provider.fetch(ANY)).code).toBe('IDP_DENIED');
  });
});

describe('what is issued', () => {
  it.each<[string, Partial<VaultSourceConfiguration>]>([
    ['temporary credentials of AWS', { path: 'aws/sts/reports', credential: { kind: 'aws-credentials' } }],
    ['the password of a static role', { path: 'database/static-creds/orders' }],
  ])('may have a ttl and no lease: %s. Nothing hangs on the login, and nothing takes it back', async (_, change) => {
    const vault = await startVault(ROLE);
    vault.loginLifeMs = MINUTE_MS;
    vault.will({ does: 'issue', lifeMs: 10 * MINUTE_MS });
    const { provider, warnings } = open(vault, change);
    const { lifeMs, accessToken, revocationHandle } = valueOf(await provider.fetch(ANY));
    expect([lifeMs, revocationHandle, warnings]).toEqual([10 * MINUTE_MS, undefined, []]);
    await eventually(() => vault.state.tokens.length === 0, { what: 'the end of the login' });
    expect(await provider.revoke(accessToken)).toEqual({ ok: true, value: 'unsupported' });
  });

  it('may state the life of credentials of AWS as that of a lease which is none', async () => {
    const vault = await startVault(ROLE);
    const data = { access_key: 'ASIACANARY000000', secret_key: 'canary/secret', security_token: 'canary/session' };
    vault.answers.secret = { status: 200, body: { lease_id: '', lease_duration: 900, data } };
    const { provider } = open(vault, { path: 'aws/sts/reports', credential: { kind: 'aws-credentials' } });
    expect(valueOf(await provider.fetch(ANY)).lifeMs).toBe(15 * MINUTE_MS);
  });

  it('may be written for, and is a bearer token where the source says so', async () => {
    const vault = await startVault(ROLE);
    const { provider } = open(vault, {
      path: 'kubernetes/creds/deployer',
      body: { kubernetes_namespace: 'orders' },
      credential: {
        kind: 'bearer',
        secretField: 'service_account_token',
        usernameField: 'service_account_name',
      },
    });
    expect(valueOf(await provider.fetch(ANY))).toMatchObject({ tokenType: 'Bearer', username: 'v-0001' });
    expect(vault.asked).toEqual([{ kubernetes_namespace: 'orders' }]);
  });

  it('are the three parts of AWS, as applications know them', async () => {
    const vault = await startVault(ROLE);
    const { provider } = open(vault, { path: 'aws/creds/reports', credential: { kind: 'aws-credentials' } });
    const { accessToken } = valueOf(await provider.fetch(ANY));
    expect(JSON.parse(accessToken.reveal())).toEqual({
      AccessKeyId: 'ASIACANARYKEY0001',
      SecretAccessKey: 'canary/secret+0001',
      SessionToken: 'canary//session+0001==',
    });
  });

  it('are two parts of AWS, where the keys are those of a user', async () => {
    const vault = await startVault(ROLE);
    const data = { access_key: 'AKIACANARY000000', secret_key: 'canary/secret', security_token: null };
    vault.answers.secret = { status: 200, body: { lease_id: 'l', lease_duration: 60, data } };
    const { provider } = open(vault, { path: 'aws/creds/reports', credential: { kind: 'aws-credentials' } });
    expect(Object.keys(JSON.parse(valueOf(await provider.fetch(ANY)).accessToken.reveal()) as object)).toHaveLength(2);
  });

  it.each<[string, Partial<VaultSourceConfiguration>, JsonReply | undefined, string]>([
    ['a secret without a lease', { path: 'kv/data/orders' }, undefined, 'it has neither a lease nor a ttl'],
    [
      'no such field',
      { credential: { kind: 'password', secretField: 'passwort' } },
      undefined,
      'no field of the name that secretField says',
    ],
    [
      'no such user name',
      { credential: { kind: 'password', secretField: 'password', usernameField: 'user' } },
      undefined,
      'no field of the name that usernameField says',
    ],
    ['no credentials of AWS', { credential: { kind: 'aws-credentials' } }, undefined, 'no credentials of AWS'],
    [
      'a secret in place of a token',
      { credential: { kind: 'vault-token' }, path: 'aws/creds/reports' },
      undefined,
      'no token',
    ],
    [
      'a lease without an end',
      {},
      { status: 200, body: { lease_id: 'l', lease_duration: 0, data: { password: 'canary' } } },
      'its lease has no end',
    ],
    ['a lease without data', {}, { status: 200, body: { lease_id: 'l', lease_duration: 9 } }, 'it holds no data'],
    ['nothing', {}, { status: 204 }, 'is not one of Vault'],
  ])('is refused where it is %s; and the login is given back', async (_, change, reply, words) => {
    const vault = await startVault(ROLE);
    if (reply !== undefined) vault.answers.secret = reply;
    const failure = failureOf(await open(vault, change).provider.fetch(ANY));
    expect(failure.code).toBe('IDP_PROTOCOL');
    expect(failure.message).toContain(words);
    expect(JSON.stringify(failure)).not.toContain('canary');
    await eventually(() => vault.state.tokens.length === 0, { what: 'the end of the login' });
    expect(vault.state.secrets).toEqual([]);
  });
});

describe('a failure', () => {
  const failed = (status: number, ...errors: readonly string[]): JsonReply => ({ status, body: { errors } });

  it.each<[string, JsonReply, object]>([
    [
      'a SecretID that is refused',
      failed(400, 'invalid role or secret ID'),
      { code: 'IDP_DENIED', refused: 'credential' },
    ],
    ['a login that is forbidden', failed(403, 'permission denied'), { code: 'IDP_DENIED', refused: 'credential' }],
    ['a method that is not mounted', failed(404, 'no handler for route'), { code: 'IDP_DENIED' }],
    [
      'a login that wants a second factor',
      { status: 200, body: { auth: { client_token: '' } } },
      { code: 'IDP_PROTOCOL' },
    ],
    ['a login that states no end', { status: 200, body: { auth: { client_token: 'x' } } }, { code: 'IDP_PROTOCOL' }],
    ['a login page', { status: 200, body: '<html>Sign in</html>' }, { code: 'IDP_PROTOCOL' }],
    ['sealed', failed(503, 'Vault is sealed'), { code: 'IDP_UNAVAILABLE' }],
    [
      'a quota',
      { ...failed(429, 'rate limit quota exceeded'), headers: { 'retry-after': '3' } },
      { code: 'QUOTA_EXHAUSTED', retryAfterMs: 3_000 },
    ],
  ])('of the login is told for what it is: %s', async (_, reply, expected) => {
    const vault = await startVault(ROLE);
    vault.answers.login = reply;
    expect(failureOf(await open(vault).provider.fetch(ANY))).toMatchObject(expected);
    expect(vault.calls()).toBe(0);
  });

  it.each<[number, string]>([
    [400, 'IDP_DENIED'],
    [403, 'IDP_DENIED'],
    [404, 'IDP_DENIED'],
    [405, 'IDP_DENIED'],
    [412, 'IDP_UNAVAILABLE'],
    [429, 'QUOTA_EXHAUSTED'],
    [472, 'IDP_UNAVAILABLE'],
    [473, 'IDP_UNAVAILABLE'],
    [500, 'IDP_UNAVAILABLE'],
    [501, 'IDP_UNAVAILABLE'],
    [502, 'IDP_UNAVAILABLE'],
    [503, 'IDP_UNAVAILABLE'],
  ])('with status %i is %s; the credential is not blamed, and the login is given back', async (status, code) => {
    const vault = await startVault(ROLE);
    vault.answers.secret = failed(status, 'so it is');
    const failure = failureOf(await open(vault).provider.fetch(ANY));
    expect(failure.code).toBe(code);
    expect(failure).not.toHaveProperty('refused');
    await eventually(() => vault.state.tokens.length === 0, { what: 'the end of the login' });
  });

  it('after the login ends also what Vault has issued in the meantime', async () => {
    const vault = await startVault(ROLE);
    vault.will({ does: 'break' });
    expect(failureOf(await open(vault).provider.fetch(ANY)).code).toBe('IDP_UNAVAILABLE');
    await eventually(() => vault.state.takenBack.includes('canary-of-a-password-0001'), { what: 'its end' });
    expect(vault.state.tokens).toEqual([]);
  });

  it('leaves a batch token to its end, since nobody can revoke it', async () => {
    const vault = await startVault(ROLE);
    vault.loginType = 'batch';
    vault.will({ does: 'deny' });
    const { provider } = open(vault);
    expect(failureOf(await provider.fetch(ANY)).code).toBe('IDP_DENIED');
    // It would wait for what is on its way.
    await provider.close();
    expect(vault.requests).toEqual(['POST auth/approle/login', 'GET database/creds/orders']);
  });

  it('of a 4xx that is not Vault’s own is no denial', async () => {
    const vault = await startVault(ROLE);
    vault.answers.secret = { status: 404, body: '<html>no such host</html>' };
    expect(failureOf(await open(vault).provider.fetch(ANY)).code).toBe('IDP_PROTOCOL');
  });
});

describe('a login by AppRole', () => {
  it('with another SecretID is refused, which no call of this credential will mend', async () => {
    const vault = await startVault(ROLE);
    const auth = { ...APPROLE, secretId: new Redacted('canary-of-another') };
    const failure = failureOf(await open(vault, { auth }).provider.fetch(ANY));
    expect(failure).toMatchObject({ code: 'IDP_DENIED', refused: 'credential', message: 'Vault refused the login' });
    expect(JSON.stringify(failure)).not.toContain('canary');
  });
});
