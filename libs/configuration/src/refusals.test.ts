import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { CANARY, changed, itRefuses, KEY, problemsOf, VALID } from './fakes/refused-documents.js';
import { formatProblems } from './index.js';

itRefuses({
  keys: [
    [
      'unknown key',
      { 'sources/payments/clientIdd': 'x' },
      'sources.payments.clientIdd',
      'unknown key (did you mean "clientId"?)',
    ],
    ['unknown section', { sorces: {} }, 'sorces', 'unknown key (did you mean "sources"?)'],
    ['missing section', { redis: undefined }, 'redis', 'is required'],
    ['missing setting', { 'sources/payments/clientId': undefined }, 'sources.payments.clientId', 'is required'],
  ],
  types: [
    [
      'wrong type: number for text',
      { 'sources/payments/clientId': 12 },
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
    ['flag that is neither', { 'callers/orders/admin': 'yes' }, 'callers.orders.admin', 'expected true or false'],
    ['log level', { 'log/level': 'warning' }, 'log.level', 'did you mean "warn"?'],
    ['no partitions', { 'cluster/partitions': 0 }, 'cluster.partitions', 'from 1 to 1024'],
    ['size without a known unit', { 'memory/maxBytes': '64MB' }, 'memory.maxBytes', 'units: B, KiB'],
  ],
  'references and secrets': [
    [
      'undefined variable',
      { 'sources/payments/clientSecret': '${env:LEEK}' },
      'sources.payments.clientSecret',
      'LEEK is not set (did you mean "LEAK"?)',
    ],
    [
      'unknown reference',
      { 'sources/payments/clientSecret': '${vault:x}' },
      'sources.payments.clientSecret',
      'unknown reference',
    ],
    [
      'unclosed reference',
      { 'sources/payments/clientSecret': 'a${env:LEAK' },
      'sources.payments.clientSecret',
      'unknown reference',
    ],
    [
      'unreadable secret file',
      { 'sources/payments/clientSecret': '${file:denied}' },
      'sources.payments.clientSecret',
      'the file /cfg/denied cannot be read: permission denied',
    ],
    [
      'absent secret file',
      { 'sources/payments/clientSecret': '${file:/gone}' },
      'sources.payments.clientSecret',
      'the file /gone does not exist',
    ],
    [
      'world-readable secret file',
      { 'sources/payments/clientSecret': '${file:open}' },
      'sources.payments.clientSecret',
      'everybody can read the file /cfg/open (chmod o= /cfg/open)',
    ],
    ['empty secret', { 'sources/payments/clientSecret': '' }, 'sources.payments.clientSecret', 'the secret is empty'],
    [
      'empty secret from a variable',
      { 'sources/payments/clientSecret': '${env:EMPTY}' },
      'sources.payments.clientSecret',
      'the secret is empty',
    ],
  ],
  'encryption keys': [
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
  ],
  durations: [
    ['negative duration', { 'cluster/tick': '-1s' }, 'cluster.tick', 'never negative'],
    ['negative number as a duration', { 'cluster/tick': -1 }, 'cluster.tick', 'never negative'],
    ['unit-less duration', { 'cluster/tick': 5 }, 'cluster.tick', 'the unit is missing'],
    ['unit-less duration in text', { 'cluster/tick': '5' }, 'cluster.tick', 'the unit is missing'],
    [
      'duration beyond what a timer holds',
      { 'sources/payments/timeout': '30d' },
      'sources.payments.timeout',
      'is too long: at most 10m',
    ],
    ['zero duration', { 'sources/payments/timeout': '0s' }, 'sources.payments.timeout', 'is too short'],
    [
      'staleness bound within three ticks',
      { cluster: { tick: '1s', maxStaleness: '3s' } },
      'cluster.maxStaleness',
      'three ticks',
    ],
  ],
  names: [
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
  ],
});

describe('a refused configuration', () => {
  it('starts from a valid one', async () => {
    expect(await problemsOf(stringify(VALID))).toEqual([]);
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

  it('never throws and never shows a secret, whatever is put in the place of a value', async () => {
    const leaves = ['nats', 'nats/servers', 'nats/password', 'redis', 'redis/url', 'encryption', 'encryption/keys'];
    leaves.push(
      'sources',
      'sources/payments',
      'sources/payments/clientSecret',
      'sources/payments/issuer',
      'sources/payments/scope',
      'sources/payments/refresh',
      'callers',
      'callers/orders',
    );
    const secret = fc.constantFrom(CANARY, [CANARY], { a: CANARY }, '${env:LEAK}', ['${env:LEAK}'], `\${file:open}`);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...leaves), fc.oneof(secret, fc.jsonValue()), async (path, value) => {
        const problems = await problemsOf(changed({ [path]: value }));
        expect(formatProblems(problems, 'f')).not.toContain(CANARY);
        for (const { line, column } of problems) expect(Math.min(line, column)).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });
});
