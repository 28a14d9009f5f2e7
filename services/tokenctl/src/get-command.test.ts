import { describe, expect, it } from 'vitest';
import { errorOf, run, TOKEN } from './fakes/run.js';

describe('get', () => {
  it('prints the token alone on standard output, and what is known of it on standard error', async () => {
    const outcome = await run([
      'get',
      'payments',
      '--scope',
      'a b',
      '--audience',
      'x',
      '--resource',
      'urn:y',
      '--min-ttl',
      '30s',
    ]);
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toBe(`${TOKEN}\n`);
    expect(outcome.stderr).toBe(
      'payments: bearer, expires in 1 m 0 s, generation 2026-11-05 12:34:56.789, scope "read"\n',
    );
    expect(outcome.requests).toEqual([
      { source: 'payments', parameters: { scope: 'a b', audience: 'x', resource: 'urn:y' }, minTtlMs: 30_000 },
    ]);
  });

  it('prints a header line, or an object', async () => {
    expect((await run(['get', 'payments', '--output', 'header'])).stdout).toBe(`Authorization: Bearer ${TOKEN}\n`);
    const json = await run(['get', 'payments', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ source: 'payments', accessToken: TOKEN, expiresInMs: 60_000 });
    expect(json.stderr).toBe('');
    const both = await run(['get', 'payments', '--json', '--output', 'raw']);
    expect(both).toMatchObject({ code: 2, requests: [] });
    expect(errorOf(both).message).toContain('exclude each other');
  });

  it('warns of a token that is not verified, or lives shorter than was wished', async () => {
    const { stderr } = await run(['get', 'payments', '--min-ttl', '2m'], {
      get: () => Promise.resolve({ verified: false }),
    });
    expect(stderr).toContain('warning: the broker cannot see Redis now');
    expect(stderr).toContain('warning: less life is left than 2 m 0 s');
  });
});
