import { gzipSync } from 'node:zlib';
import { Redacted, type Result } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import {
  startScriptedIdentityProvider,
  VirtualClock,
  type ScriptedIdentityProvider,
  type ScriptedReply,
  type ScriptedRequest,
} from '@token-broker/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { IssuedToken, ProviderFailure } from '../../../app/ports/provider.js';
import type { Log, LogFields } from '../../../app/ports/telemetry.js';
import { createOAuth2Provider, type OAuth2Provider } from './oauth2-provider.js';

const SECRET = 'Zq7+canary/"%secret&4x';
const TOKEN = 'opaque-token-value-91';
const GOOD = { access_token: TOKEN, token_type: 'Bearer', expires_in: 600 };

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Script = ScriptedReply | ((request: ScriptedRequest, index: number) => ScriptedReply);

interface Bed {
  readonly idp: ScriptedIdentityProvider;
  readonly provider: OAuth2Provider;
  readonly clock: VirtualClock;
  /** What was logged, as text. */
  readonly warnings: string[];
  readonly fetch: (scopes?: readonly string[]) => Promise<Result<IssuedToken, ProviderFailure>>;
}

async function startBed(script: Script, settings: Partial<OAuth2SourceConfiguration> = {}): Promise<Bed> {
  const idp = await startScriptedIdentityProvider((request, index) =>
    typeof script === 'function' ? script(request, index) : script,
  );
  cleanups.push(() => idp.stop());
  const clock = new VirtualClock();
  const warnings: string[] = [];
  const note = (message: string, fields?: LogFields): void => {
    warnings.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const source: OAuth2SourceConfiguration = {
    name: 'payments-api',
    provider: 'oauth2',
    grant: { kind: 'client_credentials' },
    endpoint: { kind: 'token-endpoint', tokenEndpoint: idp.tokenEndpoint },
    allowInsecureHttp: true,
    clientId: 'payments',
    clientAuthentication: { kind: 'client_secret_basic', clientSecret: new Redacted(SECRET) },
    scopes: [],
    parameters: new Map(),
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 365 * 86_400_000,
    acceptNarrowerScope: false,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...settings,
  };
  const provider = createOAuth2Provider(source, { clock, log });
  cleanups.push(() => provider.close());
  return { idp, provider, clock, warnings, fetch: (scopes = []) => provider.fetch({ scopes }) };
}

/** The failure of one call with this reply; the call must have made one request, and left no timer behind. */
async function refusalOf(reply: ScriptedReply, scopes: readonly string[] = []): Promise<ProviderFailure> {
  const { idp, clock, fetch } = await startBed(reply);
  const issued = await fetch(scopes);
  if (issued.ok) throw new Error('the reply was taken');
  expect(idp.requests).toHaveLength(1);
  expect(clock.pendingTimers).toBe(0);
  expect(findSecrets(JSON.stringify(issued.error))).toEqual([]);
  expect(issued.error.detail.length).toBeLessThanOrEqual(300);
  return issued.error;
}

const jwt = (claims: unknown): string =>
  ['{"alg":"ES256"}', JSON.stringify(claims), 'signature'].map((p) => Buffer.from(p).toString('base64url')).join('.');

/** Every spelling in which a secret could get out. */
function spellingsOf(secret: string): Map<string, string> {
  const form = encodeURIComponent(secret);
  const pair = Buffer.from(`payments:${form}`).toString('base64');
  const shifted = Buffer.from(`ab${secret}cd`).toString('base64').slice(3, -4);
  return new Map([
    ['raw', secret],
    ['json', JSON.stringify(secret).slice(1, -1)],
    ['url', form],
    ['url, small', form.toLowerCase()],
    ['form', new URLSearchParams({ s: secret }).toString().slice(2)],
    ['hex', Buffer.from(secret).toString('hex')],
    ['hex, capital', Buffer.from(secret).toString('hex').toUpperCase()],
    ['base64', Buffer.from(secret).toString('base64')],
    ['base64url', Buffer.from(secret).toString('base64url')],
    ['base64 within', shifted],
    ['basic', pair],
  ]);
}

function findSecrets(text: string): string[] {
  const found: string[] = [];
  for (const secret of [SECRET, TOKEN]) {
    for (const [name, spelling] of spellingsOf(secret)) if (text.includes(spelling)) found.push(`${name}: ${spelling}`);
  }
  return found;
}

describe('a reply that is no token', () => {
  const json = { 'content-type': 'application/json' };
  it.each<[string, ScriptedReply, string]>([
    ['HTML', { headers: { 'content-type': 'text/html' }, body: '<html>Sign in</html>' }, 'not a JSON object'],
    ['no body', { headers: json }, 'not a JSON object'],
    ['status 204', { status: 204 }, 'not OAuth (status 204)'],
    ['status 201', { status: 201, body: GOOD }, 'not OAuth (status 201)'],
    ['JSON that is cut', { body: '{"access_token":"a' }, 'not a JSON object'],
    ['an array', { body: [GOOD] }, 'not a JSON object'],
    ['no access_token', { body: { token_type: 'Bearer' } }, 'no access_token'],
    ['an access_token that is no string', { body: { ...GOOD, access_token: 7 } }, 'access_token is not a string'],
    ['an empty access_token', { body: { ...GOOD, access_token: '' } }, 'access_token is empty'],
    ['CR and LF in it', { body: { ...GOOD, access_token: 'a\r\nX-Admin: 1' } }, 'other than visible ASCII'],
    ['a space in it', { body: { ...GOOD, access_token: 'a b' } }, 'other than visible ASCII'],
    ['NUL in it', { body: { ...GOOD, access_token: 'a\u0000' } }, 'other than visible ASCII'],
    ['a letter beyond ASCII in it', { body: { ...GOOD, access_token: 'tokén' } }, 'other than visible ASCII'],
    ['an access_token that fits no header', { body: { ...GOOD, access_token: 'a'.repeat(65_537) } }, 'longer than'],
    ['no token_type', { body: { access_token: TOKEN } }, 'no token_type'],
    ['an unknown token_type', { body: { ...GOOD, token_type: 'Basic' } }, 'token_type is not Bearer'],
    ['what is no access token', { body: { ...GOOD, token_type: 'N_A' } }, 'no access token'],
    ...['DPoP', 'PoP', 'mac'].map((type): [string, ScriptedReply, string] => {
      return [`the type ${type}`, { body: { ...GOOD, token_type: type } }, 'sender-constrained'];
    }),
    ['a JWT bound by DPoP', { body: { ...GOOD, access_token: jwt({ cnf: { jkt: 'x' } }) } }, 'sender-constrained'],
    [
      'a JWT bound by TLS',
      { body: { ...GOOD, access_token: jwt({ cnf: { 'x5t#S256': 'x' } }) } },
      'sender-constrained',
    ],
    ['a scope that is no string', { body: { ...GOOD, scope: ['read'] } }, 'scope is not a list of scopes'],
    ['a scope with a line feed', { body: { ...GOOD, scope: 'read\nwrite' } }, 'scope is not a list of scopes'],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/elsewhere' } }, 'redirects'],
    ['a redirect that keeps the body', { status: 307, headers: { location: '/token' }, body: 'x' }, 'redirects'],
    ['more than 1 MiB', { body: JSON.stringify({ ...GOOD, x: 'x'.repeat(1024 * 1024) }) }, 'too large'],
    ['status 404', { status: 404, headers: { 'content-type': 'text/plain' }, body: 'no' }, 'not OAuth (status 404)'],
  ])('%s is IDP_PROTOCOL', async (_, reply, problem) => {
    const failure = await refusalOf(reply);
    expect(failure).toMatchObject({ code: 'IDP_PROTOCOL', message: expect.stringContaining(problem) as string });
  });

  it.each([0, -1, 0.0001, '0', '-5', '', 'soon', 'NaN', '0x10', '1e3', ' 60', null, true, [60], {}])(
    'an expires_in of %j is IDP_PROTOCOL',
    async (value) => {
      const failure = await refusalOf({ body: { ...GOOD, expires_in: value } });
      expect(failure.code).toBe('IDP_PROTOCOL');
      expect(failure.message).toContain('expires_in is not a positive number');
    },
  );

  it.each(['NaN', 'Infinity'])('an expires_in of a bare %s is IDP_PROTOCOL', async (value) => {
    const failure = await refusalOf({
      body: `{"access_token":"${TOKEN}","token_type":"Bearer","expires_in":${value}}`,
    });
    expect(failure).toMatchObject({ code: 'IDP_PROTOCOL', message: expect.stringContaining('JSON') as string });
  });

  it('a gzip bomb is IDP_PROTOCOL, and is not read to its end', async () => {
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024), { level: 1 });
    const before = process.memoryUsage().arrayBuffers;
    const failure = await refusalOf({ headers: { 'content-encoding': 'gzip' }, body: bomb });
    expect(failure).toMatchObject({ code: 'IDP_PROTOCOL', message: expect.stringContaining('too large') as string });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('a scope that was not asked for is IDP_PROTOCOL, a missing one IDP_DENIED', async () => {
    const wider = await refusalOf({ body: { ...GOOD, scope: 'read admin' } }, ['read']);
    expect(wider).toMatchObject({ code: 'IDP_PROTOCOL', message: expect.stringContaining('not asked for') as string });
    for (const scope of ['read', '']) {
      const narrower = await refusalOf({ body: { ...GOOD, scope } }, ['read', 'write']);
      expect(narrower).toMatchObject({ code: 'IDP_DENIED', message: expect.stringContaining('write"') as string });
    }
  });
});

describe('a reply that is taken', () => {
  it.each<[string, unknown, number]>([
    ['a number', 3600, 3_600_000],
    ['a fraction', 1.5, 1_500],
    ['a numeric string', '3600', 3_600_000],
    ['the maximum', 365 * 86_400, 365 * 86_400_000],
  ])('has the life that expires_in states: %s', async (_, value, lifeMs) => {
    const { fetch, warnings } = await startBed({ body: { ...GOOD, expires_in: value } });
    expect(await fetch()).toMatchObject({ ok: true, value: { lifeMs } });
    expect(warnings).toEqual([]);
  });

  it('has the default life without expires_in, which is warned of once', async () => {
    const { fetch, warnings } = await startBed({ body: { access_token: TOKEN, token_type: 'Bearer' } });
    expect(await fetch()).toMatchObject({ ok: true, value: { lifeMs: 300_000 } });
    expect(await fetch()).toMatchObject({ ok: true, value: { lifeMs: 300_000 } });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('"what":"no-expires-in"');
    expect(warnings[0]).toContain('"source":"payments-api"');
  });

  it.each([10 ** 12, 1e300, '999999999999'])('is clamped to the maximum life, with a warning: %j', async (value) => {
    const { fetch, warnings } = await startBed({ body: { ...GOOD, expires_in: value } });
    expect(await fetch()).toMatchObject({ ok: true, value: { lifeMs: 365 * 86_400_000 } });
    expect(warnings.join()).toContain('lifetime-clamped');
  });

  it.each(['bearer', 'BEARER'])('is of the type Bearer however it is spelled: %s', async (tokenType) => {
    const { fetch } = await startBed({ body: { ...GOOD, token_type: tokenType, error: null } });
    expect(await fetch()).toMatchObject({ ok: true, value: { tokenType: 'Bearer' } });
  });

  it('may be a JWT that is not bound, in a compressed body', async () => {
    const token = jwt({ sub: 'payments', cnf: {} });
    const body = gzipSync(JSON.stringify({ ...GOOD, access_token: token }));
    const { fetch } = await startBed({ headers: { 'content-encoding': 'gzip' }, body });
    const issued = await fetch();
    expect(issued.ok && issued.value.accessToken.reveal()).toBe(token);
  });

  it('may have any scope when none was asked for, and the one that was asked for when it names none', async () => {
    const named = await startBed({ body: { ...GOOD, scope: 'read write' } });
    expect(await named.fetch()).toMatchObject({ ok: true, value: { scope: 'read write' } });
    const unnamed = await startBed({ body: GOOD });
    const issued = await unnamed.fetch(['read']);
    expect(issued.ok && 'scope' in issued.value).toBe(false);
  });

  it('may have less scope than asked where the source accepts that', async () => {
    const { fetch, warnings } = await startBed({ body: { ...GOOD, scope: 'read' } }, { acceptNarrowerScope: true });
    expect(await fetch(['read', 'write'])).toMatchObject({ ok: true, value: { scope: 'read' } });
    expect(warnings.join()).toContain('narrower-scope');
  });
});

describe('a refusal by the identity provider', () => {
  it.each(['invalid_client', 'unauthorized_client', 'invalid_scope', 'invalid_grant', 'invalid_target'])(
    '%s is IDP_DENIED, without a second request',
    async (error) => {
      const failure = await refusalOf({ status: 400, body: { error, error_description: 'text of the IdP' } });
      expect(failure).toMatchObject({ code: 'IDP_DENIED', message: `the identity provider refused: ${error}` });
      expect(failure.detail).toContain('text of the IdP');
    },
  );

  it.each<[string, ScriptedReply, 'credential' | undefined]>([
    ['invalid_client', { status: 401, body: { error: 'invalid_client' } }, 'credential'],
    ['invalid_client as a bad request', { status: 400, body: { error: 'invalid_client' } }, 'credential'],
    ['invalid_client as a success', { body: { error: 'invalid_client' } }, 'credential'],
    ['unauthorized_client', { status: 400, body: { error: 'unauthorized_client' } }, 'credential'],
    ['401 without a word', { status: 401 }, 'credential'],
    ['401 with a page', { status: 401, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'credential'],
    ['401 with another error', { status: 401, body: { error: 'invalid_scope' } }, undefined],
    ['403 without a word', { status: 403 }, undefined],
    ['invalid_grant, which is no refresh token here', { status: 400, body: { error: 'invalid_grant' } }, undefined],
    ['invalid_scope', { status: 400, body: { error: 'invalid_scope' } }, undefined],
    ['invalid_client for the time being', { status: 503, body: { error: 'invalid_client' } }, undefined],
    ['invalid_client, too often', { status: 429, body: { error: 'invalid_client' } }, undefined],
    ['a token that is refused', { body: { ...GOOD, token_type: 'DPoP' } }, undefined],
  ])('tells whether it is the client itself that is refused: %s', async (_, reply, refused) => {
    expect((await refusalOf(reply)).refused).toBe(refused);
  });

  it('is an error also with status 200', async () => {
    const reply = { body: { ...GOOD, error: 'invalid_grant' } };
    expect(await refusalOf(reply)).toMatchObject({ code: 'IDP_DENIED' });
  });

  it('is read from the challenge of a 401', async () => {
    const headers = { 'www-authenticate': 'Basic realm="idp", error="invalid_client"' };
    const failure = await refusalOf({ status: 401, headers, body: '' });
    expect(failure).toMatchObject({ code: 'IDP_DENIED', message: 'the identity provider refused: invalid_client' });
    const unnamed = await refusalOf({ status: 401, headers: { 'www-authenticate': 'Basic realm="idp"' }, body: '' });
    expect(unnamed).toMatchObject({ code: 'IDP_DENIED', message: 'the identity provider refused (status 401)' });
  });

  it('says what to do when DPoP is demanded', async () => {
    const failure = await refusalOf({ status: 400, body: { error: 'use_dpop_nonce' }, headers: { 'dpop-nonce': 'n' } });
    expect(failure).toMatchObject({ code: 'IDP_DENIED', message: expect.stringContaining('DPoP') as string });
  });

  it('is not repeated to callers when OAuth does not define its name', async () => {
    const failure = await refusalOf({ status: 400, body: { error: 'Internal_host_db7' } });
    expect(failure.code).toBe('IDP_DENIED');
    expect(failure.message).not.toContain('db7');
    expect(failure.detail).toContain('Internal_host_db7');
  });

  it.each<[string, Readonly<Record<string, string>>, number | undefined]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['a date', { 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT', date: 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
    ['a date of the past', { 'retry-after': 'Thu, 01 Jan 2015 00:01:00 GMT' }, 0],
    ['more than a day', { 'retry-after': '99999999999' }, 86_400_000],
    ['nonsense', { 'retry-after': '-5' }, undefined],
    ['nothing', {}, undefined],
  ])('for too many requests is QUOTA_EXHAUSTED; Retry-After: %s', async (_, headers, retryAfterMs) => {
    const failure = await refusalOf({ status: 429, headers, body: 'slow down' });
    expect(failure.code).toBe('QUOTA_EXHAUSTED');
    expect(failure.retryAfterMs).toBe(retryAfterMs);
  });

  it.each<[string, ScriptedReply]>([
    ['500 with JSON', { status: 500, body: { error: 'server_error' } }],
    ['503 with HTML', { status: 503, headers: { 'content-type': 'text/html' }, body: '<h1>busy</h1>' }],
    ['400 temporarily_unavailable', { status: 400, body: { error: 'temporarily_unavailable' } }],
  ])('for the time being is IDP_UNAVAILABLE: %s', async (_, reply) => {
    const failure = await refusalOf({ ...reply, headers: { ...reply.headers, 'retry-after': '3' } });
    expect(failure).toMatchObject({ code: 'IDP_UNAVAILABLE', retryAfterMs: 3_000 });
  });
});

describe('what is left of a limit', () => {
  const headers = { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': '60' };
  const observed = { remaining: 3, resetMs: 60_000 };

  it('is told with a token', async () => {
    const { fetch } = await startBed({ headers, body: GOOD });
    expect(await fetch()).toMatchObject({ ok: true, value: { observed } });
    const { fetch: silent } = await startBed({ body: GOOD });
    const issued = await silent();
    expect(issued.ok && 'observed' in issued.value).toBe(false);
  });

  it.each<[string, ScriptedReply]>([
    ['too many requests', { status: 429 }],
    ['a failure', { status: 503 }],
    ['a denial', { status: 401, body: { error: 'invalid_client' } }],
    ['a reply that is refused', { body: { ...GOOD, expires_in: 0 } }],
  ])('is told with %s', async (_, reply) => {
    expect(await refusalOf({ ...reply, headers })).toMatchObject({ observed });
  });

  it('is read by the clock of the reply', async () => {
    const moment = {
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': '1767225660',
      date: 'Thu, 01 Jan 2026 00:00:30 GMT',
    };
    expect((await refusalOf({ status: 429, headers: moment })).observed).toEqual({ remaining: 0, resetMs: 30_000 });
  });
});

describe('what a failure tells', () => {
  const prose = 'The client could not be authenticated (trace 0b4e3b0c-6f0e-4f0e-9a53-1a1f7f0f2a11)';

  it('shows the text of the identity provider in the detail alone', async () => {
    const failure = await refusalOf({ status: 401, body: { error: 'invalid_client', error_description: prose } });
    expect(failure.detail).toContain(prose);
    expect(failure.message).not.toContain('trace');
  });

  it('would find a secret that got out', () => {
    for (const spelling of spellingsOf(SECRET).values()) expect(findSecrets(`x${spelling}y`)).not.toEqual([]);
  });

  const replies: [string, (text: string) => ScriptedReply][] = [
    ['a description', (text) => ({ status: 400, body: { error: 'invalid_client', error_description: text } })],
    ['the name of the error', (text) => ({ status: 400, body: { error: text } })],
    ['a page', (text) => ({ headers: { 'content-type': 'text/html' }, body: `<p>${text}</p>` })],
    ['a field of a token', (text) => ({ body: { ...GOOD, token_type: 'x', [text]: text } })],
    ['a scope', (text) => ({ body: { ...GOOD, scope: `read ${text}` } })],
    ['a redirect', (text) => ({ status: 302, headers: { location: `/?${encodeURIComponent(text)}` } })],
    ['a challenge', (text) => ({ status: 401, headers: { 'www-authenticate': `Basic error="${encodeURI(text)}"` } })],
    ['a text that is cut', (text) => ({ status: 500, body: `${'x '.repeat(130)}${text}` })],
  ];
  it.each(replies)('holds neither secret nor token when the identity provider repeats them in %s', async (_, reply) => {
    const texts = [...spellingsOf(SECRET).values()];
    texts.push(`access_token=${TOKEN}`, `"access_token": "${TOKEN}"`, JSON.stringify(JSON.stringify(GOOD)));
    for (const text of texts) await refusalOf(reply(text), ['read']);
    // A short one too: its beginning alone gives it away.
    for (const token of [jwt({ sub: 'payments' }), 'eyJhIjoxfQ.e30.c2ln']) {
      const { message, detail } = await refusalOf(reply(token), ['read']);
      expect(`${message} ${detail}`).not.toContain('eyJ');
    }
  });

  it('is one line of at most 300 characters', async () => {
    const failure = await refusalOf({ status: 500, body: 'line\r\n\u0000'.repeat(1_000) });
    expect(failure.detail).toHaveLength(300);
    // eslint-disable-next-line no-control-regex -- control characters are what must not be there
    expect(failure.detail).not.toMatch(/[\x00-\x1f]/);
  });

  it('is made in little time, whatever the reply', async () => {
    for (const piece of ['a', 'eyJ', 'access_token ', '.', '%2', 'Zq7+canary/"%']) {
      const failure = await refusalOf({ status: 500, body: piece.repeat(Math.floor(1_000_000 / piece.length)) });
      expect(failure.code).toBe('IDP_UNAVAILABLE');
    }
  }, 10_000);
});
