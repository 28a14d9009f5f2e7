import { Redacted } from '@token-broker/foundation';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDetail } from './detail.js';

const SECRET = 's:e%c+r&t/"<x>-canary-7Q';

function detailOf(text: string): string {
  return createDetail('pay ments', [new Redacted(SECRET)])(text);
}

/** RFC 6749, appendix B, as the OAuth library writes it. */
function form(text: string): string {
  return encodeURIComponent(text)
    .replaceAll(/[-_.!~*'()]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

function spellings(secret: string): Record<string, string> {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const json = JSON.stringify(secret).slice(1, -1);
  return {
    raw: secret,
    json,
    'json with escaped slashes': json.replaceAll('/', String.raw`\/`),
    'percent-encoded': encodeURIComponent(secret),
    'percent-encoded in small letters': encodeURIComponent(secret).replaceAll(/%../g, (code) => code.toLowerCase()),
    'form-encoded': form(secret),
    'a form value': new URLSearchParams([['', secret]]).toString().slice(1),
    html: secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
    base64: base64(secret),
    'base64 without padding': base64(secret).replaceAll('=', ''),
    base64url: Buffer.from(secret).toString('base64url'),
    hex: Buffer.from(secret).toString('hex'),
    'hex in capitals': Buffer.from(secret).toString('hex').toUpperCase(),
    'the Authorization header': base64(`${form('pay ments')}:${form(secret)}`),
    'an Authorization header that was not encoded': base64(`pay ments:${secret}`),
    'base64 after one byte': base64(`x${secret}yz`),
    'base64 after two bytes': base64(`xx${secret}yz`),
  };
}

describe('createDetail', () => {
  it.each(Object.entries(spellings(SECRET)))('hides the secret: %s', (_, spelling) => {
    // Between words, so that nothing but the spelling itself gives it away.
    const detail = detailOf(`we got: ${spelling} !`);
    expect(detail).not.toContain(spelling);
    expect(detail).toMatch(/^we got: .*<redacted>.* !$/);
  });

  it('hides any secret in any of these spellings', () => {
    const secrets = fc
      .string({ minLength: 8, maxLength: 60, unit: 'binary' })
      .map((text) => Buffer.from(text).toString());
    fc.assert(
      fc.property(secrets, (secret) => {
        const detail = createDetail('pay ments', [new Redacted(secret)]);
        for (const [name, spelling] of Object.entries(spellings(secret))) {
          if (detail(`( ${spelling} )`).includes(spelling)) throw new Error(name);
        }
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['a JWT', 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl'],
    ['a random word of 43 characters', 'tUq0Jq3b9m2c-yVx7n1L_4kP8sRwZ5hGdEfAoBiCjDk'],
  ])('hides %s', (_, token) => {
    expect(detailOf(`token ${token} is bad`)).toBe('token <redacted> is bad');
  });

  it.each([
    '{"access_token":"short-1","x":1}',
    '{"access_token" : "short-1"}',
    'access_token=short-1&x=1',
    '{"refresh_token":"short-1"}',
    '{"client_secret":"short-1"}',
    '{"client_assertion":"short-1"}',
    'Authorization: Bearer short-1xyz',
    '{"access_token":"a,b}c&short-1"}',
    String.raw`{"access_token":"a\"b short-1"}`,
  ])('hides what stands in the place of a token: %s', (text) => {
    expect(detailOf(text)).not.toContain('short-1');
  });

  it('hides a long key in whole and line by line, within milliseconds', () => {
    const lines = Array.from({ length: 50 }, (_, i) => `${String(i)}+/=-key!`.repeat(i === 49 ? 2 : 7));
    const pem = ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n');
    const detail = createDetail('payments', [new Redacted(pem)]);
    for (const text of [pem, ...lines, JSON.stringify({ k: pem })]) expect(detail(`( ${text} )`)).not.toContain('key!');
    // A page that is longer than the window still tells something.
    expect(detail('word '.repeat(10_000))).toHaveLength(300);
  });

  it('leaves what support asks for', () => {
    const text = 'AADSTS7000215: Invalid client secret provided. Trace ID: 3f0ef9a5-77bb-4a4c-8a43-3a2e1a6f0d00';
    expect(detailOf(text)).toBe(text);
  });

  it('is one line of at most 300 characters', () => {
    expect(detailOf('a\r\nlevel: error\u0000\u001b[31m\u2028b')).toBe('a level: error [31m b');
    expect(detailOf('word '.repeat(1_000)).length).toBe(300);
  });

  it.each([
    ['letters', 'a'.repeat(1 << 20)],
    ['words and dots', 'abcdefghi.'.repeat(1 << 16)],
    ['the names of tokens', 'access_token '.repeat(1 << 16)],
    ['a name and escapes', `"access_token":"${String.raw`\n`.repeat(1 << 19)}`],
    ['a name and spaces', `access_token${' '.repeat(1 << 20)}`],
    ['the beginning of a JWT', 'eyJ'.repeat(1 << 18)],
    ['the beginning of the secret', SECRET.slice(0, -1).repeat(1 << 15)],
    ['schemes', 'Bearer '.repeat(1 << 17)],
  ])('is not slowed down by a megabyte of %s', (_, text) => {
    // Quadratic work on a megabyte takes minutes: the test would time out.
    expect(detailOf(text).length).toBeLessThanOrEqual(300);
  });

  it('hides a secret wherever it stands in a long text', () => {
    for (const padding of [7_000, 8_180, 8_190, 60_000]) {
      expect(detailOf(`${'eyJ'.padEnd(padding, 'a')} ${SECRET} ${SECRET}`)).not.toContain(SECRET.slice(0, 8));
    }
  });
});
