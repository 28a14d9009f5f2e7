import { describe, expect, it } from 'vitest';
import { issued, Redacted, refused } from './index.js';

describe('what a provider answers with', () => {
  it('is a credential, whose text cannot be printed', () => {
    const outcome = issued({ accessToken: 'canary-text', lifeMs: 1_000, username: 'app' });
    expect(outcome).toMatchObject({ ok: true, value: { tokenType: 'Bearer', lifeMs: 1_000, username: 'app' } });
    expect(JSON.stringify(outcome)).not.toContain('canary-text');
    expect(outcome.ok && outcome.value.accessToken.reveal()).toBe('canary-text');
    const leased = issued({ accessToken: 'token', lifeMs: 1, revocationHandle: 'canary-lease' });
    expect(JSON.stringify(leased)).not.toContain('canary-lease');
    expect(leased.ok && leased.value.revocationHandle?.reveal()).toBe('canary-lease');
    const secret = new Redacted('x');
    expect(issued({ accessToken: secret, tokenType: 'password', lifeMs: 1 })).toMatchObject({
      value: { accessToken: secret, tokenType: 'password' },
    });
  });

  it('is a refusal, whose detail is its message where there is no other', () => {
    expect(refused('IDP_DENIED', 'no')).toEqual({
      ok: false,
      error: { code: 'IDP_DENIED', message: 'no', detail: 'no' },
    });
    expect(refused('QUOTA_EXHAUSTED', 'later', { detail: 'said so', retryAfterMs: 5 })).toMatchObject({
      error: { detail: 'said so', retryAfterMs: 5 },
    });
  });
});
