import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorOf, LOGIN, runOn, throwing, TOKEN, type Given, type Outcome } from './fakes/run.js';

let directory = '';
let clock = new VirtualClock();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tokenctl-get-'));
  clock = new VirtualClock();
});
afterEach(() => rm(directory, { recursive: true }));

const LONG_LIVED: Given = { get: () => Promise.resolve({ expiresInMs: 3_600_000 }) };

function run(args: readonly string[], given: Given = {}): Promise<Outcome> {
  const env = { ...LOGIN, TOKENCTL_CACHE_DIR: directory, ...given.env };
  return runOn(clock, args, { ...LONG_LIVED, ...given, env });
}

const get = (...more: string[]): Promise<Outcome> => run(['get', 'payments', ...more]);
/** Nothing was connected to. */
const isWarm = (outcome: Outcome): boolean => outcome.code === 0 && outcome.settings === undefined;

describe('get, again', () => {
  it('connects to nothing, and says where the token is from (D2)', async () => {
    expect(isWarm(await get())).toBe(false);
    await clock.advance(1_000);
    const again = await get();
    expect(isWarm(again)).toBe(true);
    expect(again.stdout).toBe(`${TOKEN}\n`);
    expect(again.stderr).toContain('expires in 59 m 59 s');
    expect(again.stderr).toMatch(/, from the cache\n$/);
    expect(JSON.parse((await get('--json')).stdout)).toMatchObject({ accessToken: TOKEN, expiresInMs: 3_599_000 });
  });

  it.each([
    [['--caller', 'ops2'], {}],
    [['--user', 'ops2'], {}],
    [['--server', 'nats://other'], {}],
    [['--prefix', 'staging'], {}],
    [['--scope', 'read'], {}],
    [['--audience', 'x'], {}],
    [['--resource', 'urn:x'], {}],
    [['--min-ttl', '2h'], {}],
    [['--no-cache'], {}],
    [[], { TOKENCTL_USER: 'ops2' }],
    [[], { TOKENCTL_SERVER: 'nats://other' }],
    [[], { TOKENCTL_CACHE_TTL: '0' }],
    [[], { TOKENCTL_CACHE_TTL: '0s' }],
    [[], { TOKENCTL_CACHE_DIR: '', HOME: '' }],
  ])('asks a broker where it is not the same, or not wanted (D4, D5): %j %j', async (args, env) => {
    await get();
    expect(isWarm(await run(['get', 'payments', ...args], { env }))).toBe(false);
    expect(isWarm(await get())).toBe(true);
  });

  it('asks a broker for another subject', async () => {
    const args = ['get', 'payments', '--subject-token-stdin'];
    await run(args, { secret: 'one' });
    expect(isWarm(await run(args, { secret: 'two' }))).toBe(false);
    expect(isWarm(await run(args, { secret: 'one' }))).toBe(true);
  });

  it('keeps nothing with --no-cache, and without a time to keep it for', async () => {
    await get('--no-cache');
    await run(['get', 'payments'], { env: { TOKENCTL_CACHE_TTL: '0' } });
    expect(await readdir(directory)).toEqual([]);
  });

  it('honours TOKENCTL_CACHE_TTL, by default 5 minutes (D5)', async () => {
    await get();
    await clock.advance(299_999);
    expect(isWarm(await get())).toBe(true);
    expect(isWarm(await run(['get', 'payments'], { env: { TOKENCTL_CACHE_TTL: '10m' } }))).toBe(true);
    await clock.advance(1);
    expect(isWarm(await get())).toBe(false);
    const bad = await run(['get', 'payments', '--json'], { env: { TOKENCTL_CACHE_TTL: '5' } });
    expect(bad).toMatchObject({ code: 2, settings: undefined });
    expect(errorOf(bad).message).toContain('TOKENCTL_CACHE_TTL: the unit is missing');
  });

  it('says what is wrong with the cache to those who ask, also beside JSON (D3)', async () => {
    const env = { TOKENCTL_CACHE_DIR: join(import.meta.dirname, 'get-cache.test.ts') };
    const quiet = await run(['get', 'payments', '--json'], { env });
    expect(quiet).toMatchObject({ code: 0, stderr: '' });
    const loud = await run(['get', 'payments', '--json', '--verbose'], { env });
    expect(loud.stderr).toMatch(/^debug: cache: .* \(ENOTDIR\)\n/);
    expect(JSON.parse(loud.stdout)).toMatchObject({ accessToken: TOKEN });
  });

  it('still needs a login, and every answer of a broker is its own: a failure is not kept (D6)', async () => {
    const failed = await run(['get', 'payments'], { get: throwing('IDP_UNAVAILABLE') });
    expect(failed).toMatchObject({ code: 3, stdout: '' });
    expect(isWarm(await get())).toBe(false);
    expect(await run(['get', 'payments'], { env: { TOKENCTL_PASSWORD: '' } })).toMatchObject({ code: 2 });
  });

  it('reads a password from standard input once', async () => {
    const args = ['get', 'payments', '--user', 'ops', '--password-file', '-'];
    const { settings } = await run(args, { files: { '-': 'typed\n' } });
    expect(settings?.login.kind === 'user' && settings.login.password.reveal()).toBe('typed');
  });

  it('tells kubectl alone, and warns all the same', async () => {
    const args = ['get', 'payments', '--output', 'exec-credential', '--min-ttl', '2h'];
    const { stdout, stderr } = await run(args);
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'ExecCredential',
      status: { token: TOKEN, expirationTimestamp: '2026-01-01T01:00:00Z' },
    });
    expect(stderr).toMatch(/^warning: less life is left than 2 h 0 m[^\n]*\n$/);
  });

  it('leaves neither password nor subject token on disk', async () => {
    await run(['get', 'payments', '--subject-token-stdin'], { secret: 'canary-subject' });
    const names = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = names.filter((name) => name.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
    expect(texts.join()).toContain(TOKEN);
    expect([...files, ...texts].join()).not.toMatch(/canary|hidden-password/);
  });
});

describe('what a token on disk does not outlive', () => {
  it.each([
    ['a revocation of its source', ['revoke', '--source', 'payments', '--yes', '--reason', 'test'], 'asks'],
    [
      'a revocation by somebody else of this user',
      ['revoke', '--all', '--yes', '--reason', 'test', '--caller', 'admin'],
      'asks',
    ],
    ['a new refresh token', ['refresh-token', 'set', 'payments'], 'asks'],
    ['a logout', ['logout'], 'asks'],
    ['a revocation of another source', ['revoke', '--source', 'mailbox', '--yes', '--reason', 'test'], 'is warm'],
    ['a dry run', ['revoke', '--all', '--dry-run'], 'is warm'],
  ])('%s', async (_what, args, then) => {
    await get();
    expect(await run(args, { secret: 'refresh' })).toMatchObject({ code: 0 });
    expect(isWarm(await get())).toBe(then === 'is warm');
  });

  it('a revocation that may have happened', async () => {
    await get();
    expect(await run(['revoke', '--all', '--yes', '--reason', 'test'], { revoke: throwing('DEADLINE') })).toMatchObject(
      { code: 3 },
    );
    expect(isWarm(await get())).toBe(false);
  });

  it('logout connects to nothing and needs no login', async () => {
    await get();
    const env = { TOKENCTL_USER: '', TOKENCTL_PASSWORD: '' };
    const outcome = await run(['logout'], { env });
    expect(outcome).toMatchObject({ code: 0, settings: undefined, stdout: 'Forgotten: 1 token on this machine.\n' });
    expect(JSON.parse((await run(['logout', '--json'], { env })).stdout)).toEqual({ tokens: 0 });
  });
});
