import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificate, eventually, type TestCertificate } from '@token-broker/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRawCaller, subjects } from './raw-caller.js';
import { startStack, type Settings, type Stack } from './stack.js';
import { tokenctl, type Run } from './tokenctl.js';

const TOKEN = 'an-operator-token-of-more-than-32-characters';
const SOURCE = 'payments-api';

let folder = '';
let certificate: TestCertificate;
let stack: Stack;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'token-broker-door-'));
  certificate = await createCertificate();
  await Promise.all(
    Object.entries({ token: TOKEN, wrong: `${TOKEN}-not`, cert: certificate.cert, key: certificate.key }).map(
      ([name, text]) => writeFile(join(folder, name), text, { mode: 0o600 }),
    ),
  );
  stack = await startStack({
    brokers: 2,
    configure: (settings) => ({
      ...settings,
      http: {
        ...(settings['http'] as Settings),
        admin: {
          listen: '127.0.0.1:0',
          tls: { cert: certificate.cert, key: certificate.key, clientCa: certificate.cert },
          tokens: [{ caller: 'ops', token: TOKEN }],
          certificates: [{ caller: 'ops', name: 'localhost' }],
        },
      },
    }),
  });
});
afterAll(async () => {
  await stack.stop();
  await rm(folder, { recursive: true });
});

/** Runs tokenctl against the HTTP door of the first broker. */
function overHttp(args: readonly string[], credentials = ['--token-file', join(folder, 'token')]): Promise<Run> {
  const url = `https://127.0.0.1:${String(stack.brokers[0]?.admin?.port)}`;
  return tokenctl(stack, [...args, '--json', '--url', url, '--tls-ca', join(folder, 'cert'), ...credentials]);
}

const json = ({ out }: Run): unknown => JSON.parse(out);
const REVOKE = ['revoke', '--source', SOURCE, '--yes', '--reason', 'NATS is away'];

it('answers what NATS would, to a token and to a client certificate', async () => {
  expect(json(await overHttp(['status']))).toMatchObject({ ready: true, broker: stack.brokers[0]?.broker });
  const files = ['--tls-cert', join(folder, 'cert'), '--tls-key', join(folder, 'key')];
  const listed = await overHttp(['slots'], files);
  expect([listed.code, json(listed)]).toMatchObject([0, { slots: [], truncated: false }]);
});

it('ends with 4 for a wrong token, and writes it to the audit trail', async () => {
  const run = await overHttp(REVOKE, ['--token-file', join(folder, 'wrong')]);
  expect([run.code, json(run)]).toMatchObject([4, { error: { code: 'FORBIDDEN' } }]);
  expect(stack.logLines.some((line) => line.includes('"http.refused"'))).toBe(true);
  expect(stack.logLines.join('')).not.toContain(TOKEN);
});

it('ends with 3 where the certificate of the broker is not trusted', async () => {
  const other = await createCertificate();
  await writeFile(join(folder, 'other'), other.cert);
  const url = `https://127.0.0.1:${String(stack.brokers[0]?.admin?.port)}`;
  const args = [
    'status',
    '--json',
    '--url',
    url,
    '--tls-ca',
    join(folder, 'other'),
    '--token-file',
    join(folder, 'token'),
  ];
  const refused = await tokenctl(stack, args);
  expect([refused.code, json(refused)]).toMatchObject([3, { error: { code: 'HTTP_UNAVAILABLE' } }]);
});

it('revokes while NATS is away: no broker answers with the token any more, and it says who has not heard of it', async () => {
  const orders = createRawCaller(await stack.connectAs('orders'), 'orders');
  const get = subjects.get('orders', SOURCE);
  const before = await orders.token(get);
  await stack.nats.kill('SIGKILL');
  try {
    const overNats = await tokenctl(stack, [...REVOKE, '--json', '--timeout', '1s']);
    expect([overNats.code, json(overNats)]).toMatchObject([3, { error: { code: 'NATS_UNAVAILABLE' } }]);
    const run = await overHttp(REVOKE);
    expect(json(run)).toMatchObject({
      complete: true,
      broadcast: false,
      audited: true,
      slots: 1,
      brokers: { expected: 2, acked: 1 },
    });
    expect(run.code).toBe(1);
    // So that nothing is fetched with what has leaked; what can be told without the other brokers is told.
    expect(json(await overHttp(['pause', SOURCE, '--reason', 'leaked']))).toMatchObject({
      paused: true,
      changed: true,
    });
    expect(json(await overHttp(['describe', SOURCE]))).toMatchObject({ source: SOURCE });
    expect(json(await overHttp(['status']))).toMatchObject({ nats: { connected: false } });
    expect((await overHttp(['watch'])).code).toBe(2);
    expect(json(await overHttp(['resume', SOURCE]))).toMatchObject({ paused: false, changed: true });
    const records = stack.logLines.filter((line) => line.includes('"NATS is away"'));
    expect(records.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { event: 'revocation.ordered', by: 'ops', source: SOURCE },
    ]);
  } finally {
    await stack.nats.restart();
  }
  const payments = (await stack.client('orders')).source(SOURCE);
  const after = await eventually(() => payments.get({ timeoutMs: 1_000 }), { what: 'a token', withinMs: 15_000 });
  expect(after.accessToken).not.toBe(before.accessToken);
});

it('asks whether the caller is an operator, as NATS does', async () => {
  await stack.rewrite((settings) => {
    const callers = settings['callers'] as Settings;
    const http = settings['http'] as { admin: Settings };
    const admin = {
      ...http.admin,
      tokens: [{ caller: 'boss', token: TOKEN }],
      certificates: [{ caller: 'boss', name: 'b' }],
    };
    return {
      ...settings,
      callers: { ...callers, ops: { sources: ['*'] }, boss: { admin: true } },
      http: { ...http, admin },
    };
  });
  // Credentials are those of the configuration in force, also without a restart.
  await Promise.all(stack.brokers.map((broker) => broker.reload()));
  const files = ['--tls-cert', join(folder, 'cert'), '--tls-key', join(folder, 'key')];
  expect((await overHttp(['status'], files)).code).toBe(4);
  expect((await overHttp(['status'])).code).toBe(0);
  const overNats = await tokenctl(stack, ['status', '--json']);
  expect(overNats.code).toBe(4);
});
