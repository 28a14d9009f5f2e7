import { describe, expect, it } from 'vitest';
import type { Exchange } from '../http/exchange.js';
import { refusalOf, type RefusalContext } from './refusal.js';

function refusal(
  reply: Partial<Exchange> & { readonly text: string },
  asked: RefusalContext['asked'] = 'the token request',
) {
  const whole = { status: 200, headers: new Headers(), ...reply };
  return refusalOf(whole, new Error('invalid response encountered'), { asked, wallMs: 0, detail: (text) => text });
}

describe('refusalOf', () => {
  it('tells of a success only which fields it has: the OAuth library may object to any of them', () => {
    const text = JSON.stringify({ access_token: 'can,ary', token_type: 'Bearer', refresh_token: 7 });
    const { code, detail } = refusal({ text });
    expect(code).toBe('IDP_PROTOCOL');
    expect(detail).not.toMatch(/can|ary/);
    expect(detail).toContain('refresh_token: number');
  });

  it('tells the text of a failure', () => {
    const text = JSON.stringify({ error: 'invalid_client', error_description: 'no such client' });
    expect(refusal({ status: 401, text }).detail).toContain('no such client');
  });

  it.each([
    [400, 'invalid_request', 'IDP_DENIED'],
    [400, 'server_error', 'IDP_UNAVAILABLE'],
    [429, 'invalid_client', 'QUOTA_EXHAUSTED'],
    [408, '', 'IDP_UNAVAILABLE'],
    [503, 'invalid_client', 'IDP_UNAVAILABLE'],
    [401, '', 'IDP_DENIED'],
    [403, '', 'IDP_DENIED'],
    [400, '', 'IDP_PROTOCOL'],
    [404, '', 'IDP_PROTOCOL'],
  ])('reads status %i with the error "%s" as %s', (status, error, code) => {
    expect(refusal({ status, text: JSON.stringify({ error }) }).code).toBe(code);
  });

  it('reads a discovery that is forbidden as unusable metadata: the client was not refused', () => {
    expect(refusal({ status: 403, text: '<html>' }, 'discovery').code).toBe('IDP_PROTOCOL');
  });

  it('reads a refusal of the metadata or the keys as no refusal of the client', () => {
    for (const asked of ['discovery', 'the key set'] as const) {
      const failure = refusal({ status: 401, text: '{"error":"invalid_client"}' }, asked);
      expect(failure.code).toBe('IDP_PROTOCOL');
      expect(failure.refused).toBeUndefined();
    }
  });

  it('passes a pause on only where waiting helps', () => {
    const headers = new Headers({ 'retry-after': '9' });
    expect(refusal({ status: 503, headers, text: '' }).retryAfterMs).toBe(9_000);
    expect(refusal({ status: 401, headers, text: '' })).not.toHaveProperty('retryAfterMs');
  });
});
