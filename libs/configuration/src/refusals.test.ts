import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { createCertificate } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { formatProblems, parseConfiguration, type ConfigurationProblem } from './index.js';

/** Each secret of this configuration says so in its value, so that a leak can be searched for. */
const CANARY = 'canary-5e9a1c';
const KEY = Buffer.alloc(32, 3).toString('base64');

const VALID = {
  nats: { servers: ['nats://127.0.0.1:4222'], user: 'broker', password: `${CANARY}-nats` },
  redis: { url: `redis://u:${CANARY}@127.0.0.1:6379/0` },
  encryption: { keys: [{ id: 'k1', secret: KEY }] },
  sources: {
    payments: {
      provider: 'oauth2',
      issuer: 'https://login.example.com',
      clientId: 'payments',
      clientSecret: `${CANARY}-source`,
    },
  },
  callers: { orders: { sources: ['payments'] } },
};

type Tree = Record<string, unknown>;

/** The valid configuration with one value in the place of another; undefined removes. */
function having(changes: Readonly<Record<string, unknown>>): string {
  const tree = structuredClone(VALID) as Tree;
  for (const [path, value] of Object.entries(changes)) {
    const parts = path.split('/');
    const last = parts.pop() ?? '';
    let node = tree;
    for (const part of parts) node = (node[part] ??= {}) as Tree;
    if (value === undefined) Reflect.deleteProperty(node, last);
    else node[last] = value;
  }
  return stringify(tree);
}

const env = { SHORT: 'abc', EMPTY: '', LEAK: `${CANARY}-env` };

const readFile = async (path: string) => {
  if (path === '/cfg/open') return { text: `${CANARY}-file`, mode: 0o100644 };
  if (path === '/cfg/denied') throw Object.assign(new Error(CANARY), { code: 'EACCES' });
  throw Object.assign(new Error(CANARY), { code: 'ENOENT' });
};

async function problemsOf(text: string): Promise<readonly ConfigurationProblem[]> {
  const parsed = await parseConfiguration(text, { env, readFile, checkModes: true, file: '/cfg/broker.yaml' });
  return parsed.ok ? [] : parsed.error.problems;
}

const { cert: certificate } = await createCertificate();
const otherKey = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
}).privateKey;

const S = 'sources/payments';

/** What is written, where the one problem must be, what it says (and hints). */
const REFUSALS: readonly (readonly [string, Readonly<Record<string, unknown>>, string, string])[] = [
  ['unknown key', { [`${S}/clientIdd`]: 'x' }, 'sources.payments.clientIdd', 'unknown key (did you mean "clientId"?)'],
  ['unknown section', { sorces: {} }, 'sorces', 'unknown key (did you mean "sources"?)'],
  [
    'wrong type: number for text',
    { [`${S}/clientId`]: 12 },
    'sources.payments.clientId',
    'expected text, got a number (put it in quotes)',
  ],
  ['wrong type: text for a mapping', { nats: 'nats://a' }, 'nats', 'expected a mapping, got text'],
  ['wrong type: text for a list', { 'nats/servers': 'nats://a' }, 'nats.servers', 'expected a list, got text'],
  [
    'wrong type: nothing for a section',
    { sources: null, callers: {} },
    'sources',
    'expected a mapping from names, got nothing',
  ],
  ['missing section', { redis: undefined }, 'redis', 'is required'],
  ['missing setting', { [`${S}/clientId`]: undefined }, 'sources.payments.clientId', 'is required'],
  [
    'duplicate key id',
    {
      'encryption/keys': [
        { id: 'a', secret: KEY },
        { id: 'a', secret: KEY },
      ],
    },
    'encryption.keys[1].id',
    'is the id of an earlier key',
  ],
  ['no encryption keys', { 'encryption/keys': [] }, 'encryption.keys', 'at least one'],
  [
    'http issuer without the development flag',
    { [`${S}/issuer`]: 'http://idp' },
    'sources.payments.issuer',
    'allowInsecureHttp: true in development',
  ],
  ['issuer with credentials', { [`${S}/issuer`]: `https://a:${CANARY}@idp` }, 'sources.payments.issuer', 'credentials'],
  [
    'issuer and tokenEndpoint',
    { [`${S}/tokenEndpoint`]: 'https://idp/t' },
    'sources.payments.tokenEndpoint',
    'cannot be combined',
  ],
  [
    'neither issuer nor tokenEndpoint',
    { [`${S}/issuer`]: undefined },
    'sources.payments',
    'either issuer or tokenEndpoint',
  ],
  ['unknown provider', { [`${S}/provider`]: 'oauth' }, 'sources.payments.provider', 'did you mean "oauth2"?'],
  [
    'unknown grant',
    { [`${S}/grant`]: 'client_credential' },
    'sources.payments.grant',
    'did you mean "client_credentials"?',
  ],
  [
    'undefined variable',
    { [`${S}/clientSecret`]: '${env:LEEK}' },
    'sources.payments.clientSecret',
    'LEEK is not set (did you mean "LEAK"?)',
  ],
  ['unknown reference', { [`${S}/clientSecret`]: '${vault:x}' }, 'sources.payments.clientSecret', 'unknown reference'],
  [
    'unclosed reference',
    { [`${S}/clientSecret`]: 'a${env:LEAK' },
    'sources.payments.clientSecret',
    'unknown reference',
  ],
  [
    'unreadable secret file',
    { [`${S}/clientSecret`]: '${file:denied}' },
    'sources.payments.clientSecret',
    'the file /cfg/denied cannot be read: permission denied',
  ],
  [
    'absent secret file',
    { [`${S}/clientSecret`]: '${file:/gone}' },
    'sources.payments.clientSecret',
    'the file /gone does not exist',
  ],
  [
    'world-readable secret file',
    { [`${S}/clientSecret`]: '${file:open}' },
    'sources.payments.clientSecret',
    'everybody can read the file /cfg/open (chmod o= /cfg/open)',
  ],
  ['empty secret', { [`${S}/clientSecret`]: '' }, 'sources.payments.clientSecret', 'the secret is empty'],
  [
    'empty secret from a variable',
    { [`${S}/clientSecret`]: '${env:EMPTY}' },
    'sources.payments.clientSecret',
    'the secret is empty',
  ],
  [
    'encryption key of 3 bytes',
    { 'encryption/keys': [{ id: 'a', secret: 'abcd' }] },
    'encryption.keys[0].secret',
    'is 3 bytes long, not 32 (make one with: openssl rand -base64 32)',
  ],
  [
    'encryption key of 33 bytes',
    { 'encryption/keys': [{ id: 'a', secret: Buffer.alloc(33).toString('base64') }] },
    'encryption.keys[0].secret',
    '33 bytes',
  ],
  [
    'encryption key of no encoding',
    { 'encryption/keys': [{ id: 'a', secret: `${CANARY}!` }] },
    'encryption.keys[0].secret',
    'neither base64, base64url nor hex',
  ],
  [
    'unknown source of a caller',
    { 'callers/orders/sources': ['paymemts'] },
    'callers.orders.sources[0]',
    'no source of this name (did you mean "payments"?)',
  ],
  [
    'one source that is no list',
    { 'callers/orders/sources': 'payments' },
    'callers.orders.sources',
    'expected a list of sources, or "*"',
  ],
  [
    'unknown source in a grant',
    { 'callers/orders/sources': [{ name: 'other' }] },
    'callers.orders.sources[0].name',
    'known: payments',
  ],
  [
    'source twice for a caller',
    { 'callers/orders/sources': ['payments', 'payments'] },
    'callers.orders.sources[1]',
    'in the list already',
  ],
  ['caller named as the broker', { callers: { broker: {} } }, 'callers.broker', 'the broker’s own NATS user'],
  [
    'lock time equal to the timeout',
    { [`${S}/timeout`]: '5s', [`${S}/lockTime`]: '5s' },
    'sources.payments.lockTime',
    'is not above timeout (5 s)',
  ],
  [
    'lock time below the default timeout',
    { [`${S}/lockTime`]: '5s' },
    'sources.payments.lockTime',
    'is not above timeout (10 s)',
  ],
  ['negative duration', { 'cluster/tick': '-1s' }, 'cluster.tick', 'never negative'],
  ['negative number as a duration', { 'cluster/tick': -1 }, 'cluster.tick', 'never negative'],
  ['unit-less duration', { 'cluster/tick': 5 }, 'cluster.tick', 'the unit is missing'],
  ['unit-less duration in text', { 'cluster/tick': '5' }, 'cluster.tick', 'the unit is missing'],
  [
    'duration beyond what a timer holds',
    { [`${S}/timeout`]: '30d' },
    'sources.payments.timeout',
    'is too long: at most 10m',
  ],
  ['zero duration', { [`${S}/timeout`]: '0s' }, 'sources.payments.timeout', 'is too short'],
  [
    'refresh margin of the whole life',
    { [`${S}/refresh`]: { ahead: '100%' } },
    'sources.payments.refresh.ahead',
    'not below the life',
  ],
  [
    'refresh margin above the life',
    { [`${S}/refresh`]: { ahead: '10m' }, [`${S}/defaultLifetime`]: '5m' },
    'sources.payments.refresh.ahead',
    'not below the life of the token (5 m 0 s)',
  ],
  [
    'refresh margin above every life',
    { [`${S}/refresh`]: { ahead: '2h' }, [`${S}/maxLifetime`]: '1h' },
    'sources.payments.refresh.ahead',
    'not below the life of the token (1 h 0 m)',
  ],
  [
    'refresh margin without a unit',
    { [`${S}/refresh`]: { ahead: '20' } },
    'sources.payments.refresh.ahead',
    'the unit is missing',
  ],
  [
    'life below the minimum lifetime',
    { [`${S}/defaultLifetime`]: '5s' },
    'sources.payments.defaultLifetime',
    'not above cluster.minLifetime (5 s)',
  ],
  [
    'default life above the maximum',
    { [`${S}/defaultLifetime`]: '2h', [`${S}/maxLifetime`]: '1h' },
    'sources.payments.defaultLifetime',
    'is above maxLifetime',
  ],
  [
    'even number of lock masters',
    { 'redis/lock': { masters: ['redis://a', 'redis://b'] } },
    'redis.lock.masters',
    'odd number of masters, not 2',
  ],
  ['no lock masters', { 'redis/lock': { masters: [] } }, 'redis.lock.masters', 'not 0'],
  [
    'the same lock master twice',
    { 'redis/lock': { masters: ['redis://a', 'redis://b', 'redis://a:6379'] } },
    'redis.lock.masters[2]',
    'same server',
  ],
  [
    'staleness bound within three ticks',
    { cluster: { tick: '1s', maxStaleness: '3s' } },
    'cluster.maxStaleness',
    'three ticks',
  ],
  ['source name with a dot', { 'sources/a.b': VALID.sources.payments }, 'sources.a.b', 'is not a possible name'],
  ['caller name with a star', { 'callers/a*': {} }, 'callers.a*', 'is not a possible name'],
  ['caller name with a greater-than sign', { 'callers/>': {} }, 'callers.>', 'is not a possible name'],
  ['caller name with a space', { 'callers/a b': {} }, 'callers.a b', 'is not a possible name'],
  [
    'caller name of 65 characters',
    { [`callers/${'a'.repeat(65)}`]: {} },
    `callers.${'a'.repeat(65)}`,
    'is not a possible name',
  ],
  [
    'key id with a dot',
    { 'encryption/keys': [{ id: '2026.11', secret: KEY }] },
    'encryption.keys[0].id',
    'is not a possible name',
  ],
  ['subject prefix of two tokens', { 'nats/subjectPrefix': 'a.b' }, 'nats.subjectPrefix', 'is not a possible name'],
  [
    'certificate that does not parse',
    { 'nats/tls': { ca: certificate.replace('MII', 'AAA') } },
    'nats.tls.ca',
    'does not parse',
  ],
  ['certificate that is none', { [`${S}/ca`]: 'ca.pem' }, 'sources.payments.ca', 'expected a PEM certificate'],
  [
    'key of another certificate',
    { 'redis/url': 'rediss://a', 'redis/tls': { cert: certificate, key: otherKey } },
    'redis.tls.key',
    'is not the private key of cert',
  ],
  [
    'key that does not parse',
    { 'nats/tls': { cert: certificate, key: CANARY } },
    'nats.tls.key',
    'the private key does not parse',
  ],
  ['certificate without a key', { 'nats/tls': { cert: certificate } }, 'nats.tls.key', 'is required beside cert'],
  ['TLS settings without a TLS connection', { 'redis/tls': {} }, 'redis.tls', 'rediss://'],
  ['no Redis server', { redis: {} }, 'redis', 'exactly one of: url, sentinel, cluster'],
  ['two Redis topologies', { 'redis/cluster': { nodes: ['a:1'] } }, 'redis.cluster', 'cannot be combined with url'],
  ['no Redis URL', { 'redis/url': `http://${CANARY}` }, 'redis.url', 'not a Redis URL'],
  ['password twice', { 'redis/password': CANARY }, 'redis.password', 'is in url already'],
  ['Sentinel without nodes', { redis: { sentinel: { name: 'm', nodes: [] } } }, 'redis.sentinel.nodes', 'at least one'],
  ['NATS user without a password', { 'nats/password': undefined }, 'nats.password', 'is required beside user'],
  ['two kinds of NATS credentials', { 'nats/token': CANARY }, 'nats.token', 'cannot be combined with user'],
  ['NATS credentials in a URL', { 'nats/servers': [`nats://u:${CANARY}@a`] }, 'nats.servers[0]', 'credentials'],
  ['no NATS seed', { nats: { servers: ['a'], nkeySeed: CANARY } }, 'nats.nkeySeed', 'not the seed'],
  [
    'no NATS credentials file',
    { nats: { servers: ['a'], creds: CANARY } },
    'nats.creds',
    'not a NATS credentials file',
  ],
  ['event identity without credentials', { 'nats/events': {} }, 'nats.events', 'names no credentials'],
  ['no NATS server', { 'nats/servers': [] }, 'nats.servers', 'at least one'],
  [
    'reserved parameter',
    { [`${S}/parameters`]: { client_secret: CANARY } },
    'sources.payments.parameters.client_secret',
    'is set by the broker itself',
  ],
  ['parameter that is no text', { [`${S}/parameters`]: { a: 1 } }, 'sources.payments.parameters.a', 'put it in quotes'],
  ['scope with a quote', { [`${S}/scope`]: ['a"b'] }, 'sources.payments.scope[0]', 'not a scope'],
  ['resource that is no URI', { [`${S}/resource`]: 'api' }, 'sources.payments.resource', 'not an absolute URI'],
  ['audience with a newline', { [`${S}/audience`]: 'a\nb' }, 'sources.payments.audience', 'control character'],
  ['port out of range', { 'http/listen': '127.0.0.1:70000' }, 'http.listen', 'expected address:port'],
  ['address without a port', { 'http/listen': '127.0.0.1' }, 'http.listen', 'expected address:port'],
  ['log level', { 'log/level': 'warning' }, 'log.level', 'did you mean "warn"?'],
  ['no partitions', { 'cluster/partitions': 0 }, 'cluster.partitions', 'from 1 to 1024'],
  ['size without a known unit', { 'memory/maxBytes': '64MB' }, 'memory.maxBytes', 'units: B, KiB'],
  ['flag that is neither', { 'callers/orders/admin': 'yes' }, 'callers.orders.admin', 'expected true or false'],
];

describe('a refused configuration', () => {
  it('starts from a valid one', async () => {
    expect(await problemsOf(stringify(VALID))).toEqual([]);
  });

  it.each(REFUSALS)('%s', async (_name, changes, path, words) => {
    const problems = await problemsOf(having(changes));
    const printed = formatProblems(problems, 'broker.yaml');
    expect(problems.map((problem) => problem.path)).toEqual([path]);
    expect(printed).toContain(words);
    expect(printed).toMatch(/^broker\.yaml:\d+:\d+ /);
    expect(printed).not.toContain(CANARY);
  });

  it('names everything that is wrong at once, in the order of the file, at its line and column', async () => {
    const text = [
      'nats: { servers: [a], pasword: x }',
      'redis: { url: "redis://a", commandTimeout: 5 }',
      'encryption: { keys: [{ id: a, secret: "${env:NOWHERE}" }] }',
      'sources:',
      '  payments:',
      '    provider: oauth2',
      '    clientIdd: 7',
      '    clientSecret: "${file:gone}"',
      '    issuer: http://idp',
      '    lockTime: 1s',
      'callers:',
      '  orders: { sources: [paymnts] }',
    ].join('\n');
    expect(
      formatProblems(await problemsOf(text), 'f')
        .replaceAll(/ \(.*/g, '')
        .split('\n'),
    ).toEqual([
      'f:1:23 nats.pasword: unknown key',
      'f:2:44 redis.commandTimeout: the unit is missing: write a number and a unit, such as "5s"',
      'f:3:39 encryption.keys[0].secret: the environment variable NOWHERE is not set',
      'f:5:3 sources.payments.clientId: is required',
      'f:7:5 sources.payments.clientIdd: unknown key',
      'f:8:19 sources.payments.clientSecret: the file /cfg/gone does not exist',
      'f:9:13 sources.payments.issuer: http:// would send the client secret in clear',
      'f:10:15 sources.payments.lockTime: is not above timeout',
      'f:12:23 callers.orders.sources[0]: there is no source of this name',
    ]);
  });

  it('reports a name that is given twice, where it is the second time, beside other problems', async () => {
    const text = `${stringify(VALID)}  orders: {}\nlog: { level: loud }\n`;
    const problems = await problemsOf(text);
    const lines = text.split('\n');
    expect(problems).toMatchObject([
      { path: 'callers.orders', line: lines.indexOf('  orders: {}') + 1, column: 3, message: 'is given twice' },
      { path: 'log.level' },
    ]);
  });

  it.each([
    ['an open bracket', 'nats: { servers: [a\nredis: {}\n'],
    ['a tab', 'nats:\n\tservers: [a]\n'],
    ['a second document', `${stringify(VALID)}---\na: 1\n`],
    ['text after a quoted value', `nats: { password: "a" ${CANARY} }\n`],
    ['an unknown escape', `nats: { password: "\\q${CANARY}" }\n`],
    ['an unknown anchor', `nats: *${CANARY}\n`],
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(9)}]\nc: &c [${'*b,'.repeat(9)}]\nd: [${'*c,'.repeat(9)}]\n`,
    ],
  ])('malformed YAML: %s', async (_name, text) => {
    const [first] = await problemsOf(text);
    expect(first?.message).toMatch(/^malformed YAML|alias/);
    expect(formatProblems(await problemsOf(text), 'f')).not.toContain(CANARY);
  });

  it('advises quotes where a reference breaks the YAML', async () => {
    const problems = await problemsOf('encryption: { keys: [{ id: a, secret: ${env:LEAK} }] }\n');
    expect(problems[0]?.hint).toBe('put values with ${…} in quotes');
  });

  it.each(['', '# nothing\n', 'null\n', '[]\n', 'text\n', '7\n'])(
    'refuses %j, which holds no settings',
    async (text) => {
      expect(await problemsOf(text)).not.toEqual([]);
    },
  );

  it('refuses a name that would reach the prototype of an object, and aliases that contain themselves', async () => {
    expect(await problemsOf(`${stringify(VALID)}  __proto__: { admin: true }\n`)).toMatchObject([
      { path: 'callers.__proto__', message: 'is not a possible name' },
    ]);
    expect((await problemsOf(`${stringify(VALID)}log: &a { level: *a }\n`)).map(({ path }) => path)).toEqual([
      'log.level',
    ]);
  });

  it('never throws and never shows a secret, whatever is put in the place of a value', async () => {
    const leaves = ['nats', 'nats/servers', 'nats/password', 'redis', 'redis/url', 'encryption', 'encryption/keys'];
    leaves.push(
      'sources',
      S,
      `${S}/clientSecret`,
      `${S}/issuer`,
      `${S}/scope`,
      `${S}/refresh`,
      'callers',
      'callers/orders',
    );
    const secret = fc.constantFrom(CANARY, [CANARY], { a: CANARY }, '${env:LEAK}', ['${env:LEAK}'], `\${file:open}`);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...leaves), fc.oneof(secret, fc.jsonValue()), async (path, value) => {
        const problems = await problemsOf(having({ [path]: value }));
        expect(formatProblems(problems, 'f')).not.toContain(CANARY);
        for (const { line, column } of problems) expect(Math.min(line, column)).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });
});
