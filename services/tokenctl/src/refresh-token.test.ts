import { failure, LIMITS, TokenBrokerError } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { errorOf, run, throwing, type Given, type Outcome } from './fakes/run.js';

const SECRET = '1//canary-refresh_token~';

const set = (given?: Given, ...more: string[]): Promise<Outcome> =>
  run(['refresh-token', 'set', 'mailbox', ...more], { secret: SECRET, ...given });

describe('refresh-token set', () => {
  it.each(['', '\n', '\r\n', '\n\n'])(
    'gives the brokers what is on standard input, without its end %j',
    async (end) => {
      const outcome = await set({ secret: `${SECRET}${end}` });
      expect(outcome.code).toBe(0);
      expect(outcome.requests).toEqual([{ source: 'mailbox', refreshToken: SECRET }]);
      expect(outcome.closed).toBe(1);
    },
  );

  it('says what happened and what to do next, and nothing of the token', async () => {
    const { stdout, stderr, questions } = await set();
    expect(stdout).toBe(
      [
        'Set: the brokers spend this refresh token for source mailbox from now on.',
        'Redis has it, and 2 replicas of it.',
        'Next: `tokenctl get mailbox` shows whether the identity provider takes it. Delete every copy: it is spent once, and',
        'whoever uses a spent one makes the identity provider refuse all that came of it.',
        '',
      ].join('\n'),
    );
    expect(stderr).toBe('');
    expect(questions).toEqual(['refresh token of mailbox:']);
  });

  it('says that one was replaced, and that no replica has it', async () => {
    const reply = { v: 1, source: 'mailbox', sequence: 0, replicas: 0, replaced: true } as const;
    const { stdout } = await set({ setRefreshToken: () => Promise.resolve(reply) });
    expect(stdout).toContain('from now on, and the one before never again.');
    expect(stdout).toContain('no replica of it: a failover to one now could lose it');
  });

  it('prints the reply as JSON', async () => {
    const { stdout, stderr } = await set({}, '--json');
    expect(JSON.parse(stdout)).toEqual({ v: 1, source: 'mailbox', sequence: 0, replicas: 2, replaced: false });
    expect(stderr).toBe('');
  });

  it.each([
    ['nothing', '', /but nothing/],
    ['an end of line alone', '\n', /but nothing/],
    ['two lines', `${SECRET}\n${SECRET}`, /more than one line/],
    ['an empty line first', `\n${SECRET}`, /more than one line/],
    ['a space', `Bearer ${SECRET}`, /white space/],
    ['a letter beyond ASCII', `${SECRET}é`, /other characters than visible ASCII/],
    ['a byte order mark', `\uFEFF${SECRET}`, /other characters than visible ASCII/],
    ['a NUL', `${SECRET}\0`, /other characters than visible ASCII/],
    ['too much', 'canary'.repeat(LIMITS.subjectTokenCharacters), /more than 16384 characters/],
  ])('refuses %s with 2, before anything is connected, and repeats nothing', async (_what, secret, why) => {
    const people = await set({ secret });
    expect(people).toMatchObject({ code: 2, stdout: '', settings: undefined, requests: [] });
    expect(people.stderr).toMatch(why);
    expect(people.stderr).not.toContain('canary');
    const machines = await set({ secret }, '--json');
    expect(errorOf(machines)).toMatchObject({ code: 'USAGE' });
    expect(machines.stdout).not.toContain('canary');
  });

  it('takes the longest token that the protocol takes', async () => {
    const secret = 'x'.repeat(LIMITS.subjectTokenCharacters);
    expect((await set({ secret })).requests).toEqual([{ source: 'mailbox', refreshToken: secret }]);
  });

  it.each([
    [['mailbox', SECRET]],
    [['mailbox', '--token', SECRET]],
    [['mailbox', `--refresh-token=${SECRET}`]],
    [['mailbox', 'eyJhbGciOiJub25lIn0.canary.canary']],
    [[SECRET]],
  ])('refuses a token as an argument, and neither reads nor repeats anything: %j', async (args) => {
    const outcome = await run(['refresh-token', 'set', ...args], { secret: SECRET });
    expect(outcome).toMatchObject({ code: 2, stdout: '', settings: undefined, questions: [] });
    expect(outcome.stderr).not.toContain('canary');
    if (args.length > 1)
      expect(outcome.stderr).toMatch(/everybody who can list processes would read it\b[^]*standard input/);
  });

  it.each([
    [['--password-file', '-', '--user', 'ops'], {}],
    [['--creds', '-', '--caller', 'ops'], {}],
    [[], { TOKENCTL_NKEY_FILE: '-', TOKENCTL_CALLER: 'ops' }],
  ])('cannot share standard input with the connection: %j', async (args, env) => {
    const outcome = await set({ env, files: { '-': 'x' } }, ...args);
    expect(outcome).toMatchObject({ code: 2, settings: undefined, questions: [] });
    expect(outcome.stderr).toContain('standard input cannot hold both');
  });

  it.each([
    ['BAD_REQUEST', 2, /authorise it at the identity provider again/],
    ['DEADLINE', 3, /may be set or not/],
    ['STORE_UNAVAILABLE', 3, /may be set or not/],
    ['FORBIDDEN', 4, /Ask an operator/],
  ] as const)('ends after %s with %d, and says what that means', async (code, exitCode, text) => {
    const outcome = await set({ setRefreshToken: throwing(code) });
    expect(outcome).toMatchObject({ code: exitCode, stdout: '', closed: 1 });
    expect(outcome.stderr).toMatch(text);
  });

  it('is what the remedy of REAUTH_REQUIRED tells to run', () => {
    const { remedy } = new TokenBrokerError(failure('REAUTH_REQUIRED', 'x'));
    expect(remedy).toContain('`tokenctl refresh-token set SOURCE`');
  });

  it('has a help of its own', async () => {
    const { code, stdout } = await run(['refresh-token', 'set', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('tokenctl refresh-token set');
    expect(stdout).toContain('--server <urls>');
    expect((await run(['refresh-token'])).code).toBe(2);
    expect((await run(['refresh-token', 'sett', 'mailbox'])).code).toBe(2);
  });
});

describe('get on behalf of somebody', () => {
  const get = (secret: string, ...more: string[]): Promise<Outcome> =>
    run(['get', 'invoices', '--subject-token-stdin', ...more], { secret });

  it('sends the subject token of standard input, and the actor token of its second line', async () => {
    expect((await get('canary-subject\n')).requests).toEqual([
      { source: 'invoices', parameters: { subjectToken: 'canary-subject' }, minTtlMs: undefined },
    ]);
    expect((await get('canary-subject\r\ncanary-actor\r\n', '--scope', 'a')).requests).toEqual([
      {
        source: 'invoices',
        parameters: { scope: 'a', subjectToken: 'canary-subject', actorToken: 'canary-actor' },
        minTtlMs: undefined,
      },
    ]);
  });

  it('reads nothing from standard input without being told to', async () => {
    const { questions, requests } = await run(['get', 'invoices'], { secret: 'canary' });
    expect(questions).toEqual([]);
    expect(requests).toEqual([{ source: 'invoices', parameters: {}, minTtlMs: undefined }]);
  });

  it.each([
    ['', /but nothing/],
    ['canary\n\ncanary', /more than 2 lines/],
    ['canary canary', /white space/],
  ])('refuses %j, and repeats nothing', async (secret, why) => {
    const outcome = await get(secret);
    expect(outcome).toMatchObject({ code: 2, stdout: '', settings: undefined });
    expect(outcome.stderr).toMatch(why);
    expect(outcome.stderr).not.toContain('canary');
  });

  it.each([['--subject-token'], ['--actor-token']])('refuses a token as an argument: %s', async (option) => {
    const outcome = await run(['get', 'invoices', option, 'canary']);
    expect(outcome).toMatchObject({ code: 2, settings: undefined });
    expect(outcome.stderr).toContain('--subject-token-stdin');
    expect(outcome.stderr).not.toContain('canary');
  });
});
