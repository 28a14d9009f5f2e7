import { createHash } from 'node:crypto';
import { createCertificate, type TestCertificate } from '@token-broker/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Configuration } from './configuration.js';
import { parseConfiguration } from './load.js';
import { natsPermissions } from './nats-permissions.js';
import { secretsOfDoor } from './secrets.js';

const TOKEN = 'an-operator-token-of-more-than-32-characters';
const HASH = createHash('sha256').update(TOKEN).digest('hex');
let pem: TestCertificate;

beforeAll(async () => {
  pem = await createCertificate();
});

const base = {
  nats: { servers: ['a'], user: 'broker', password: 'p', events: { user: 'broker-events', password: 'p' } },
  redis: { url: 'redis://a' },
  encryption: { keys: [{ id: 'k', secret: '0f'.repeat(32) }] },
  callers: { ops: { admin: true }, orders: { sources: [] } },
};

async function load(change: object): Promise<Configuration | string[]> {
  const parsed = await parseConfiguration(stringify({ ...base, ...change }), { env: {} });
  if (parsed.ok) return parsed.value.configuration;
  return parsed.error.problems.map(({ path, message }) => `${path}: ${message}`);
}

async function loaded(change: object): Promise<Configuration> {
  const configuration = await load(change);
  if (Array.isArray(configuration)) throw new Error(configuration.join('\n'));
  return configuration;
}

const admin = (door: object): object => ({ http: { admin: door } });

describe('audit', () => {
  it('goes to standard output unless it is said where', async () => {
    expect((await loaded({})).audit).toEqual({ to: 'stdout' });
    expect((await loaded({ audit: { file: '/var/log/audit.jsonl' } })).audit).toEqual({
      to: 'file',
      file: '/var/log/audit.jsonl',
    });
    expect((await loaded({ audit: { file: 'none', stream: { name: 'AUDIT', subject: 'a.b' } } })).audit).toEqual({
      to: 'none',
      stream: { name: 'AUDIT', subject: 'a.b' },
    });
  });

  it('gives brokers the right to publish to the stream, and operators that to read it; nobody else', async () => {
    const configuration = await loaded({
      nats: { ...base.nats, subjectPrefix: 'tb' },
      audit: { stream: { name: 'AUDIT' } },
    });
    expect(configuration.audit.stream?.subject).toBe('tb.v1.audit');
    const may = (subject: string): string[] =>
      natsPermissions(configuration).flatMap(({ user, publish }) => (publish.includes(subject) ? [user] : []));
    expect(may('tb.v1.audit')).toEqual(['broker-events']);
    expect(may('$JS.API.STREAM.MSG.GET.AUDIT')).toEqual(['ops']);
    expect(may('$JS.API.STREAM.INFO.AUDIT')).toEqual(['ops']);
  });

  it.each([
    [{ file: 'audit.jsonl' }, 'audit.file: expected stdout, none, or an absolute path'],
    [{ file: 'none' }, 'audit.file: there is no other place for the audit trail'],
    [{ stream: {} }, 'audit.stream.name: is required'],
    [{ stream: { name: 'A', subject: 'a.*' } }, 'audit.stream.subject: is no subject to publish to'],
    [{ path: '/x' }, 'audit.path: unknown key'],
  ])('refuses %j', async (audit, problem) => {
    expect(await load({ audit })).toEqual([problem]);
  });
});

describe('http.admin', () => {
  it('is off unless it is there', async () => {
    expect((await loaded({})).http.admin).toBeUndefined();
  });

  it('takes tokens, or their hashes, and keeps the hashes', async () => {
    const { http } = await loaded(admin({ tokens: [{ caller: 'ops', token: TOKEN }] }));
    expect(http.admin).toMatchObject({
      listen: { host: '127.0.0.1', port: 9465 },
      tokens: [{ caller: 'ops', sha256: HASH }],
    });
    expect(http.admin === undefined ? [] : secretsOfDoor(http.admin).map((secret) => secret.reveal())).toEqual([TOKEN]);
    const hashed = await loaded(admin({ tokens: [{ caller: 'ops', sha256: HASH.toUpperCase() }] }));
    expect(hashed.http.admin?.tokens).toEqual([{ caller: 'ops', sha256: HASH }]);
  });

  it('takes client certificates of a certificate authority of its own', async () => {
    const tls = { cert: pem.cert, key: pem.key, clientCa: pem.cert };
    const { http } = await loaded(
      admin({ listen: ':9465', tls, certificates: [{ caller: 'ops', name: 'Ops.example.com' }] }),
    );
    expect(http.admin).toMatchObject({
      listen: { host: '', port: 9465 },
      tls: { clientCa: pem.cert },
      certificates: [{ caller: 'ops', name: 'ops.example.com' }],
    });
  });

  const tokens = [{ caller: 'ops', sha256: HASH }];
  it.each([
    [{ tokens, listen: '10.0.0.1:9465' }, 'http.admin.tls: is required where others than this machine can connect'],
    [{ tokens, listen: ':9465' }, 'http.admin.tls: is required where others than this machine can connect'],
    [
      { tokens, listen: '127.example.com:9465' },
      'http.admin.tls: is required where others than this machine can connect',
    ],
    [{}, 'http.admin: lets nobody in'],
    [{ tokens: [{ caller: 'ops', token: 'short' }] }, 'http.admin.tokens[0].token: has fewer than 32 characters'],
    [{ tokens: [{ caller: 'ops', sha256: 'abc' }] }, 'http.admin.tokens[0].sha256: is no SHA-256 in hex'],
    [{ tokens: [{ caller: 'ops' }] }, 'http.admin.tokens[0]: needs token or sha256'],
    [
      { tokens: [{ caller: 'ops', token: TOKEN, sha256: HASH }] },
      'http.admin.tokens[0].sha256: cannot be combined with token',
    ],
    [{ tokens: [...tokens, { caller: 'ops', token: TOKEN }] }, 'http.admin.tokens[1]: is in the list already'],
    [{ tokens: [{ caller: 'opps', sha256: HASH }] }, 'http.admin.tokens[0].caller: there is no caller of this name'],
    [{ tokens: [{ caller: 'orders', sha256: HASH }] }, 'http.admin.tokens[0].caller: is not an operator'],
    [{ certificates: [{ caller: 'ops', name: 'a' }] }, 'http.admin.certificates: needs tls.clientCa'],
    [{ tokens, certificates: [{ caller: 'ops', name: '*.a' }] }, 'http.admin.certificates[0].name: is no DNS name'],
  ])('refuses %j', async (door, problem) => {
    const problems = await load(admin(door));
    expect(problems).toContain(problem);
    expect(JSON.stringify(problems)).not.toContain(TOKEN);
  });
});
