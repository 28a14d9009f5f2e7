import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReplicaStatus, StatusReply } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandFailure } from './command-failure.js';
import { LOGIN, runOn, STATUS, type Given, type Outcome } from './fakes/run.js';

const COUNTS = { held: 1, requests: 10, memoryHits: 0, refusals: 0, idpCalls: 0, idpErrors: 0, callsSaved: 0 };
const replica = (broker: string, change: Partial<ReplicaStatus> = {}): ReplicaStatus => ({
  ...{ broker, version: '0.1.0', uptimeMs: 7_200_000, ready: true, problems: [], nats: { connected: true } },
  ...{ redis: { available: true, leaseAgeMs: 1 }, policy: 1, epochs: [1], clockAheadMs: 0, counts: COUNTS },
  ...change,
});
const HEALTHY: StatusReply = {
  ...STATUS,
  sources: STATUS.sources.map((source) => ({ ...source, all: COUNTS })),
  replicas: [replica('b1'), replica('b2')],
  silent: [],
};

const run = (args: readonly string[], given?: Given): Promise<Outcome> =>
  runOn(new VirtualClock(), ['doctor', ...args], { status: HEALTHY, ...given });

interface Report {
  readonly problems: number;
  readonly warnings: number;
  readonly examinations: readonly {
    readonly what: string;
    readonly skipped?: string;
    readonly findings: readonly {
      readonly severity: string;
      readonly what: string;
      readonly why: string;
      readonly remedy: string;
    }[];
  }[];
}

async function found(args: readonly string[], given?: Given): Promise<string[]> {
  const { stdout } = await run([...args, '--json'], given);
  const { examinations } = JSON.parse(stdout) as Report;
  const all = examinations.flatMap(({ findings }) => findings);
  for (const { why, remedy } of all) expect([why.length > 5, remedy.length > 5]).toEqual([true, true]);
  return all.map(({ severity, what }) => `${severity}: ${what}`);
}

const withStatus = (change: Partial<StatusReply>): Given => ({ status: { ...HEALTHY, ...change } });

describe('doctor', () => {
  it('finds nothing where all is well, and ends with 0', async () => {
    const outcome = await run([]);
    expect(outcome).toMatchObject({
      code: 0,
      stdout: 'NATS permissions: ok\nbrokers: ok\nsources: ok\nNothing was found.\n',
      closed: 1,
    });
  });

  it('says of each finding what, why and what to do, and ends with 1 for a problem', async () => {
    const { code, stdout } = await run([], withStatus({ silent: ['b3'] }));
    expect(code).toBe(1);
    expect(stdout).toContain(
      [
        'brokers:',
        '  problem  b3 has a lease and does not answer',
        '           It may hang, or its NATS connection be away; a revocation waits for it.',
        '           -> Look at its log and its /readyz.',
        '',
      ].join('\n'),
    );
    expect(stdout).toContain('1 problem, 0 warnings.\n');
  });

  it('ends with 0 for warnings alone', async () => {
    const outcome = await run([], withStatus({ replicas: [replica('b1')] }));
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain('warning  there is one broker only');
  });

  it('without a configuration needs the brokers', async () => {
    const away = new CommandFailure({ code: 'NATS_UNAVAILABLE', message: 'm', remedy: 'r' }, 3);
    expect((await run([], { openDoor: () => Promise.reject(away) })).code).toBe(3);
    expect((await run([], { env: {} })).code).toBe(2);
  });
});

describe('doctor on brokers', () => {
  it.each<[string, Partial<StatusReply>, string]>([
    [
      'not ready',
      { replicas: [replica('b1'), replica('b2', { ready: false, problems: ['no Redis'] })] },
      'problem: b2 is not ready: no Redis',
    ],
    [
      'versions',
      { replicas: [replica('b1'), replica('b2', { version: '0.2.0' })] },
      'warning: brokers are of different versions',
    ],
    [
      'configurations',
      { replicas: [replica('b1'), replica('b2', { policy: 2 })] },
      'warning: brokers run different configurations',
    ],
    [
      'epochs',
      { replicas: [replica('b1'), replica('b2', { epochs: [2] })] },
      'problem: brokers have read different epochs',
    ],
    [
      'a little skew',
      { replicas: [replica('b1'), replica('b2', { clockAheadMs: 2_500 })] },
      'warning: the clock of b2 is 2.5 s ahead of that of Redis',
    ],
    [
      'much skew',
      { replicas: [replica('b1'), replica('b2', { clockAheadMs: -40_000 })] },
      'problem: the clock of b2 is 40 s behind that of Redis',
    ],
    [
      'an evicting Redis',
      { redis: { ...HEALTHY.redis, problems: ['Redis evicts keys'] } },
      'problem: Redis evicts keys',
    ],
  ])('finds %s', async (_what, change, expected) => {
    expect(await found([], withStatus(change))).toEqual([expected]);
  });
});

describe('doctor on sources', () => {
  const budget = { limits: [], pausedMs: 0, breaker: 'closed', credentialPausedMs: 0, open: 0 } as const;
  const source = (change: Partial<StatusReply['sources'][number]>): Partial<StatusReply> => ({
    sources: HEALTHY.sources.map((one) => ({ ...one, ...change })),
  });
  const limits = [{ limit: 100, window: '1m', used: 85, reserve: 10, reserveUsed: 0 }];

  it.each<[string, Partial<StatusReply['sources'][number]>, string]>([
    [
      'an identity provider that is away',
      { budget: { ...budget, limits: [], breaker: 'open' } },
      'problem: payments: its identity provider fails or cannot be reached',
    ],
    [
      'a refused client',
      { budget: { ...budget, limits: [], credentialPausedMs: 1 } },
      'problem: payments: its identity provider refuses the client',
    ],
    [
      'a pause',
      { budget: { ...budget, limits: [], pausedMs: 1_500 } },
      'warning: payments: its identity provider wants no calls for 1.5 s',
    ],
    ['a quota that is nearly used up', { budget: { ...budget, limits } }, 'warning: payments: its quota is 94 % used'],
    [
      'a dead refresh token',
      { refreshToken: { state: 'exhausted', sequence: 1, changedAtMs: 1 } },
      'problem: payments: the identity provider refuses its refresh token',
    ],
    [
      'a source that nobody uses',
      { all: { ...COUNTS, requests: 0, held: 0 } },
      'warning: payments was not asked for since the brokers started, 2 h 0 m ago',
    ],
  ])('finds %s', async (_what, change, expected) => {
    expect(await found([], withStatus(source(change)))).toEqual([expected]);
  });

  it('calls no source unused before an hour is over', async () => {
    const young = [replica('b1'), replica('b2', { uptimeMs: 60_000 })];
    const unused = source({ all: { ...COUNTS, requests: 0, held: 0 } });
    expect(await found([], withStatus({ ...unused, replicas: young }))).toEqual([]);
  });
});

describe('doctor on NATS permissions', () => {
  it.each<[string, (subject: string) => boolean, string]>([
    ['a server that enforces none', () => false, 'problem: the NATS server enforces no permissions'],
    [
      'another’s inbox',
      (subject) => !/^_INBOX\.|heartbeat|invalidation/.test(subject),
      'problem: the user of ops may hear the inboxes of others',
    ],
    [
      'what brokers say',
      (subject) => !/^_INBOX\.ops|heartbeat|invalidation|peer/.test(subject),
      'problem: the user of ops may hear what brokers tell each other',
    ],
    [
      'another’s name',
      (subject) => !/^_INBOX\.ops|heartbeat|invalidation|get/.test(subject),
      'problem: the user of ops may ask in the name of others',
    ],
    [
      'missing events',
      (subject) => !/^_INBOX\.ops|heartbeat/.test(subject),
      'warning: the user of ops may not hear invalidations and heartbeats',
    ],
  ])('finds %s', async (_what, denies, expected) => {
    expect(await found([], { denies })).toEqual([expected]);
  });
});

describe('doctor --config', () => {
  const KEY = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7)).toString('base64');
  const SECRETS = { P: 'Xr8mQ1Rk2bJw3mYF1v0AxKbB8', E: 'Zr8mQ1Rk2bJw3mYF1v0AxKbB9', KEY };
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tokenctl-doctor-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  const lines = (change: Readonly<Record<string, string>> = {}): string[] => {
    const all = {
      nats: '{ servers: ["nats://127.0.0.1:4222"], user: broker, password: "${env:P}", events: { user: events, password: "${env:E}" } }',
      redis: '{ url: "redis://127.0.0.1:6379/0" }',
      encryption: '{ keys: [{ id: one, secret: "${env:KEY}" }] }',
      sources:
        '{ payments: { provider: oauth2, issuer: "https://login.example.com", clientId: c, clientSecret: "${env:P}" } }',
      callers: '{ orders: { sources: [payments] }, ops: { admin: true } }',
      ...change,
    };
    return Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  };
  function configured(
    change: Readonly<Record<string, string>> = {},
    given: Given & { readonly mode?: number } = {},
  ): [string[], Given] {
    const path = join(folder, 'broker.yaml');
    const text = lines(change).join('\n');
    writeFileSync(path, text);
    const { mode, env, ...others } = given;
    return [
      ['--config', path],
      { env: { ...LOGIN, ...SECRETS, ...env }, files: { [path]: text }, modes: { [path]: mode ?? 0o600 }, ...others },
    ];
  }

  it('finds nothing in a good one', async () => {
    const [args, given] = configured();
    const { stdout, code } = await run(args, given);
    expect({ stdout, code }).toEqual({
      code: 0,
      stdout:
        'configuration: ok\nsecrets: ok\nservers: ok\nNATS permissions: ok\nbrokers: ok\nsources: ok\nNothing was found.\n',
    });
  });

  it.each<[string, Readonly<Record<string, string>>, Given & { readonly mode?: number }, string | RegExp]>([
    ['a mistake', { colour: 'blue' }, {}, /^problem: .*broker\.yaml:6:1 colour: unknown key$/],
    [
      'a source that nobody may use',
      { callers: '{ ops: { admin: true } }' },
      {},
      /^warning: .*sources\.payments: no caller may use this source$/,
    ],
    [
      'a placeholder',
      {},
      { env: { P: 'changeme-changeme' } },
      'problem: nats.password is a word that everybody tries first',
    ],
    ['a short secret', {}, { env: { E: 'aB3-x9Zq' } }, 'warning: nats.events.password has 8 characters only'],
    [
      'a repeating secret',
      {},
      { env: { E: 'abababababababababab' } },
      'problem: nats.events.password repeats a few characters',
    ],
    [
      'a key that is not random',
      {},
      { env: { KEY: Buffer.alloc(32, 7).toString('base64') } },
      'problem: encryption.keys, id one: the key is not random',
    ],
    [
      'two keys that are one',
      { encryption: '{ keys: [{ id: one, secret: "${env:KEY}" }, { id: two, secret: "${env:KEY}" }] }' },
      {},
      'warning: encryption.keys, id two is the key of id one again',
    ],
    [
      'NATS in clear',
      {
        nats: '{ servers: ["nats://nats.example.com"], user: broker, password: "${env:P}", events: { user: events, password: "${env:E}" } }',
      },
      {},
      'warning: nats.servers: without TLS to nats://nats.example.com',
    ],
    [
      'Redis in clear',
      { redis: '{ url: "redis://redis.example.com:6379/0" }' },
      {},
      'warning: redis: without TLS to redis.example.com',
    ],
    [
      'an identity provider in clear',
      {
        sources:
          '{ payments: { provider: oauth2, issuer: "http://login.example.com", allowInsecureHttp: true, clientId: c, clientSecret: "${env:P}" } }',
      },
      {},
      /^problem: sources\.payments: plain HTTP/,
    ],
    [
      'an authority of another kind in clear',
      {
        sources:
          '{ payments: { provider: azure-workload-identity, authority: "http://login.example.com", allowInsecureHttp: true, tenantId: t, clientId: 11111111-2222-4333-8444-555555555555, federatedTokenFile: /token, scope: https://vault.azure.net/.default } }',
      },
      {},
      /^problem: sources\.payments: plain HTTP/,
    ],
  ])('finds %s', async (_what, change, more, expected) => {
    const [args, given] = configured(change, more);
    const all = await found(args, given);
    if (typeof expected === 'string') expect(all).toContain(expected);
    else expect(all.some((finding) => expected.test(finding))).toBe(true);
    expect(JSON.stringify(all)).not.toMatch(/changeme|aB3-x9Zq|ababab|Xr8mQ1/);
  });

  it('finds secrets that the file itself holds, and whether everybody can read them', async () => {
    const sources = `{ payments: { provider: oauth2, issuer: "https://login.example.com", clientId: c, clientSecret: "${SECRETS.P}" } }`;
    const [args, given] = configured({ sources });
    expect((await found(args, given)).join()).toMatch(
      /warning: the configuration file holds secrets itself: .*clientSecret/,
    );
    const [again, open] = configured({ sources }, { mode: 0o644 });
    const outcome = await run([...again, '--json'], open);
    expect(outcome.stdout).toContain('everybody on this machine can read it');
    expect(outcome.stdout).not.toContain(SECRETS.P);
    expect(outcome.code).toBe(1);
  });

  it('finds servers that cannot be reached from here, each once', async () => {
    const tried: string[] = [];
    const [args, given] = configured(
      {
        sources:
          '{ a: { provider: oauth2, issuer: "https://login.example.com", clientId: c, clientSecret: "${env:P}" }, b: { provider: oauth2, issuer: "https://login.example.com/other", clientId: d, clientSecret: "${env:P}" }, c: { provider: azure-workload-identity, tenantId: t, clientId: 11111111-2222-4333-8444-555555555555, federatedTokenFile: /token, scope: https://vault.azure.net/.default }, d: { provider: static, value: "${env:P}" } }',
        callers: '{ orders: { sources: [a, b, c, d] } }',
      },
      {
        unreachable: ({ host, port, tls }) => (
          tried.push(`${host}:${String(port)} ${String(tls !== undefined)}`),
          'ECONNREFUSED'
        ),
      },
    );
    expect(await found(args, given)).toEqual([
      'problem: redis: 127.0.0.1:6379 cannot be reached from here: ECONNREFUSED',
      'problem: sources.a, sources.b: login.example.com cannot be reached from here: ECONNREFUSED',
      'problem: sources.c: login.microsoftonline.com cannot be reached from here: ECONNREFUSED',
    ]);
    expect(tried).toEqual(['127.0.0.1:6379 false', 'login.example.com:443 true', 'login.microsoftonline.com:443 true']);
  });

  it('is looked at also where nobody is said to ask, or NATS is away', async () => {
    const [args, given] = configured();
    const unasked = await run(args, { ...given, env: SECRETS });
    expect(unasked.code).toBe(0);
    expect(unasked.stdout).toContain('brokers: not looked at: it is not said who asks');
    const away = new CommandFailure({ code: 'NATS_UNAVAILABLE', message: 'it is away', remedy: 'Start it.' }, 3);
    const outcome = await run(args, { ...given, openDoor: () => Promise.reject(away) });
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain('problem  the brokers cannot be asked: it is away [NATS_UNAVAILABLE]');
  });

  it('that cannot be read ends with 2', async () => {
    const outcome = await run(['--config', '/nowhere.yaml']);
    expect(outcome).toMatchObject({ code: 2, settings: undefined });
    expect(outcome.stderr).toContain('/nowhere.yaml cannot be read (ENOENT)');
  });
});
