import { createHash } from 'node:crypto';
import { request as requestOver, type RequestOptions } from 'node:https';
import { request as requestInClear } from 'node:http';
import { connect } from 'node:net';
import type { AdminDoorConfiguration } from '@token-broker/configuration';
import { createSystemClock, Redacted } from '@token-broker/foundation';
import { encode, failure } from '@token-broker/protocol';
import { createCertificate, type TestCertificate } from '@token-broker/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RecordedAudit, RecordedLog, RecordedMetrics } from '../../app/fakes/recorded-telemetry.js';
import { createAdminDoor, type AdminDoor, type AdminDoorOptions } from './admin-door.js';

const TOKEN = 'an-operator-token-of-more-than-32-characters';
const OTHER = 'the-token-of-somebody-else-with-32-characters';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const TOKENS = [
  { caller: 'ops', sha256: sha256(TOKEN) },
  { caller: 'night-shift', sha256: sha256(OTHER), token: new Redacted(OTHER) },
];
const LISTEN = { host: '127.0.0.1', port: 0 };

let certificate: TestCertificate;
let stranger: TestCertificate;
let door: AdminDoor | undefined;
let audit: RecordedAudit;
let log: RecordedLog;
let metrics: RecordedMetrics;
let requests: Parameters<AdminDoorOptions['handle']>[0][];

beforeAll(async () => {
  [certificate, stranger] = await Promise.all([createCertificate(), createCertificate()]);
});
beforeEach(() => {
  [audit, log, metrics, requests] = [new RecordedAudit(), new RecordedLog(), new RecordedMetrics(), []];
});
afterEach(async () => {
  await door?.close(1_000);
  door = undefined;
});

async function open(
  configuration: Partial<AdminDoorConfiguration> = {},
  reply: object | (() => Promise<Uint8Array>) = { v: 1 },
): Promise<AdminDoor> {
  door = await createAdminDoor({
    configuration: { listen: LISTEN, tokens: TOKENS, certificates: [], ...configuration },
    handle(request) {
      requests.push(request);
      return typeof reply === 'function' ? (reply as () => Promise<Uint8Array>)() : Promise.resolve(encode(reply));
    },
    clock: createSystemClock(),
    log,
    audit,
    metrics: metrics.metrics,
  });
  return door;
}

const withTls = (clientCa?: string): NonNullable<AdminDoorConfiguration['tls']> => ({
  cert: certificate.cert,
  key: new Redacted(certificate.key),
  ...(clientCa === undefined ? {} : { clientCa }),
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: { readonly error?: { readonly code: string; readonly message: string } };
}

interface Asked extends Omit<RequestOptions, 'headers'> {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly tls?: boolean;
  readonly isAnonymous?: boolean;
}

function ask(verb: string, options: Asked = {}): Promise<Answer> {
  const { body = '', tls = false, isAnonymous = false, headers, ...more } = options;
  return new Promise((resolve, reject) => {
    const request = (tls ? requestOver : requestInClear)(
      {
        host: '127.0.0.1',
        port: door?.address.port,
        path: `/v1/admin/${verb}`,
        method: 'POST',
        agent: false,
        headers: {
          ...(isAnonymous ? {} : { authorization: `Bearer ${TOKEN}` }),
          'content-type': 'application/json',
          ...headers,
        },
        ...(tls ? { ca: certificate.cert } : {}),
        ...more,
      },
      (reply) => {
        let text = '';
        reply.setEncoding('utf8');
        reply.on('data', (chunk: string) => (text += chunk));
        reply.on('end', () =>
          resolve({ status: reply.statusCode, headers: reply.headers, body: JSON.parse(text) as Answer['body'] }),
        );
        reply.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const withoutToken = { isAnonymous: true };

describe('the operators’ door', () => {
  it('hands on who asks, the verb, the body and the trace, and answers what is answered', async () => {
    await open({}, { v: 1, outcome: 'unchanged' });
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const answer = await ask('reload', { body: '{"v":1}', headers: { traceparent } });
    expect(answer).toMatchObject({ status: 200, body: { v: 1, outcome: 'unchanged' } });
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' });
    expect(requests).toMatchObject([
      {
        caller: 'ops',
        target: 'reload',
        subject: '/v1/admin/reload',
        trace: { traceId: '4bf92f3577b34da6a3ce929d0e0e4736' },
      },
    ]);
    expect(Buffer.from(requests[0]?.body ?? []).toString()).toBe('{"v":1}');
    await ask('status', { headers: { authorization: `bearer ${OTHER}` } });
    expect(requests[1]).toMatchObject({ caller: 'night-shift', target: 'status' });
    expect(requests[1]).not.toHaveProperty('trace');
  });

  it.each([
    ['FORBIDDEN', 403],
    ['BAD_REQUEST', 400],
    ['UNKNOWN_SOURCE', 404],
    ['STORE_UNAVAILABLE', 503],
  ] as const)('answers %s with %i', async (code, status) => {
    await open({}, { v: 1, error: failure(code, 'no', 1_500) });
    const answer = await ask('revoke', { body: '{}' });
    expect(answer).toMatchObject({ status, body: { error: { code, message: 'no' } } });
    expect(answer.headers['retry-after']).toBe('2');
  });

  it('says nothing of a bug, but to the log', async () => {
    await open({}, () => Promise.reject(new Error('the detail')));
    expect(await ask('status')).toMatchObject({ status: 500, body: { error: { code: 'INTERNAL' } } });
    expect(JSON.stringify(log.lines)).toContain('the detail');
  });
});

describe('credentials', () => {
  it.each([
    ['none', withoutToken],
    ['a wrong token', { headers: { authorization: `Bearer ${TOKEN}x` } }],
    ['the hash of a token', { headers: { authorization: `Bearer ${sha256(TOKEN)}` } }],
    ['another scheme', { headers: { authorization: `Basic ${Buffer.from(`ops:${TOKEN}`).toString('base64')}` } }],
    ['an empty token', { headers: { authorization: 'Bearer ' } }],
  ])('that do not count are refused before anything is read, counted and audited: %s', async (_, options) => {
    await open();
    const answer = await ask('revoke', { body: '{}', ...options });
    expect(answer).toMatchObject({ status: 401, body: { error: { code: 'FORBIDDEN' } } });
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(requests).toEqual([]);
    expect(metrics.count('httpRefused')).toBe(1);
    expect(audit.entries).toEqual([
      { event: 'http.refused', by: '127.0.0.1', result: 'refused', facts: { attempts: 1 } },
    ]);
    expect(JSON.stringify([audit.entries, log.lines])).not.toContain(TOKEN);
  });

  it('that are guessed are gathered in the audit, slowed down, and lock nobody out', async () => {
    await open();
    const statuses = new Map<number | undefined, number>();
    for (let i = 0; i < 50; i++) {
      const { status } = await ask('status', { headers: { authorization: `Bearer guess-${String(i)}` } });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect([...statuses]).toEqual([
      [401, 20],
      [429, 30],
    ]);
    expect(await ask('status')).toMatchObject({ status: 200 });
    await door?.close(1_000);
    expect(audit.entries.map(({ facts }) => facts?.['attempts'])).toEqual([1, 49]);
  });

  it('may change without a restart', async () => {
    const opened = await open();
    opened.update({ listen: LISTEN, tokens: [{ caller: 'ops', sha256: sha256(OTHER) }], certificates: [] });
    expect(await ask('status')).toMatchObject({ status: 401 });
    expect(await ask('status', { headers: { authorization: `Bearer ${OTHER}` } })).toMatchObject({ status: 200 });
    expect(requests).toMatchObject([{ caller: 'ops' }]);
  });
});

describe('over TLS', () => {
  const certificates = [{ caller: 'ops', name: 'localhost' }];

  it('takes a token', async () => {
    await open({ tls: withTls() });
    expect(await ask('status', { tls: true })).toMatchObject({ status: 200 });
    await expect(ask('status')).rejects.toThrow();
  });

  it('takes the certificate of a client that names an operator', async () => {
    await open({ tls: withTls(certificate.cert), tokens: [], certificates });
    const shown = { tls: true, cert: certificate.cert, key: certificate.key, ...withoutToken };
    expect(await ask('status', shown)).toMatchObject({ status: 200 });
    expect(requests).toMatchObject([{ caller: 'ops' }]);
  });

  it.each([
    ['that nobody has signed', () => stranger, certificates],
    ['that names somebody else', () => certificate, [{ caller: 'ops', name: 'elsewhere' }]],
    ['that is missing', () => undefined, certificates],
  ])('takes no certificate %s', async (_, of, named) => {
    await open({ tls: withTls(certificate.cert), tokens: [], certificates: named });
    const shown = of();
    const answer = await ask('status', {
      tls: true,
      ...(shown === undefined ? {} : { cert: shown.cert, key: shown.key }),
      ...withoutToken,
    });
    expect(answer).toMatchObject({ status: 401 });
    expect(requests).toEqual([]);
  });

  it('does not make a wrong token good by a certificate', async () => {
    await open({ tls: withTls(certificate.cert), certificates });
    const shown = { tls: true, cert: certificate.cert, key: certificate.key };
    expect(await ask('status', { ...shown, headers: { authorization: 'Bearer wrong' } })).toMatchObject({
      status: 401,
    });
  });
});

describe('what is no request of an operator', () => {
  it.each([
    ['another path', 404, { path: '/metrics' }],
    ['a path with more behind it', 404, { path: '/v1/admin/revoke/x' }],
    ['a verb that is no name', 404, { path: '/v1/admin/re%20voke' }],
    ['another method', 405, { method: 'GET' }],
    ['a form of a browser', 415, { headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
  ])('is refused: %s', async (_, status, options) => {
    await open();
    expect(await ask('revoke', options)).toMatchObject({ status, body: { error: { code: 'BAD_REQUEST' } } });
    expect(requests).toEqual([]);
  });

  it('is refused where its body is too large, whether it says so or not', async () => {
    await open();
    const body = 'x'.repeat(64 * 1024 + 1);
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }])
      expect(await ask('revoke', { body, headers })).toMatchObject({ status: 413 });
    expect(requests).toEqual([]);
    expect(await ask('revoke', { body: body.slice(1) })).toMatchObject({ status: 200 });
  });

  it('is refused where its headers are too large', async () => {
    await open();
    const socket = connect(door?.address.port ?? 0, '127.0.0.1');
    const reply = new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('close', () => resolve(text));
    });
    socket.write(`POST /v1/admin/status HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`);
    expect(await reply).toContain(' 431 ');
  });

  it('is told to come later where too many are under way', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    await open({}, async () => {
      await held;
      return encode({ v: 1 });
    });
    const asked = Array.from({ length: 33 }, () => ask('status'));
    expect(await Promise.race(asked)).toMatchObject({ status: 503, body: { error: { code: 'BROKER_UNAVAILABLE' } } });
    release();
    expect((await Promise.all(asked)).filter(({ status }) => status === 200)).toHaveLength(32);
  });
});
