import { describe, expect, it } from 'vitest';
import { LOGIN, run, throwing } from './fakes/run.js';

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
