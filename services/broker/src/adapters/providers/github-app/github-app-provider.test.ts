import { generateKeyPairSync } from 'node:crypto';
import { createSystemClock, Redacted, type Clock } from '@token-broker/foundation';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { GitHubAppSourceConfiguration } from '@token-broker/configuration';
import type { Provider } from '../../../app/ports/provider.js';
import { startGitHub, type GitHubEndpoint } from '../fakes/github-endpoint.js';
import { APP, APP_KEY, gitHubSource } from '../fakes/github-source.js';
import type { JsonReply } from '../fakes/json-endpoint.js';
import { failureOf, valueOf } from '../fakes/oauth2-bed.js';
import { silentLog } from '../fakes/silent-log.js';
import { createProvider } from '../provider-registry.js';

const ANY = { scopes: [] };
const MINUTE_MS = 60_000;
const systemClock = createSystemClock();

function open(
  { url }: GitHubEndpoint,
  change: Partial<GitHubAppSourceConfiguration> = {},
  clock: Clock = systemClock,
): Provider {
  const lend = (): Promise<never> => Promise.reject(new Error('not asked for'));
  const provider = createProvider(gitHubSource({ apiUrl: url, ...change }), { clock, log: silentLog, lend });
  onTestFinished(() => provider.close());
  return provider;
}

const clockAhead = (byMs: number): Clock => ({
  wallMs: () => systemClock.wallMs() + byMs,
  elapsedMs: () => systemClock.elapsedMs(),
  startTimer: (afterMs, run) => systemClock.startTimer(afterMs, run),
});

function otherKey(): Redacted {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  return new Redacted(privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
}

describe('the assertion of an app', () => {
  it.each([
    ['PKCS #1', APP_KEY.pkcs1],
    ['PKCS #8', APP_KEY.pkcs8],
  ])('is signed with its key, be it in %s, names the app, and ends within ten minutes', async (_, privateKey) => {
    const github = await startGitHub(APP);
    valueOf(await open(github, { privateKey }).fetch(ANY));
    const [claims] = github.assertions;
    const now = systemClock.wallMs() / 1_000;
    expect(claims?.['iss']).toBe(APP.appId);
    expect(now - Number(claims?.['iat'])).toBeGreaterThanOrEqual(60);
    expect(now - Number(claims?.['iat'])).toBeLessThan(70);
    expect(Number(claims?.['exp']) - now).toBeLessThan(600);
    expect(Object.keys(claims ?? {}).sort()).toEqual(['exp', 'iat', 'iss']);
  });

  it.each([
    ['a minute ahead', 59_000],
    ['minutes behind', -8 * MINUTE_MS],
  ])('is taken where the clock of the broker is %s', async (_, byMs) => {
    const github = await startGitHub(APP);
    expect((await open(github, {}, clockAhead(byMs)).fetch(ANY)).ok).toBe(true);
  });

  it.each<[string, Partial<GitHubAppSourceConfiguration>, number]>([
    ['of another key', { privateKey: otherKey() }, 0],
    ['of a clock that is too far ahead', {}, 2 * MINUTE_MS],
    ['of a clock that is too far behind', {}, -15 * MINUTE_MS],
  ])('%s is refused: no call of this credential will do better', async (_, change, byMs) => {
    const github = await startGitHub(APP);
    const failure = failureOf(await open(github, change, clockAhead(byMs)).fetch(ANY));
    expect(failure).toMatchObject({ code: 'IDP_DENIED', refused: 'credential' });
    expect(failure.message).toContain('its id, its key, or the clock');
    expect(github.calls()).toBe(1);
  });
});

describe('a token of an installation', () => {
  it('is asked for without bounds where the source has none', async () => {
    const github = await startGitHub(APP);
    const { lifeMs, tokenType } = valueOf(await open(github).fetch(ANY));
    expect(github.asked).toEqual([{}]);
    expect(tokenType).toBe('Bearer');
    expect(lifeMs).toBeGreaterThan(59 * MINUTE_MS);
    expect(lifeMs).toBeLessThanOrEqual(60 * MINUTE_MS);
  });

  it('is asked for by repositories and permissions', async () => {
    const github = await startGitHub(APP);
    const permissions = new Map([['contents', 'write' as const]]);
    valueOf(await open(github, { repositories: { by: 'name', names: ['docs', 'web'] }, permissions }).fetch(ANY));
    valueOf(await open(github, { repositories: { by: 'id', ids: [1] } }).fetch(ANY));
    expect(github.asked).toEqual([
      { repositories: ['docs', 'web'], permissions: { contents: 'write' } },
      { repository_ids: [1] },
    ]);
  });

  it('lives by the clock of GitHub', async () => {
    const github = await startGitHub(APP);
    github.clockAheadMs = 5 * MINUTE_MS;
    github.will({ does: 'issue', lifeMs: 10 * MINUTE_MS });
    const { lifeMs } = valueOf(await open(github).fetch(ANY));
    expect(lifeMs).toBeLessThanOrEqual(10 * MINUTE_MS);
    expect(lifeMs).toBeGreaterThan(9 * MINUTE_MS);
  });

  it.each<[string, Partial<GitHubAppSourceConfiguration>, string]>([
    ['another installation', { installationId: 1 }, 'there is no such installation'],
    ['a repository that it cannot reach', { repositories: { by: 'name', names: ['x'] } }, 'no such repositories'],
    ['a permission that it has not', { permissions: new Map([['issues', 'write']]) }, 'no such repositories or perm'],
    ['another app', { appId: 'Iv23liOther' }, 'there is no such installation'],
  ])('is denied for %s, and its credential is not blamed', async (_, change, words) => {
    const github = await startGitHub(APP);
    const failure = failureOf(await open(github, change).fetch(ANY));
    expect(failure.code).toBe('IDP_DENIED');
    expect(failure.message).toContain(words);
    expect(failure).not.toHaveProperty('refused');
  });
});

describe('a limit of GitHub', () => {
  const SECONDARY = { message: 'You have exceeded a secondary rate limit. Please wait a few minutes.' };
  const PRIMARY = { message: 'API rate limit exceeded for installation ID 4711.' };
  const spent = (inMs: number) => ({
    'x-ratelimit-limit': '5000',
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': String(Math.ceil((systemClock.wallMs() + inMs) / 1_000)),
  });

  it.each<[string, JsonReply, number, number]>([
    [
      'by its word, where it names one',
      { status: 403, headers: { 'retry-after': '7' }, body: SECONDARY },
      7_000,
      7_000,
    ],
    ['for a minute, where a secondary one names none', { status: 403, body: SECONDARY }, 60_000, 60_000],
    ['for a minute, where a 429 names none', { status: 429, body: SECONDARY }, 60_000, 60_000],
    ['until it is reset', { status: 403, headers: spent(600_000), body: PRIMARY }, 595_000, 602_000],
    ['until it is reset, as a 429', { status: 429, headers: spent(600_000), body: PRIMARY }, 595_000, 602_000],
  ])('pauses all of the app %s', async (_, reply, leastMs, mostMs) => {
    const github = await startGitHub(APP);
    github.answer = reply;
    const failure = failureOf(await open(github).fetch(ANY));
    expect(failure.code).toBe('QUOTA_EXHAUSTED');
    expect(failure.retryAfterMs).toBeGreaterThanOrEqual(leastMs);
    expect(failure.retryAfterMs).toBeLessThanOrEqual(mostMs);
  });

  it('is seen before it is met', async () => {
    const github = await startGitHub(APP);
    const headers = { ...spent(600_000), 'x-ratelimit-remaining': '12' };
    const end = new Date(systemClock.wallMs() + MINUTE_MS).toISOString();
    github.answer = { status: 201, headers, body: { token: 'ghs_x', expires_at: end } };
    expect(valueOf(await open(github).fetch(ANY)).observed?.remaining).toBe(12);
  });
});

describe('a reply that is of no use', () => {
  const END = '2999-01-01T00:00:00Z';

  it.each<[string, JsonReply, string]>([
    ['an outage', { status: 502, body: '<html>Unicorn!</html>' }, 'IDP_UNAVAILABLE'],
    ['maintenance', { status: 503, body: { message: 'Down' } }, 'IDP_UNAVAILABLE'],
    ['a page of a proxy', { status: 404, body: '<html>Not Found</html>' }, 'IDP_PROTOCOL'],
    ['a redirect', { status: 307, headers: { location: 'https://elsewhere.example.com' } }, 'IDP_PROTOCOL'],
    ['no token', { status: 201, body: { expires_at: END } }, 'IDP_PROTOCOL'],
    ['no end', { status: 201, body: { token: 'canary' } }, 'IDP_PROTOCOL'],
    ['an end that is none', { status: 201, body: { token: 'canary', expires_at: 'soon' } }, 'IDP_PROTOCOL'],
    [
      'an end that has passed',
      { status: 201, body: { token: 'canary', expires_at: END.replace('2', '1') } },
      'IDP_PROTOCOL',
    ],
  ])('is told for what it is: %s', async (_, reply, code) => {
    const github = await startGitHub(APP);
    github.answer = reply;
    const failure = failureOf(await open(github).fetch(ANY));
    expect(failure.code).toBe(code);
    expect(JSON.stringify(failure)).not.toContain('canary');
    expect(github.calls()).toBe(1);
  });
});

describe('a revocation', () => {
  it('is done by the token itself, and is done also where GitHub knows it no more', async () => {
    const github = await startGitHub(APP);
    const provider = open(github);
    const { accessToken } = valueOf(await provider.fetch(ANY));
    expect(await provider.revoke(accessToken)).toEqual({ ok: true, value: 'revoked' });
    expect(await provider.revoke(accessToken)).toEqual({ ok: true, value: 'revoked' });
    expect(github.takenBack).toEqual([accessToken.reveal()]);
  });

  it('that cannot be done now is told, without the token', async () => {
    const github = await startGitHub(APP);
    github.answer = { status: 503, headers: { 'retry-after': '3' }, body: { message: 'not ghs_canary now' } };
    const failure = failureOf(await open(github).revoke(new Redacted('ghs_canary')));
    expect(failure).toMatchObject({ code: 'IDP_UNAVAILABLE', retryAfterMs: 3_000 });
    expect(JSON.stringify(failure)).not.toContain('ghs_canary');
  });
});
