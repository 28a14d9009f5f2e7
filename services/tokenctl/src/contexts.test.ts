import { chmod, lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConnectionSettings } from './connection-settings.js';
import { errorOf, runOn, type Given, type Outcome } from './fakes/run.js';

let home = '';
let clock = new VirtualClock();

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tokenctl-contexts-'));
  clock = new VirtualClock();
});
afterEach(() => rm(home, { recursive: true }));

const FILES = { '/p/ops': 'ops-password\n', '/p/dev': 'dev-password', '/c': 'CREDS', '/ca': 'PEM' };

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const get: Given['get'] = () => Promise.resolve({ expiresInMs: 3_600_000 });
  return runOn(clock, args, { env: { HOME: home, ...env }, files: FILES, get });
}

const PROD = [
  '--server',
  'tls://prod',
  '--user',
  'ops',
  '--password-file',
  '/p/ops',
  '--tls-ca',
  '/ca',
  '--prefix',
  'p',
];
const DEV = ['--server', 'nats://dev', '--user', 'dev', '--password-file', '/p/dev', '--caller', 'orders'];
const file = (): string => join(home, '.config', 'tokenctl', 'contexts.json');

async function add(name: string, options: readonly string[]): Promise<void> {
  expect(await run(['context', 'add', name, ...options])).toMatchObject({ code: 0, settings: undefined });
}
const passwordOf = (settings?: ConnectionSettings): string | undefined =>
  settings?.login.kind === 'user' ? settings.login.password.reveal() : undefined;

describe('a context', () => {
  it('says how to connect: the first one at once, another one by name', async () => {
    await add('prod', PROD);
    await add('dev', DEV);
    const prod = await run(['status']);
    expect(prod.settings).toMatchObject({ servers: ['tls://prod'], caller: 'ops', subjectPrefix: 'p', ca: 'PEM' });
    expect(passwordOf(prod.settings)).toBe('ops-password');
    for (const [args, env] of [
      [['status', '--context', 'dev'], {}],
      [['--context', 'dev', 'status'], { TOKENCTL_CONTEXT: 'prod' }],
      [['status'], { TOKENCTL_CONTEXT: 'dev' }],
    ] as const) {
      const { settings } = await run(args, env);
      expect(settings).toMatchObject({ servers: ['nats://dev'], caller: 'orders' });
      expect(settings).not.toHaveProperty('ca');
      expect(passwordOf(settings)).toBe('dev-password');
    }
    expect((await run(['context', 'use', 'dev'])).stdout).toBe('Using: dev.\n');
    expect((await run(['status'])).settings?.caller).toBe('orders');
  });

  it('gives way to the environment, and that to options', async () => {
    await add('prod', PROD);
    const env = { TOKENCTL_SERVER: 'nats://env', TOKENCTL_PREFIX: 'e', TOKENCTL_CALLER: 'env' };
    expect((await run(['status'], env)).settings).toMatchObject({
      servers: ['nats://env'],
      subjectPrefix: 'e',
      caller: 'env',
      ca: 'PEM',
    });
    const args = ['status', '--server', 'nats://option', '--prefix', 'o', '--caller', 'option'];
    expect((await run(args, env)).settings).toMatchObject({
      servers: ['nats://option'],
      subjectPrefix: 'o',
      caller: 'option',
    });
    expect(passwordOf((await run(['status'], { TOKENCTL_PASSWORD: 'env-password' })).settings)).toBe('env-password');
  });

  it('never lends its password or its caller to another login (D4)', async () => {
    await add('dev', DEV);
    for (const [args, env] of [
      [['--user', 'other'], {}],
      [[], { TOKENCTL_USER: 'other' }],
    ] as const) {
      const outcome = await run(['status', ...args], env);
      expect(outcome).toMatchObject({ code: 2, settings: undefined });
      expect(outcome.stderr).toContain('no password for the NATS user "other"');
      expect((await run(['status', ...args], { ...env, TOKENCTL_PASSWORD: 'x' })).settings?.caller).toBe('other');
    }
    const creds = await run(['status', '--creds', '/c']);
    expect(creds.stderr).toContain('not said who asks');
  });

  it('is kept whole, for this user alone, with absolute paths and without a secret', async () => {
    await run(['context', 'add', 'prod', '--user', 'ops', '--password-file', 'ops.password'], {
      TOKENCTL_PASSWORD: 'canary-password',
      TOKENCTL_SERVER: 'nats://env',
    });
    expect((await lstat(file())).mode & 0o777).toBe(0o600);
    expect((await lstat(join(file(), '..'))).mode & 0o777).toBe(0o700);
    expect(JSON.parse(await readFile(file(), 'utf8'))).toEqual({
      v: 1,
      current: 'prod',
      contexts: [{ name: 'prod', user: 'ops', passwordFile: resolve('ops.password') }],
    });
  });

  it('is in XDG_CONFIG_HOME where that is set', async () => {
    const env = { XDG_CONFIG_HOME: join(home, 'xdg') };
    await run(['context', 'add', 'prod', ...PROD], env);
    expect((await run(['status'], env)).settings?.caller).toBe('ops');
    expect((await run(['status'])).code).toBe(2);
  });

  it('is replaced by one of the same name', async () => {
    await add('prod', PROD);
    expect((await run(['context', 'add', 'prod', ...DEV])).stdout).toMatch(/^Replaced: prod, which is used/);
    expect((await run(['status'])).settings).toMatchObject({ servers: ['nats://dev'], caller: 'orders' });
  });

  it('is listed and shown', async () => {
    expect((await run(['context', 'list'])).stdout).toBe('There is no context.\n');
    await add('prod', PROD);
    await add('dev', DEV);
    expect((await run(['context', 'list'])).stdout).toBe(
      [
        '    NAME   SERVER       LOGIN   CALLER',
        '    dev    nats://dev   dev     orders',
        '*   prod   tls://prod   ops     ops',
        '',
      ].join('\n'),
    );
    expect(JSON.parse((await run(['context', 'list', '--json'])).stdout)).toMatchObject({
      contexts: [
        { name: 'dev', current: false },
        { name: 'prod', current: true, passwordFile: '/p/ops' },
      ],
    });
    expect((await run(['context', 'show', 'dev'])).stdout).toContain('passwordFile /p/dev\n');
    expect((await run(['context', 'show'])).stdout).toContain('name         prod\n');
    expect((await run(['context', 'show', '--context', 'dev'])).stdout).toContain('name         dev\n');
  });

  it.each([
    [['context', 'use', 'none'], /no context "none"/],
    [['context', 'remove', 'none'], /no context "none"/],
    [['context', 'show'], /no context is in use/],
    [['logout', 'none'], /no context "none"/],
    [['status', '--context', 'none'], /no context "none"/],
    [['context', 'add', 'x'], /not said what to keep/],
    [['context', 'add', '../x', '--user', 'a'], /no name of a context/],
    [['context', 'add', 'x', '--user', 'a', '--creds', 'b'], /exclude each other/],
    [['context', 'add', 'x', '--server', 'nats://a:hunter2@b'], /holds credentials/],
    [['context', 'add', 'x', '--server', 'a', '--password-file', 'b'], /without a user/],
    [['context', 'add', 'x', '--user', 'a', '--password-file', '-'], /standard input/],
    [['context', 'add', 'x', '--user', 'a.b'], /not a name/],
    [['context', 'add', 'x', '--prefix', '>'], /not a name/],
    [['context', 'add', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln', '--user', 'a'], /a token is not taken/],
  ])('is refused with 2 where the command line is wrong: %j', async (args, why) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ code: 2, stdout: '', settings: undefined });
    expect(outcome.stderr).toMatch(why);
    expect(outcome.stderr).not.toMatch(/hunter2|c2ln/);
    await expect(lstat(file())).rejects.toThrow('ENOENT');
  });

  it.each<[string, () => Promise<void>, RegExp]>([
    ['torn', async () => writeFile(file(), (await readFile(file())).subarray(0, 30)), /holds no contexts/],
    ['of another version', () => writeFile(file(), '{"v":2,"contexts":[]}'), /holds no contexts/],
    ['with an unknown field', () => writeFile(file(), '{"v":1,"contexts":[{"name":"a","x":"y"}]}'), /no contexts/],
    ['with a number', () => writeFile(file(), '{"v":1,"contexts":[{"name":"a","user":1}]}'), /no contexts/],
    ['open to others', () => chmod(file(), 0o666), /others may read or write it/],
    [
      'a link',
      async () => {
        await rm(file());
        await mkdir(join(home, 'elsewhere'));
        await symlink(join(home, 'elsewhere'), file());
      },
      /ELOOP/,
    ],
  ])('is never guessed at: a file that is %s ends with 2', async (_what, spoil, why) => {
    await add('prod', PROD);
    await spoil();
    const outcome = await run(['status', '--json']);
    expect(outcome).toMatchObject({ code: 2, settings: undefined });
    expect(errorOf(outcome).message).toMatch(why);
  });
});

describe('forgetting a context', () => {
  const isWarm = async (name: string): Promise<boolean> =>
    (await run(['get', 'payments', '--context', name])).settings === undefined;

  it.each([['context', 'remove', 'prod'] as const, ['logout', 'prod'] as const])(
    'by %s %s forgets its tokens, and no others',
    async (...args) => {
      await add('prod', PROD);
      await add('dev', DEV);
      expect([await isWarm('prod'), await isWarm('dev')]).toEqual([false, false]);
      expect((await run(args)).stdout).toBe('Forgotten: prod, and its tokens on this machine.\n');
      expect((await run(['status', '--context', 'prod'])).code).toBe(2);
      expect(await isWarm('dev')).toBe(true);
      // It was the current one: none is now.
      expect((await run(['context', 'show'])).code).toBe(2);
      await add('prod', PROD);
      expect(await isWarm('prod')).toBe(false);
    },
  );

  it('leaves contexts where only tokens are to go', async () => {
    await add('prod', PROD);
    await isWarm('prod');
    expect((await run(['logout'])).stdout).toBe('Forgotten: 1 token on this machine.\n');
    expect(await isWarm('prod')).toBe(false);
    expect((await run(['context', 'show'])).code).toBe(0);
  });

  it('forgets every token where it is not known whose the context’s are', async () => {
    await add('prod', ['--creds', '/c']);
    await add('dev', DEV);
    await isWarm('dev');
    await run(['logout', 'prod']);
    expect(await isWarm('dev')).toBe(false);
  });
});
