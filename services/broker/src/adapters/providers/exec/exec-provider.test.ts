import type { ExecSourceConfiguration } from '@token-broker/configuration';
import { createSystemClock, Redacted } from '@token-broker/foundation';
import { eventually, VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import type { Provider } from '../../../app/ports/provider.js';
import { EXEC_SECRET, openExecBed, printing, type ExecBed } from '../fakes/exec-program.js';
import { silentLog } from '../fakes/silent-log.js';
import { createProvider } from '../provider-registry.js';
import { readPrinted } from './printed-credential.js';

function open({ source }: Pick<ExecBed, 'source'>, clock = createSystemClock()): Provider {
  return createProvider(source, { clock, log: silentLog, lend: () => Promise.reject(new Error('not asked for')) });
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('a program', () => {
  it('has its own environment and no other, an empty standard input, and no folder of the broker', async () => {
    const bed = openExecBed();
    bed.does(`
      let given = ''; for await (const chunk of process.stdin) given += chunk;
      note('seen', JSON.stringify({ env: process.env, cwd: process.cwd(), given, args: process.argv.slice(2) }));
      ${printing('exec-credential', 60_000)}`);
    const source = { ...bed.source, args: [...bed.source.args, '$HOME; echo *', "it's"] };
    expect(await open({ source }).fetch({ scopes: [] })).toMatchObject({ ok: true });
    const seen = JSON.parse(bed.read('seen')) as { env: Record<string, string>; cwd: string };
    expect(seen).toMatchObject({ cwd: '/', given: '', args: ['$HOME; echo *', "it's"] });
    expect(Object.keys(seen.env).sort()).toEqual(['KEY', 'KUBERNETES_EXEC_INFO', 'PATH']);
    expect(seen.env['KEY']).toBe(EXEC_SECRET);
    expect(JSON.parse(seen.env['KUBERNETES_EXEC_INFO'] ?? '')).toMatchObject({ spec: { interactive: false } });
  });

  it('ends with what it has started when the time is over', async () => {
    const bed = openExecBed();
    bed.does(`
      const { spawn } = await import('node:child_process');
      const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'inherit' });
      note('pids', JSON.stringify([process.pid, child.pid]));
      setInterval(() => undefined, 1_000);`);
    const clock = new VirtualClock();
    const running = open(bed, clock).fetch({ scopes: [] });
    const pids = await eventually(() => JSON.parse(bed.read('pids')) as number[], { what: 'the program to run' });
    expect(pids.map(isAlive)).toEqual([true, true]);
    await clock.advance(bed.source.timeoutMs);
    expect(await running).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
    await eventually(() => !pids.some(isAlive), { what: 'the end of both' });
  });

  it('leaves nothing behind when it has ended by itself', async () => {
    const bed = openExecBed();
    bed.does(`
      const { spawn } = await import('node:child_process');
      const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' });
      note('pid', String(child.pid)); child.unref();
      ${printing('exec-credential', 60_000)}`);
    expect(await open(bed).fetch({ scopes: [] })).toMatchObject({ ok: true });
    await eventually(() => !isAlive(Number(bed.read('pid'))), { what: 'the end of the child' });
  });

  it('that prints without an end is ended', async () => {
    const bed = openExecBed();
    bed.does(`const more = () => process.stdout.write('x'.repeat(65_536), more); more();`);
    expect(await open(bed).fetch({ scopes: [] })).toMatchObject({
      ok: false,
      error: { code: 'IDP_PROTOCOL', message: 'the program prints too much' },
    });
  });

  it('may say much on standard error, of which the beginning is kept, without the secrets', async () => {
    const bed = openExecBed();
    bed.does(`process.stderr.write('first ' + process.env.KEY + ' ' + 'y'.repeat(1e6)); process.exitCode = 3;`);
    const end = await open(bed).fetch({ scopes: [] });
    expect(end).toMatchObject({
      ok: false,
      error: { code: 'IDP_UNAVAILABLE', message: 'the program failed (exit code 3)' },
    });
    if (end.ok) return;
    expect(end.error.detail).toContain('first <redacted>');
    expect(end.error.detail.length).toBeLessThanOrEqual(300);
  });

  it('that is not there is an outage', async () => {
    const { source } = openExecBed({ command: '/nowhere/to-be-found' });
    expect(await open({ source }).fetch({ scopes: [] })).toMatchObject({
      ok: false,
      error: { code: 'IDP_UNAVAILABLE', message: 'the program could not be started', detail: 'ENOENT' },
    });
  });
});

describe('what is printed', () => {
  const NOW = Date.parse('2026-11-22T12:00:00Z');
  const read = (output: ExecSourceConfiguration['output'], value: unknown) =>
    readPrinted(typeof value === 'string' ? value : JSON.stringify(value), {
      source: { output, defaultLifetimeMs: 300_000 },
      wallMs: NOW,
    });
  const kubernetes = (status: unknown, more: object = {}) =>
    read('exec-credential', { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status, ...more });
  const aws = (more: object) =>
    read('credential-process', { Version: 1, AccessKeyId: 'A', SecretAccessKey: 'S', ...more });

  it('lives to the moment that it names, or for the default life', () => {
    expect(kubernetes({ token: 't', expirationTimestamp: '2026-11-22T13:00:00+00:30' })).toMatchObject({
      tokenType: 'Bearer',
      lifeMs: 1_800_000,
    });
    expect(kubernetes({ token: 't' }, { apiVersion: 'client.authentication.k8s.io/v1beta1' })).toMatchObject({
      lifeMs: 300_000,
    });
    expect(aws({ Expiration: '2026-11-22T12:15:00Z' })).toMatchObject({
      tokenType: 'aws-credentials',
      lifeMs: 900_000,
    });
  });

  it('of AWS becomes one text, in one order, without what is not a part of it', () => {
    const printed = aws({ SessionToken: 'T', Expiration: '2026-11-22T12:15:00Z', AccountId: '1' });
    expect(typeof printed === 'string' ? printed : printed.accessToken).toBeInstanceOf(Redacted);
    if (typeof printed === 'string') return;
    expect(printed.accessToken.reveal()).toBe('{"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T"}');
  });

  it.each([
    ['text', 'a token', 'it is not JSON'],
    ['a list', [], 'it is not a JSON object'],
    ['another kind', { kind: 'Secret' }, 'kind is not ExecCredential'],
    ['another version', { kind: 'ExecCredential', apiVersion: 'v9' }, 'apiVersion is not'],
    ['no status', { kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1' }, 'it has no status'],
  ])('is refused where it is %s', (_, value, words) => {
    expect(read('exec-credential', value)).toContain(words);
  });

  it.each([
    ['no token', kubernetes({}), 'it has no token'],
    ['a certificate alone', kubernetes({ clientCertificateData: 'x' }), 'a certificate and no token'],
    ['an end that is no moment', kubernetes({ token: 't', expirationTimestamp: 'tomorrow' }), 'no moment'],
    ['an end that is a number', kubernetes({ token: 't', expirationTimestamp: 1 }), 'no moment'],
    ['an end in the past', kubernetes({ token: 't', expirationTimestamp: '2026-11-22T12:00:00Z' }), 'ended already'],
    ['another Version', aws({ Version: 2 }), 'Version is not 1'],
    ['no secret', aws({ SecretAccessKey: '' }), 'no AccessKeyId and SecretAccessKey'],
    ['a line break in a part', aws({ SessionToken: 'a\nb' }), 'no AccessKeyId and SecretAccessKey'],
  ])('is refused with %s', (_, printed, words) => {
    expect(printed).toContain(words);
  });
});
