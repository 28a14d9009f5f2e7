import { readFile } from 'node:fs/promises';
import { ERRORS, type ErrorCode, type ReloadReply, type RevokeReply } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { EXIT_OF } from './exit-codes.js';
import {
  errorOf,
  GENERATION,
  LOGIN,
  REVOKED,
  runOn,
  SLOT,
  throwing,
  TOKEN,
  type Given,
  type Outcome,
} from './fakes/run.js';

const run = (args: readonly string[], given?: Given): Promise<Outcome> => runOn(new VirtualClock(), args, given);

describe('a command line that is wrong', () => {
  it.each([
    [['slotz'], /Did you mean slots\?/],
    [['slots', '--sorce', 'x'], /Did you mean --source\?/],
    [['get'], /missing required argument 'source'/],
    [['check'], /missing required argument 'file'/],
    [['get', 'payments', 'more'], /too many arguments/],
    [['status', '--timeout', '5'], /the unit is missing/],
    [['status', '--timeout', '0s'], /above 0/],
    [['status', '--timeout', '121s'], /at most 2m/],
    [['status', '--timeout', '-1s'], /never negative/],
    [['status', '--timeout'], /argument missing/],
    [['slots', '--limit', '0'], /whole number from 1 to 1000/],
    [['slots', '--limit', '1e2'], /whole number from 1 to 1000/],
    [['slots', '--source', ''], /the source is empty/],
    [['get', '*'], /"\*" is no source/],
    [['get', 'payments', '--output', 'xml'], /Allowed choices are raw, header, json, env, exec-credential/],
    [['revoke', '--yes'], /not said what to revoke/],
    [['revoke', '--yes', '--source', ''], /the source is empty/],
    [['revoke', '--yes', '--source', '*'], /"\*" is no source/],
    [['revoke', '--yes', '--slot', '*'], /that is no slot/],
    [['revoke', '--yes', '--source', 'a', '--source', 'b'], /given twice/],
    [['revoke', '--yes', '--source', 'a', '--all'], /exclude each other/],
    [['revoke', '--yes', '--slot', SLOT, '--all'], /exclude each other/],
    [['revoke', '--all', '--dry-run', '--wait'], /exclude each other/],
    [['revoke', '--all', '--yes', '--reason', 'x'.repeat(501)], /too long/],
    [['status', '--user', 'a', '--creds', 'b'], /exclude each other/],
    [['status', '--server', 'http://127.0.0.1'], /not a NATS address/],
    [['status', '--server', ''], /not a NATS address/],
    [['status', '--caller', 'a.b'], /not a name/],
    [['status', '--prefix', '>'], /not a name/],
    [['status', '--tls-ca', 'none.pem'], /none\.pem cannot be read \(ENOENT\)/],
  ])('ends with 2 and says why, before anything is connected: %j', async (args, why) => {
    const people = await run(args);
    expect(people).toMatchObject({ code: 2, stdout: '', settings: undefined });
    expect(people.stderr).toMatch(why);
    const machines = await run([...args, '--json']);
    // `--timeout --json` takes the flag for its value.
    if (args.at(-1) === '--timeout') return;
    expect(machines.code).toBe(2);
    expect(errorOf(machines)).toMatchObject({ code: 'USAGE' });
    expect(machines.stderr).toBe('');
  });

  it('without a command shows the help and ends with 2', async () => {
    const outcome = await run([]);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain('Usage: tokenctl');
  });

  it.each([
    ['get', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'],
    ['revoke', '--slot', 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'],
    ['status', '--password', 'hunter2-c2ln'],
    ['status', '--password=hunter2-c2ln'],
    ['revoke', '--token', 'opaque-c2ln'],
    ['status', '--server', 'nats://ops:hunter2-c2ln@127.0.0.1'],
    ['revoke', '--yes', '--slot', 'an-opaque-token-of-another-length-c2ln!'],
    ['get', `${'x'.repeat(80)}-c2ln`],
  ])('with a secret as an argument is refused, and the secret is not repeated: %s %s', async (...args) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ code: 2, settings: undefined, stdout: '' });
    expect(outcome.stderr).not.toContain('c2ln');
  });
});

describe('help', () => {
  it.each([
    'get',
    'context',
    'logout',
    'status',
    'sources',
    'slots',
    'describe',
    'quota',
    'revoke',
    'refresh',
    'refresh-token',
    'watch',
    'top',
    'doctor',
    'completion',
    'reload',
    'check',
    'nats-permissions',
  ])('of %s has examples and the global options, and ends with 0', async (command) => {
    const { code, stdout, stderr } = await run([command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Examples:\n  tokenctl ${command === 'reload' ? 'check' : command}`);
    expect(stdout).toContain('--server <urls>');
  });

  it('of the program lists the exit codes', async () => {
    const { stdout } = await run(['--help']);
    expect(stdout).toContain('4  denied');
    expect(stdout).toMatch(/--timeout <duration> +for connecting, and for each request\n/);
  });

  it('has a version', async () => {
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('the connection', () => {
  it('takes user and password from the environment, and the user for the caller', async () => {
    const { settings } = await run(['status'], { env: { ...LOGIN, TOKENCTL_SERVER: 'nats://a:1, tls://b' } });
    expect(settings).toMatchObject({ servers: ['nats://a:1', 'tls://b'], caller: 'ops', timeoutMs: 10_000 });
    expect(settings?.login.kind === 'user' && settings.login.password.reveal()).toBe('hidden-password');
  });

  it('lets options win over the environment', async () => {
    const { settings } = await run(
      ['status', '--creds', 'ops.creds', '--caller', 'ops2', '--server', 'c:4', '--timeout', '1.5s', '--prefix', 'tb'],
      { env: { ...LOGIN, TOKENCTL_SERVER: 'nats://a:1' }, files: { 'ops.creds': 'CREDS' } },
    );
    expect(settings).toMatchObject({ servers: ['c:4'], caller: 'ops2', timeoutMs: 1_500, subjectPrefix: 'tb' });
    expect(settings?.login.kind).toBe('creds');
  });

  it('reads the password from standard input without its newline', async () => {
    const { settings } = await run(['status', '--password-file', '-', '--user', 'ops'], {
      env: { TOKENCTL_PASSWORD: 'not this one' },
      files: { '-': 'typed\r\n' },
    });
    expect(settings?.login.kind === 'user' && settings.login.password.reveal()).toBe('typed');
  });

  it.each([
    [{}, /not said who asks/],
    [{ TOKENCTL_USER: 'ops' }, /no password for the NATS user "ops"/],
    [{ TOKENCTL_USER: 'ops', TOKENCTL_PASSWORD: '' }, /no password/],
    [{ TOKENCTL_CREDS: 'a', TOKENCTL_NKEY_FILE: 'b' }, /exclude each other/],
  ])('is refused where the environment says too little or too much: %j', async (env, why) => {
    const { code, stderr } = await run(['status'], { env });
    expect(code).toBe(2);
    expect(stderr).toMatch(why);
  });

  it('is closed after a command that failed, too', async () => {
    expect((await run(['get', 'payments'], { get: throwing('FORBIDDEN') })).closed).toBe(1);
    expect((await run(['status'])).closed).toBe(1);
  });
});

describe('errors of brokers', () => {
  it.each(Object.keys(ERRORS) as ErrorCode[])('%s: what happened, what to do, and its exit code', async (code) => {
    const people = await run(['get', 'payments'], { get: throwing(code) });
    expect(people).toMatchObject({ code: EXIT_OF[code], stdout: '' });
    expect(people.stderr).toBe(`error: it failed [${code}]\n${ERRORS[code].remedy}\n`);
    const machines = await run(['get', 'payments', '--json'], { get: throwing(code) });
    expect(JSON.parse(machines.stdout)).toEqual({ error: { code, message: 'it failed', remedy: ERRORS[code].remedy } });
    expect(machines.stderr).toBe('');
  });

  it('tell usage, absence and denial apart', () => {
    expect([EXIT_OF.BAD_REQUEST, EXIT_OF.UNKNOWN_SOURCE]).toEqual([2, 2]);
    expect([EXIT_OF.STORE_UNAVAILABLE, EXIT_OF.IDP_UNAVAILABLE, EXIT_OF.DEADLINE, EXIT_OF.BROKER_UNAVAILABLE]).toEqual([
      3, 3, 3, 3,
    ]);
    expect([EXIT_OF.FORBIDDEN, EXIT_OF.IDP_DENIED]).toEqual([4, 4]);
  });

  it('cannot steer the terminal', async () => {
    const { stderr } = await run(['get', 'payments'], { get: throwing('FORBIDDEN', 'no\u001b[2Jway') });
    expect(stderr).toContain('no [2Jway');
  });
});

describe('get', () => {
  it('prints the token alone on standard output, and what is known of it on standard error', async () => {
    const outcome = await run([
      'get',
      'payments',
      '--scope',
      'a b',
      '--audience',
      'x',
      '--resource',
      'urn:y',
      '--min-ttl',
      '30s',
    ]);
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toBe(`${TOKEN}\n`);
    expect(outcome.stderr).toBe(
      'payments: bearer, expires in 1 m 0 s, generation 2026-11-05 12:34:56.789, scope "read"\n',
    );
    expect(outcome.requests).toEqual([
      { source: 'payments', parameters: { scope: 'a b', audience: 'x', resource: 'urn:y' }, minTtlMs: 30_000 },
    ]);
  });

  it('prints a header line, or an object', async () => {
    expect((await run(['get', 'payments', '--output', 'header'])).stdout).toBe(`Authorization: Bearer ${TOKEN}\n`);
    const json = await run(['get', 'payments', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ source: 'payments', accessToken: TOKEN, expiresInMs: 60_000 });
    expect(json.stderr).toBe('');
    const both = await run(['get', 'payments', '--json', '--output', 'raw']);
    expect(both).toMatchObject({ code: 2, requests: [] });
    expect(errorOf(both).message).toContain('exclude each other');
  });

  it('warns of a token that is not verified, or lives shorter than was wished', async () => {
    const { stderr } = await run(['get', 'payments', '--min-ttl', '2m'], {
      get: () => Promise.resolve({ verified: false }),
    });
    expect(stderr).toContain('warning: the broker cannot see Redis now');
    expect(stderr).toContain('warning: less life is left than 2 m 0 s');
  });
});

describe('slots', () => {
  const slots = [
    { source: 'payments', slot: SLOT, partition: 1, epoch: 1, generation: GENERATION, expiresInMs: 95_000 },
  ];

  it('prints a table', async () => {
    const { stdout, stderr, requests } = await run(['slots', '--source', 'payments', '--limit', '1'], {
      list: { v: 1, slots, truncated: true },
    });
    expect(stdout).toBe(
      [
        'SOURCE     SLOT                     GENERATION (UTC)          EXPIRES IN',
        `payments   ${SLOT}   2026-11-05 12:34:56.789     1 m 35 s`,
        '1 token',
        '',
      ].join('\n'),
    );
    expect(stderr).toContain('there are more');
    expect(requests).toEqual([{ source: 'payments', limit: 1 }]);
  });

  it('prints the reply as JSON, and says when nothing is held', async () => {
    const json = await run(['slots', '--json'], { list: { v: 1, slots, truncated: true } });
    expect(JSON.parse(json.stdout)).toEqual({ v: 1, slots, truncated: true });
    expect((await run(['slots'])).stdout).toBe('No token is held.\n');
  });
});

describe('status', () => {
  it('is one page', async () => {
    expect((await run(['status'])).stdout).toBe(
      [
        'Broker       broker-1 (0.1.0), up 1 h 2 m, ready',
        'Brokers      broker-1, broker-2',
        'NATS         connected',
        'Redis        away, read 1.5 s ago',
        'Partitions   2, 2 invalidations, 1 not read yet',
        'Near caches  1 near cache',
        '',
        'SOURCE     PROVIDER   HELD   IDP CALLS   IDP ERRORS   CALLS SAVED',
        'payments   oauth2        4           5            1         99000',
        '',
        'NEAR CACHE       SEEN',
        'orders/a1    12 s ago',
        '',
      ]
        .join('\n')
        .replace('NEAR CACHE       SEEN', 'NEAR CACHE       SEEN'),
    );
  });

  it('has colours on a terminal only, and not where they are not wanted', async () => {
    const red = '\u001b[31maway';
    expect((await run(['status'], { isTTY: true })).stdout).toContain(red);
    expect((await run(['status', '--no-color'], { isTTY: true })).stdout).not.toContain('\u001b');
    expect((await run(['status'], { isTTY: true, env: { ...LOGIN, NO_COLOR: '1' } })).stdout).not.toContain('\u001b');
    expect((await run(['status', '--json'], { isTTY: true })).stdout).not.toContain('\u001b');
  });
});

describe('revoke', () => {
  it('asks first, and says what would go', async () => {
    const outcome = await run(['revoke', '--source', 'payments'], { answer: true, text: 'leaked' });
    expect(outcome.code).toBe(0);
    expect(outcome.questions).toEqual([
      'Revoke the tokens of source payments: 12 tokens, 3 near caches?',
      'Why? (for the audit trail)',
    ]);
    expect(outcome.requests).toEqual([
      { selector: { source: 'payments' }, dryRun: true },
      { selector: { source: 'payments' }, reason: 'leaked' },
    ]);
    expect(outcome.stdout).toBe(
      [
        'Revoked the tokens of source payments: 12 tokens, in 42 ms.',
        'Brokers: 2 of 2 have confirmed.',
        'Near caches: 3 were told; --wait says who has confirmed.',
        'There is no undo. Brokers fetch again when they are asked, unless the source is paused (`tokenctl pause`).',
        'Revocation revocation-1',
        '',
      ].join('\n'),
    );
  });

  it('revokes nothing without a yes', async () => {
    const outcome = await run(['revoke', '--all'], { answer: false });
    expect(outcome.questions[0]).toContain('EVERY token of EVERY source');
    expect(outcome.requests).toEqual([{ selector: { all: true }, dryRun: true }]);
    expect(outcome).toMatchObject({ code: 1, stderr: 'Nothing was revoked.\n' });
  });

  it('revokes nothing without a reason: who can be asked is asked, others are told', async () => {
    for (const text of ['', '  ']) {
      const asked = await run(['revoke', '--all'], { answer: true, text });
      expect(asked.code).toBe(2);
      expect(asked.requests).toEqual([{ selector: { all: true }, dryRun: true }]);
    }
    const told = await run(['revoke', '--all', '--yes']);
    expect(told).toMatchObject({ code: 2, settings: undefined, requests: [] });
    expect(told.stderr).toContain('--reason "leaked in a log"');
    expect(await run(['revoke', '--all', '--yes', '--reason', ' '])).toMatchObject({ code: 2, requests: [] });
  });

  it.each([[['--source', 'payments']], [['--all']], [['--slot', SLOT]]])(
    'needs --yes where nobody can be asked: %j',
    async (args) => {
      const outcome = await run(['revoke', ...args]);
      expect(outcome).toMatchObject({ code: 2, settings: undefined });
      expect(outcome.stderr).toContain('give --yes');
      expect((await run(['revoke', ...args, '--json'], { answer: true })).code).toBe(2);
      expect((await run(['revoke', ...args, '--yes', '--reason', 'test'])).code).toBe(0);
    },
  );

  it('only looks in a dry run, and needs no yes for it', async () => {
    const outcome = await run(['revoke', '--slot', SLOT, '--dry-run']);
    expect(outcome.code).toBe(0);
    expect(outcome.requests).toEqual([{ selector: { slot: SLOT }, dryRun: true }]);
    expect(outcome.stdout).toBe(
      `Would revoke the token of slot ${SLOT}: 12 tokens, with 3 near caches connected.\nNothing was changed.\n`,
    );
  });

  it('sends what it waits for and why', async () => {
    const { requests, stderr } = await run([
      'revoke',
      '--all',
      '--yes',
      '--wait',
      '--timeout',
      '30s',
      '--reason',
      'leak',
    ]);
    expect(requests).toEqual([{ selector: { all: true }, wait: true, timeoutMs: 30_000, reason: 'leak' }]);
    expect(stderr).toBe('Waiting for near caches to confirm, at most 30 s.\n');
  });

  it('names who has confirmed and who has not, and fails for stragglers', async () => {
    const confirmed = [30, 10, 20].map((afterMs) => ({ caller: 'orders', instance: `i${String(afterMs)}`, afterMs }));
    const stragglers = [{ caller: 'billing', instance: 'z9' }];
    const reply = { ...REVOKED, receipts: { expected: 4, confirmed, stragglers } };
    const outcome = await run(['revoke', '--all', '--yes', '--reason', 'test', '--wait'], {
      revoke: () => Promise.resolve(reply),
    });
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain('Near caches: 3 of 4 have confirmed.\n  after: p50 20 ms, p99 30 ms, max 30 ms\n');
    expect(outcome.stdout).toContain('Stragglers');
    expect(outcome.stdout).toContain('\n  billing/z9\n');
  });

  it.each([
    [{ complete: false, brokers: { expected: 2, acked: 1 } }, 1, /INCOMPLETE.*\n.*1 of 2.*\n.*may still answer/],
    [{ broadcast: false }, 1, /Not broadcast: NATS was away/],
    [{ audited: false }, 1, /Not audited: .*It was revoked all the same/],
    [{ audited: true }, 0, /^Revoked/],
    [{ durable: false }, 0, /Not durable: .*A failover of Redis now could lose it/],
  ])('never promises more than brokers do: %j', async (what, code, text) => {
    const outcome = await run(['revoke', '--all', '--yes', '--reason', 'test'], {
      revoke: () => Promise.resolve({ ...REVOKED, ...what }),
    });
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toMatch(text);
    expect(outcome.stdout.startsWith('Revoked')).toBe(!('complete' in what));
  });

  it('says that nothing matched, which is a failure only by wish', async () => {
    const revoke = (): Promise<RevokeReply> => Promise.resolve({ ...REVOKED, slots: 0 });
    const outcome = await run(['revoke', '--source', 'payments', '--yes', '--reason', 'test'], { revoke });
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain('Nothing matched');
    expect(
      (await run(['revoke', '--source', 'payments', '--yes', '--reason', 'test', '--fail-if-nothing'], { revoke }))
        .code,
    ).toBe(5);
  });

  it.each([
    ['STORE_UNAVAILABLE', /Nothing is promised/],
    ['DEADLINE', /may have happened or not/],
    ['BROKER_UNAVAILABLE', /take it that nothing was revoked/],
  ] as const)('ends with 3 after %s, and says what that means', async (code, text) => {
    const outcome = await run(['revoke', '--all', '--yes', '--reason', 'test'], { revoke: throwing(code) });
    expect(outcome).toMatchObject({ code: 3, stdout: '' });
    expect(outcome.stderr).toMatch(text);
  });

  it('prints the reply as JSON', async () => {
    const { stdout, stderr } = await run(['revoke', '--all', '--yes', '--reason', 'test', '--wait', '--json']);
    expect(JSON.parse(stdout)).toEqual(REVOKED);
    expect(stderr).toBe('');
  });
});

describe('reload', () => {
  it('says what came of it', async () => {
    expect((await run(['reload'])).stdout).toMatch(/^Reloaded\./);
    const unchanged = await run(['reload'], { reload: { v: 1, outcome: 'unchanged', problems: [] } });
    expect(unchanged.stdout).toMatch(/^Unchanged/);
  });

  it('ends with 2 and the problems where the broker refused the file', async () => {
    const reload: ReloadReply = { v: 1, outcome: 'refused', problems: ['broker.yaml:3:1 sources: is missing'] };
    const outcome = await run(['reload'], { reload });
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toContain('broker.yaml:3:1 sources: is missing\nerror: the broker refused');
    const json = await run(['reload', '--json'], { reload });
    expect(errorOf(json)).toMatchObject({ code: 'CONFIGURATION', problems: reload.problems });
  });
});

describe('docs/tokenctl.md', () => {
  it('names every command and every option', async () => {
    const page = await readFile(new URL('../../../docs/tokenctl.md', import.meta.url), 'utf8');
    const help = (await run(['--help'])).stdout;
    const commands = [
      ...help.slice(help.indexOf('Commands:'), help.indexOf('Exit codes:')).matchAll(/^ {2}([a-z-]+) .*/gm),
    ].map(([, name]) => name);
    expect(commands).toContain('nats-permissions');
    const helps = await Promise.all(commands.map(async (name = '') => (await run([name, '--help'])).stdout));
    const options = new Set(helps.join('').match(/(?<=^ {2}(-\w, )?)--[a-z-]+/gm));
    expect(options.size).toBeGreaterThan(20);
    for (const name of commands.filter((name) => name !== 'help')) expect(page).toContain(`\n## ${name ?? ''}\n`);
    for (const option of options) if (!/^--(help|version)$/.test(option)) expect(page).toContain(option);
  });
});
