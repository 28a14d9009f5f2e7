import type { OAuth2Grant } from '@token-broker/configuration';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readToken, type Oddity, type ReadTokenOptions } from './token-response.js';

const DAY_MS = 86_400_000;

type Settings = Partial<ReadTokenOptions> & { readonly acceptNarrowerScope?: boolean; readonly grant?: OAuth2Grant };

function read(body: unknown, options: Settings = {}) {
  const { acceptNarrowerScope = false, grant = { kind: 'client_credentials' }, ...rest } = options;
  const warnings: Oddity[] = [];
  const outcome = readToken(typeof body === 'string' ? body : JSON.stringify(body), {
    source: { grant, defaultLifetimeMs: 300_000, maxLifetimeMs: 365 * DAY_MS, acceptNarrowerScope },
    scopes: [],
    detail: (text) => text,
    warn: (what) => warnings.push(what),
    ...rest,
  });
  return { outcome, warnings };
}

function jwt(claims: unknown): string {
  return ['{"alg":"none"}', JSON.stringify(claims), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
}

const GOOD = { access_token: 'abc', token_type: 'Bearer', expires_in: 60 };

describe('readToken', () => {
  it('reads a token, its life and its scope', () => {
    const { outcome, warnings } = read({ ...GOOD, scope: ' a  b ' });
    expect(outcome).toMatchObject({ ok: true, value: { tokenType: 'Bearer', lifeMs: 60_000, scope: 'a b' } });
    expect(outcome.ok && outcome.value.accessToken.reveal()).toBe('abc');
    expect(warnings).toEqual([]);
  });

  it.each(['bearer', 'BEARER', 'Bearer'])('spells the token type as RFC 6750 does, from %s', (token_type) => {
    expect(read({ ...GOOD, token_type }).outcome).toMatchObject({ ok: true, value: { tokenType: 'Bearer' } });
  });

  it.each<[string, unknown, number, Oddity[]]>([
    ['a missing one: the default', undefined, 300_000, ['no-expires-in']],
    ['a number', 3600, 3_600_000, []],
    ['a fraction', 1.5, 1_500, []],
    ['a numeric string', '3600', 3_600_000, []],
    ['the maximum', 365 * 86_400, 365 * DAY_MS, []],
    ['one above the maximum: clamped', 365 * 86_400 + 1, 365 * DAY_MS, ['lifetime-clamped']],
    ['10^12 seconds: clamped', 1e12, 365 * DAY_MS, ['lifetime-clamped']],
    ['10^12 as a string: clamped', '1000000000000', 365 * DAY_MS, ['lifetime-clamped']],
  ])('takes an expires_in that is %s', (_, expires_in, lifeMs, warned) => {
    const { outcome, warnings } = read({ ...GOOD, expires_in });
    expect(outcome).toMatchObject({ ok: true, value: { lifeMs } });
    expect(warnings).toEqual(warned);
  });

  it.each([0, -1, 0.0001, null, true, '', ' 60', '60s', '1e3', '-60', 'NaN', 'Infinity', '0', [60], { seconds: 60 }])(
    'refuses an expires_in of %j',
    (expires_in) => {
      const { outcome } = read({ ...GOOD, expires_in });
      expect(outcome).toMatchObject({ ok: false, error: { code: 'IDP_PROTOCOL' } });
      expect(outcome.ok || outcome.error.message).toContain('expires_in');
    },
  );

  it('refuses an expires_in that JSON can write and a number cannot hold', () => {
    const { outcome } = read('{"access_token":"abc","token_type":"Bearer","expires_in":1e999}');
    expect(outcome).toMatchObject({ ok: false, error: { code: 'IDP_PROTOCOL' } });
  });

  it.each<[string, unknown, string]>([
    ['no object', [GOOD], 'not a JSON object'],
    ['null', null, 'not a JSON object'],
    ['HTML', '<html><body>Sign in</body></html>', 'not a JSON object'],
    ['nothing', '', 'not a JSON object'],
    ['no access_token', { ...GOOD, access_token: undefined }, 'no access_token'],
    ['a number for a token', { ...GOOD, access_token: 5 }, 'not a string'],
    ['an empty token', { ...GOOD, access_token: '' }, 'visible ASCII'],
    ['a line break in the token', { ...GOOD, access_token: 'abc\r\nx-injected: 1' }, 'visible ASCII'],
    ['a space in the token', { ...GOOD, access_token: 'abc def' }, 'visible ASCII'],
    ['a letter beyond ASCII in the token', { ...GOOD, access_token: 'abcé' }, 'visible ASCII'],
    ['a line break at the end of the token', { ...GOOD, access_token: 'abc\n' }, 'visible ASCII'],
    ['a token of 64 KiB and one', { ...GOOD, access_token: 'a'.repeat(65_537) }, 'longer'],
    ['no token_type', { ...GOOD, token_type: undefined }, 'token_type'],
    ['an unknown token_type', { ...GOOD, token_type: 'Basic' }, 'token_type is not Bearer'],
    ['what is no access token', { ...GOOD, token_type: 'N_A' }, 'no access token'],
    ['DPoP', { ...GOOD, token_type: 'DPoP' }, 'sender-constrained'],
    ['a proof of possession', { ...GOOD, token_type: 'PoP' }, 'sender-constrained'],
    ['a message authentication code', { ...GOOD, token_type: 'mac' }, 'sender-constrained'],
    ['a JWT bound to a DPoP key', { ...GOOD, access_token: jwt({ cnf: { jkt: 'k' } }) }, 'sender-constrained'],
    [
      'a JWT bound to a certificate',
      { ...GOOD, access_token: jwt({ cnf: { 'x5t#S256': 'k' } }) },
      'sender-constrained',
    ],
    ['a JWT bound to a key by name', { ...GOOD, access_token: jwt({ cnf: { kid: 'k' } }) }, 'sender-constrained'],
    ['a scope that is no string', { ...GOOD, scope: ['a'] }, 'scope'],
    ['a scope with a line break', { ...GOOD, scope: 'a\nb' }, 'scope'],
    ['a token and an error at once', { ...GOOD, error: { code: 7 } }, 'error'],
  ])('refuses %s', (_, body, message) => {
    const { outcome } = read(body);
    expect(outcome).toMatchObject({ ok: false, error: { code: 'IDP_PROTOCOL' } });
    expect(outcome.ok || outcome.error.message).toContain(message);
  });

  it('takes a JWT that is bound to nobody', () => {
    for (const claims of [{}, { cnf: null }, { cnf: {} }, 'text']) {
      expect(read({ ...GOOD, access_token: jwt(claims) }).outcome.ok).toBe(true);
    }
    expect(read({ ...GOOD, access_token: 'three.dots.notjson' }).outcome.ok).toBe(true);
  });

  it('takes an absent error that is spelled out', () => {
    expect(read({ ...GOOD, error: null }).outcome.ok).toBe(true);
    expect(read({ ...GOOD, error: '' }).outcome.ok).toBe(true);
  });

  it('refuses a narrower scope, or takes it with a warning where the source allows that', () => {
    const scopes = ['a', 'b'];
    const refused = read({ ...GOOD, scope: 'a' }, { scopes });
    expect(refused.outcome).toMatchObject({ ok: false, error: { code: 'IDP_DENIED' } });
    expect(refused.outcome.ok || refused.outcome.error.message).toContain('"b"');
    const taken = read({ ...GOOD, scope: 'a' }, { scopes, acceptNarrowerScope: true });
    expect(taken.outcome).toMatchObject({ ok: true, value: { scope: 'a' } });
    expect(taken.warnings).toEqual(['narrower-scope']);
  });

  it('refuses a wider scope, also where it takes a narrower one', () => {
    for (const acceptNarrowerScope of [false, true]) {
      const { outcome } = read({ ...GOOD, scope: 'a admin-everything' }, { scopes: ['a', 'b'], acceptNarrowerScope });
      expect(outcome).toMatchObject({ ok: false, error: { code: 'IDP_PROTOCOL' } });
      // The identity provider's own words stay out of what callers see.
      expect(outcome.ok || outcome.error.message).not.toContain('admin-everything');
    }
  });

  it('takes any scope where none was asked for, and none where the reply names none', () => {
    expect(read({ ...GOOD, scope: 'default other' }).outcome).toMatchObject({
      ok: true,
      value: { scope: 'default other' },
    });
    const silent = read(GOOD, { scopes: ['a'] });
    expect(silent.outcome).toMatchObject({ ok: true });
    expect(silent.outcome.ok && 'scope' in silent.outcome.value).toBe(false);
  });

  it('never throws, and gives only sound tokens, whatever JSON it reads', () => {
    const anyValue = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom<unknown>('Bearer', 'bearer', 60, '60', 1e12, 'a b', 'abc'),
    );
    const mostly = (good: unknown, ...others: fc.Arbitrary<unknown>[]) =>
      fc.oneof({ weight: 3, arbitrary: fc.constant(good) }, ...others, anyValue);
    const fields = fc.record({
      access_token: mostly('abc', fc.string()),
      token_type: mostly('Bearer'),
      expires_in: mostly(60, fc.double()),
      scope: mostly('a b', fc.string()),
      error: mostly(undefined),
    });
    const reply = fc.oneof(
      fc.json(),
      fc.string(),
      fields.map((body) => JSON.stringify(body)),
    );
    let taken = 0;
    fc.assert(
      fc.property(reply, fc.subarray(['a', 'b']), fc.boolean(), (body, scopes, acceptNarrowerScope) => {
        const { outcome } = read(body, { scopes, acceptNarrowerScope });
        if (!outcome.ok) return;
        taken += 1;
        const { accessToken, lifeMs, scope } = outcome.value;
        expect(accessToken.reveal()).toMatch(/^[\x21-\x7e]+$/);
        expect(Number.isInteger(lifeMs) && lifeMs > 0 && lifeMs <= 365 * DAY_MS).toBe(true);
        if (scope !== undefined && scopes.length > 0)
          expect(scopes).toEqual(expect.arrayContaining(scope.split(' ').filter(Boolean)));
      }),
      { numRuns: 1_000 },
    );
    // Otherwise the property above says little.
    expect(taken).toBeGreaterThan(10);
  });
});
