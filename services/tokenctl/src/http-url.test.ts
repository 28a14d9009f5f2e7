import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorOf, LOGIN, runOn, type Outcome } from './fakes/run.js';
import { openHttpDoor } from './http-door.js';

let home = '';
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tokenctl-http-'));
});
afterEach(() => rm(home, { recursive: true }));

const FILES = { '/token': 'operator-token\n', '/other': 'other-token', '/cert': 'CERT', '/key': 'KEY', '/ca': 'CA' };
const URL_OF = 'https://broker-1.example.com:9465';

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return runOn(new VirtualClock(), args, { env: { HOME: home, ...env }, files: FILES });
}
const tokenOf = ({ httpSettings }: Outcome): string | undefined => httpSettings?.token?.reveal();

describe('--url', () => {
  it('goes to the HTTP door, and needs neither a user nor a NATS server', async () => {
    const outcome = await run(['status', '--url', `${URL_OF}/`, '--token-file', '/token', '--tls-ca', '/ca']);
    expect(outcome).toMatchObject({ code: 0, settings: undefined, closed: 1 });
    expect(outcome.httpSettings).toMatchObject({ url: URL_OF, ca: 'CA', timeoutMs: 10_000 });
    expect(tokenOf(outcome)).toBe('operator-token');
    expect(outcome.stdout + outcome.stderr).not.toContain('operator-token');
  });

  it('takes everything from the environment, and a client certificate instead of a token', async () => {
    const fromEnvironment = await run(['slots'], { TOKENCTL_URL: URL_OF, TOKENCTL_TOKEN: 'own-token' });
    expect(tokenOf(fromEnvironment)).toBe('own-token');
    const env = { TOKENCTL_URL: URL_OF, TOKENCTL_TLS_CERT: '/cert', TOKENCTL_TLS_KEY: '/key' };
    const { httpSettings } = await run(['slots'], env);
    expect([httpSettings?.cert, httpSettings?.key?.reveal()]).toEqual(['CERT', 'KEY']);
    expect(httpSettings).not.toHaveProperty('token');
  });

  it('gives way to a NATS server that is named as an option', async () => {
    const outcome = await run(['status', '--server', 'nats://a'], {
      ...LOGIN,
      TOKENCTL_URL: URL_OF,
      TOKENCTL_TOKEN: 't',
    });
    expect(outcome).toMatchObject({ code: 0, httpSettings: undefined });
    expect(outcome.settings?.servers).toEqual(['nats://a']);
  });

  it('hands out no tokens', async () => {
    const outcome = await run(['get', 'payments', '--url', URL_OF, '--token-file', '/token'], LOGIN);
    expect(outcome).toMatchObject({ code: 2, settings: undefined, requests: [] });
    // Where only the environment says so, `get` goes its own way.
    expect(await run(['get', 'payments', '--no-cache'], { ...LOGIN, TOKENCTL_URL: URL_OF })).toMatchObject({ code: 0 });
  });

  it('takes the verbs of pauses and renewals too, and looks at all but the permissions of NATS', async () => {
    const way = ['--url', URL_OF, '--token-file', '/token'];
    for (const verb of ['pause', 'resume'])
      expect(await run([verb, 'payments', ...way])).toMatchObject({ code: 0, settings: undefined });
    const examined = await run(['doctor', '--json', ...way]);
    expect(examined.settings).toBeUndefined();
    const { examinations } = JSON.parse(examined.stdout) as { examinations: object[] };
    expect(examinations[0]).toMatchObject({ what: 'NATS permissions', skipped: 'the brokers were asked over HTTP' });
    expect(examinations).toHaveLength(3);
  });

  it('watches nothing: events come over NATS', async () => {
    const clock = new VirtualClock();
    const outcome = await runOn(clock, ['watch', '--url', URL_OF, '--token-file', '/token'], {
      env: { HOME: home },
      files: FILES,
      openHttpDoor: (settings) => openHttpDoor(settings, clock),
    });
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(/over NATS alone/);
  });

  it.each([
    [['--url', 'broker-1'], /not the address of a broker/],
    [['--url', 'nats://broker-1'], /not the address of a broker/],
    [['--url', 'http://broker-1:9465'], /without TLS/],
    [['--url', 'http://127.0.0.1.example.com'], /without TLS/],
    [['--url', 'https://ops:canary@broker-1'], /holds credentials/],
    [['--url', URL_OF, '--server', 'nats://a'], /exclude each other/],
    [['--url', URL_OF, '--tls-cert', '/cert'], /belong together/],
    [['--url', URL_OF, '--token-file', '/missing'], /cannot be read \(ENOENT\)/],
    [['--url', URL_OF, '--token-file', '/token', '--url', 'https://b'], /given twice/],
  ])('is refused: %j', async (args, text) => {
    const withToken = args.some((arg) => arg.startsWith('--t')) ? args : [...args, '--token-file', '/token'];
    const outcome = await run(['status', '--json', ...withToken]);
    expect(outcome).toMatchObject({ code: 2, httpSettings: undefined });
    expect(errorOf(outcome).message).toMatch(text);
    expect(outcome.stdout).not.toContain('canary');
  });

  it('says what is missing where there are no credentials', async () => {
    expect(errorOf(await run(['status', '--json', '--url', URL_OF])).message).toContain('neither a token nor');
  });

  it('may be in clear on loopback', async () => {
    for (const url of ['http://127.0.0.1:9465', 'http://localhost:9465', 'http://[::1]:9465'])
      expect(await run(['status', '--url', url, '--token-file', '/token'])).toMatchObject({ code: 0 });
  });
});

describe('a context with a URL', () => {
  beforeEach(async () => {
    const added = await run(['context', 'add', 'door', '--url', URL_OF, '--token-file', '/token', '--tls-ca', '/ca']);
    expect(added.code).toBe(0);
  });

  it('goes to the HTTP door', async () => {
    const outcome = await run(['status']);
    expect(outcome.httpSettings).toMatchObject({ url: URL_OF, ca: 'CA' });
    expect(tokenOf(outcome)).toBe('operator-token');
  });

  it('never lends its token to another URL', async () => {
    expect(errorOf(await run(['status', '--json', '--url', 'https://elsewhere'])).message).toContain('neither a token');
    expect((await run(['status'], { TOKENCTL_URL: 'https://elsewhere' })).code).toBe(2);
  });

  it('gives way to a NATS server of the environment', async () => {
    const outcome = await run(['status'], { ...LOGIN, TOKENCTL_SERVER: 'nats://env' });
    expect(outcome).toMatchObject({ code: 0, httpSettings: undefined });
  });

  it('is not kept where it would send a token in clear', async () => {
    expect((await run(['context', 'add', 'bad', '--url', 'http://elsewhere'])).code).toBe(2);
  });
});
