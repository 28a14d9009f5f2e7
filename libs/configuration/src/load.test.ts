import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { createCertificate } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatProblems, loadConfiguration, parseConfiguration, secretsOf, type LoadedConfiguration } from './index.js';

const KEY = Buffer.alloc(32, 7);
const env = { TOKEN_BROKER_KEY: KEY.toString('base64'), PAYMENTS_CLIENT_SECRET: 'payments-secret-value' };

const SAMPLE = `
nats: { servers: ["nats://127.0.0.1:4222"], user: broker, password: "\${file:secrets/nats}" }
redis: { url: "redis://127.0.0.1:6379/0" }
encryption: { keys: [{ id: "2026-11", secret: "\${env:TOKEN_BROKER_KEY}" }] }
http: { listen: "127.0.0.1:9464" }
sources:
  payments-api:
    provider: oauth2
    grant: client_credentials
    issuer: "https://login.example.com"
    clientId: payments
    clientSecret: "\${env:PAYMENTS_CLIENT_SECRET}"
    scope: "payments:write payments:read payments:read"
    audience: "https://payments.example.com"
    refresh: { ahead: "20%", keepWarm: false }
callers:
  orders: { sources: [payments-api] }
  ops: { sources: ["*"], admin: true }
`;

const readFile = async (path: string) => {
  if (path === '/etc/token-broker/secrets/nats') return { text: 'nats-password\n', mode: 0o100600 };
  throw Object.assign(new Error('absent'), { code: 'ENOENT' });
};

const options = { env, readFile, file: '/etc/token-broker/broker.yaml' };

async function accepted(text: string): Promise<LoadedConfiguration> {
  const loaded = await parseConfiguration(text, options);
  if (!loaded.ok) throw new Error(formatProblems(loaded.error.problems, loaded.error.file));
  return loaded.value;
}

async function sourceOf(settings: string) {
  const { configuration } = await accepted(
    SAMPLE.replace('    refresh: { ahead: "20%", keepWarm: false }\n', `${settings}\n`),
  );
  const source = configuration.sources.get('payments-api');
  if (source === undefined) throw new Error('the source is gone');
  return source;
}

async function sectionOf<Name extends 'nats' | 'redis' | 'http' | 'cluster' | 'memory' | 'log' | 'encryption'>(
  name: Name,
  yaml: string,
) {
  const others = SAMPLE.split('\n').filter((line) => !line.startsWith(`${name}:`));
  return (await accepted([`${name}: ${yaml}`, ...others].join('\n'))).configuration[name];
}

describe('a valid configuration', () => {
  it('has every default filled in, durations in milliseconds and secrets redacted', async () => {
    const { configuration, files } = await accepted(SAMPLE);
    expect(configuration).toMatchObject({
      namespace: 'token-broker',
      nats: { servers: ['nats://127.0.0.1:4222'], subjectPrefix: 'token-broker' },
      redis: {
        topology: { kind: 'standalone', host: '127.0.0.1', port: 6379, database: 0 },
        commandTimeoutMs: 1_000,
        lockMasters: [],
        durableReplicas: 0,
      },
      http: { listen: { host: '127.0.0.1', port: 9464 } },
      log: { level: 'info' },
      cluster: { partitions: 16, tickMs: 1_000, minLifetimeMs: 5_000, maxStalenessMs: 60_000, demandMs: 600_000 },
      memory: { maxEntries: 10_000, maxBytes: 64 * 1024 * 1024 },
    });
    const source = configuration.sources.get('payments-api');
    expect(source).toMatchObject({
      name: 'payments-api',
      endpoint: { kind: 'issuer', issuer: 'https://login.example.com' },
      grant: { kind: 'client_credentials' },
      clientAuthentication: { kind: 'client_secret_basic' },
      scopes: ['payments:read', 'payments:write'],
      timeoutMs: 10_000,
      lockTimeMs: 12_000,
      defaultLifetimeMs: 300_000,
      maxLifetimeMs: 365 * 86_400_000,
      acceptNarrowerScope: false,
      allowInsecureHttp: false,
      refresh: { ahead: { kind: 'fraction', fraction: 0.2 }, keepWarm: false },
    });
    expect(source === undefined ? [] : secretsOf(source).map((secret) => secret.reveal())).toEqual([
      'payments-secret-value',
    ]);
    expect(Buffer.from(configuration.encryption.keys[0].secret.reveal())).toEqual(KEY);
    expect(files).toEqual(['/etc/token-broker/secrets/nats']);
  });

  it('drops the trailing newline of a file, and serves events with the same identity unless told otherwise', async () => {
    const { configuration, warnings } = await accepted(SAMPLE);
    const { credentials, eventCredentials } = configuration.nats;
    expect(credentials.kind === 'user' && credentials.password.reveal()).toBe('nats-password');
    expect(eventCredentials).toBe(credentials);
    expect(warnings).toMatchObject([
      { path: 'nats', line: 2, message: expect.stringContaining('one identity') as unknown },
    ]);
  });

  it('cannot be printed with a secret in it', async () => {
    const printed = inspect(await accepted(SAMPLE), { depth: 20, showHidden: true });
    expect(printed).not.toContain('payments-secret-value');
    expect(printed).not.toContain('nats-password');
    expect(printed).not.toContain(env.TOKEN_BROKER_KEY);
  });

  it('cannot be changed', async () => {
    const { configuration } = await accepted(SAMPLE);
    expect(() => Object.assign(configuration.cluster, { tickMs: 1 })).toThrow(TypeError);
    expect(() => Object.assign(configuration.sources.get('payments-api') ?? {}, { clientId: 'x' })).toThrow(TypeError);
  });

  it('takes `$${` as a literal, and never resolves what a reference gave', async () => {
    const text = SAMPLE.replace('clientId: payments', () => 'clientId: "a-$${env:X}-${env:NESTED}"');
    const loaded = await parseConfiguration(text, { ...options, env: { ...env, NESTED: '${env:TOKEN_BROKER_KEY}' } });
    expect(loaded.ok && loaded.value.configuration.sources.get('payments-api')).toHaveProperty(
      'clientId',
      'a-${env:X}-${env:TOKEN_BROKER_KEY}',
    );
  });

  it('takes numbers and flags from references, which always give text', async () => {
    const text = `${SAMPLE}\ncluster: { partitions: "\${env:P}" }\n`.replace('admin: true', 'admin: "${env:A}"');
    const loaded = await parseConfiguration(text, { ...options, env: { ...env, P: '32', A: 'true' } });
    expect(loaded.ok && loaded.value.configuration.cluster.partitions).toBe(32);
    expect(loaded.ok && loaded.value.configuration.callers.get('ops')?.admin).toBe(true);
  });

  it('grants callers what they are given, beside the source’s own', async () => {
    const text = `${SAMPLE}  web: { sources: [{ name: payments-api, scopes: any, audiences: [a, b] }] }\n  all: { sources: "*" }\n`;
    const { callers } = (await accepted(text)).configuration;
    expect(callers.get('orders')).toMatchObject({ admin: false });
    expect(callers.get('orders')?.grants.get('payments-api')).toEqual({ scopes: [], audiences: [] });
    expect(callers.get('ops')).toMatchObject({ admin: true });
    expect(callers.get('web')?.grants.get('payments-api')).toEqual({ scopes: 'any', audiences: ['a', 'b'] });
    expect([...(callers.get('all')?.grants.keys() ?? [])]).toEqual(['*']);
  });
});

describe('every setting does what it says', () => {
  it.each([
    ['timeout: 4s', { timeoutMs: 4_000, lockTimeMs: 6_000 }],
    ['lockTime: 30s', { lockTimeMs: 30_000 }],
    ['defaultLifetime: 1h30m', { defaultLifetimeMs: 5_400_000 }],
    ['maxLifetime: 60s', { maxLifetimeMs: 60_000, defaultLifetimeMs: 60_000 }],
    ['acceptNarrowerScope: true', { acceptNarrowerScope: true }],
    ['clientAuthentication: client_secret_post', { clientAuthentication: { kind: 'client_secret_post' } }],
    ['resource: "https://api.example.com/"', { resource: 'https://api.example.com/' }],
    ['parameters: { organization: acme }', { parameters: new Map([['organization', 'acme']]) }],
    ['refresh: { ahead: 30s, keepWarm: true }', { refresh: { ahead: { kind: 'ms', ms: 30_000 }, keepWarm: true } }],
    ['refresh: { ahead: off }', { refresh: { ahead: { kind: 'off' }, keepWarm: false } }],
  ])('source: %s', async (settings, expected) => {
    expect(await sourceOf(`    ${settings}`)).toMatchObject(expected);
  });

  it('source: tokenEndpoint, with http where it is allowed', async () => {
    const text = SAMPLE.replace(
      'issuer: "https://login.example.com"',
      'tokenEndpoint: "http://127.0.0.1:1/token"',
    ).replace('provider: oauth2', 'provider: oauth2\n    allowInsecureHttp: true');
    const { configuration, warnings } = await accepted(text);
    expect(configuration.sources.get('payments-api')).toHaveProperty('endpoint', {
      kind: 'token-endpoint',
      tokenEndpoint: 'http://127.0.0.1:1/token',
    });
    expect(warnings.map(({ path }) => path)).toContain('sources.payments-api.allowInsecureHttp');
  });

  it.each([
    ['"[::1]:0"', { host: '::1', port: 0 }],
    ['":9464"', { host: '', port: 9464 }],
    ['"0.0.0.0:80"', { host: '0.0.0.0', port: 80 }],
  ])('http.listen: %s', async (written, expected) => {
    expect((await sectionOf('http', `{ listen: ${written} }`)).listen).toEqual(expected);
  });

  it('nats: a second identity for events, NKeys, credentials files, tokens, TLS by scheme', async () => {
    const servers = 'servers: ["tls://a:4222", "b"]';
    const seed = `SU${'A'.repeat(56)}`;
    const nats = await sectionOf(
      'nats',
      `{ ${servers}, subjectPrefix: acme, nkeySeed: ${seed}, events: { token: t0ken } }`,
    );
    expect(nats).toMatchObject({ subjectPrefix: 'acme', tls: {}, servers: ['tls://a:4222', 'b'] });
    expect(nats.credentials.kind === 'nkey' && nats.credentials.seed.reveal()).toBe(seed);
    expect(nats.eventCredentials.kind === 'token' && nats.eventCredentials.token.reveal()).toBe('t0ken');
    const creds = '-----BEGIN NATS USER JWT-----\\nx\\n-----BEGIN USER NKEY SEED-----\\ny';
    expect((await sectionOf('nats', `{ servers: [a], creds: "${creds}" }`)).credentials.kind).toBe('creds');
    expect((await sectionOf('nats', '{ servers: [a] }')).credentials).toEqual({ kind: 'none' });
  });

  it('redis: user, password, database and TLS from the URL', async () => {
    const redis = await sectionOf('redis', '{ url: "rediss://bro%40ker:p%2Fw@[::1]:7000/3", commandTimeout: 250ms }');
    expect(redis).toMatchObject({
      topology: { kind: 'standalone', host: '::1', port: 7000, database: 3 },
      username: 'bro@ker',
      tls: {},
      commandTimeoutMs: 250,
    });
    expect(redis.password?.reveal()).toBe('p/w');
  });

  it('redis: Sentinel, Cluster, lock masters, durable replicas', async () => {
    const sentinel = await sectionOf(
      'redis',
      '{ sentinel: { name: m, nodes: ["s1", "s2:26380"], password: sp, database: 2 }, username: u, password: p, tls: {}, durableReplicas: 1 }',
    );
    expect(sentinel).toMatchObject({
      topology: { kind: 'sentinel', name: 'm', database: 2 },
      username: 'u',
      tls: {},
      durableReplicas: 1,
    });
    expect(sentinel.topology.kind === 'sentinel' && sentinel.topology.sentinels).toEqual([
      { host: 's1', port: 26379 },
      { host: 's2', port: 26380 },
    ]);
    const cluster = await sectionOf(
      'redis',
      '{ cluster: { nodes: ["n1:7000"] }, lock: { masters: ["redis://a", "redis://b:2", "rediss://c"] } }',
    );
    expect(cluster).toMatchObject({
      topology: { kind: 'cluster', nodes: [{ host: 'n1', port: 7000 }] },
      lockMasters: [
        { host: 'a', port: 6379, tls: false },
        { host: 'b', port: 2, tls: false },
        { host: 'c', port: 6379, tls: true },
      ],
    });
  });

  it('TLS: a certificate and its key', async () => {
    const made = await createCertificate();
    const [cert, key] = [JSON.stringify(made.cert), JSON.stringify(made.key)];
    const tls = `{ ca: ${cert}, cert: ${cert}, key: ${key}, serverName: n }`;
    const nats = await sectionOf('nats', `{ servers: [a], tls: ${tls} }`);
    expect(nats.tls).toMatchObject({ serverName: 'n', cert: expect.stringContaining('BEGIN CERTIFICATE') as unknown });
    expect(nats.tls?.key?.reveal()).toContain('PRIVATE KEY');
  });

  it('the rest', async () => {
    expect(
      await sectionOf('cluster', '{ partitions: 4, tick: 100ms, minLifetime: 0s, maxStaleness: 301ms, demand: 0s }'),
    ).toEqual({
      partitions: 4,
      tickMs: 100,
      minLifetimeMs: 0,
      maxStalenessMs: 301,
      demandMs: 0,
    });
    expect(await sectionOf('memory', '{ maxEntries: 5, maxBytes: 1.5KiB }')).toEqual({
      maxEntries: 5,
      maxBytes: 1_536,
    });
    expect(await sectionOf('log', '{ level: debug }')).toEqual({ level: 'debug' });
    expect((await accepted(`namespace: acme\n${SAMPLE}`)).configuration.namespace).toBe('acme');
  });

  it.each([
    ['base64', KEY.toString('base64')],
    ['base64url', KEY.toString('base64url')],
    ['hex', KEY.toString('hex')],
  ])('an encryption key in %s', async (_encoding, written) => {
    const encryption = await sectionOf('encryption', `{ keys: [{ id: k, secret: "${written}" }] }`);
    expect(Buffer.from(encryption.keys[0].secret.reveal())).toEqual(KEY);
  });
});

describe('loading from the file system', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'token-broker-configuration-'));
    writeFileSync(join(folder, 'password'), 'nats-password\r\n', { mode: 0o600 });
    writeFileSync(join(folder, 'broker.yaml'), SAMPLE.replace('secrets/nats', 'password'), { mode: 0o644 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const load = (name: string, checkModes = false) => loadConfiguration(join(folder, name), { env, checkModes });

  it('names every file that it read, relative ones from the file’s own folder', async () => {
    const loaded = await load('broker.yaml');
    expect(loaded.ok && loaded.value.files).toEqual([join(folder, 'broker.yaml'), join(folder, 'password')]);
  });

  it('refuses a missing file', async () => {
    const loaded = await load('absent.yaml');
    expect(!loaded.ok && loaded.error).toMatchObject({
      files: [join(folder, 'absent.yaml')],
      problems: [{ line: 1, column: 1, message: 'the configuration file does not exist' }],
    });
  });

  it('refuses a secret file that everybody can read, and says how to mend it', async () => {
    chmodSync(join(folder, 'password'), 0o644);
    const loaded = await load('broker.yaml', true);
    const unchecked = await load('broker.yaml', false);
    chmodSync(join(folder, 'password'), 0o600);
    expect(!loaded.ok && loaded.error).toMatchObject({
      files: [join(folder, 'broker.yaml'), join(folder, 'password')],
      problems: [{ path: 'nats.password', line: 2, hint: expect.stringContaining('chmod o=') as unknown }],
    });
    expect(unchecked.ok).toBe(true);
  });

  it('refuses a folder in the place of a file', async () => {
    const loaded = await load('.');
    expect(!loaded.ok && loaded.error.problems[0].message).toBe('the configuration file is a directory');
  });
});
