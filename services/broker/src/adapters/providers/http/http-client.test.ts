import { createSystemClock, Redacted, type Result } from '@token-broker/foundation';
import type { ScriptedReply } from '@token-broker/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import { startScript } from '../fakes/oauth2-bed.js';
import { openHttpClient, type HttpAnswer, type HttpClient } from './http-client.js';
import { notNow, saidIn } from './http-failure.js';

const clock = createSystemClock();
const SECRET = 'canary of the source: 7Qx/+&';
const { signal } = new AbortController();

function open(): HttpClient {
  const client = openHttpClient({ clock, timeoutMs: 5_000, secrets: [new Redacted(SECRET)] });
  onTestFinished(() => client.close());
  return client;
}

async function ask(
  reply: ScriptedReply,
  given?: Redacted,
): Promise<{ end: Result<HttpAnswer, ProviderFailure>; calls: () => number }> {
  const { tokenEndpoint, requests } = await startScript(() => reply);
  const end = await open().request({
    asked: 'the lease',
    url: tokenEndpoint,
    body: '{}',
    signal,
    given: [given, undefined],
  });
  return { end, calls: () => requests.length };
}

describe('one request of a provider', () => {
  it('brings the reply, whatever it says', async () => {
    const { end } = await ask({ status: 403, headers: { 'x-why': 'so' }, body: { errors: [] } });
    expect(end).toMatchObject({ ok: true, value: { reply: { status: 403, text: '{"errors":[]}' } } });
    expect(end.ok && end.value.reply.headers.get('x-why')).toBe('so');
  });

  it('is a GET without a body, and otherwise what it says', async () => {
    const { tokenEndpoint, requests } = await startScript(() => ({}));
    const client = open();
    await client.request({ asked: 'it', url: tokenEndpoint, signal });
    await client.request({ asked: 'it', url: tokenEndpoint, body: 'a=b', signal });
    await client.request({ asked: 'it', url: tokenEndpoint, method: 'PUT', headers: { 'x-a': 'b' }, signal });
    expect(requests.map(({ method }) => method)).toEqual(['GET', 'POST', 'PUT']);
    expect(requests[2]?.headers['x-a']).toBe('b');
  });

  it.each<[string, ScriptedReply, string]>([
    ['a reset', { fault: 'reset-mid-body', body: {} }, 'IDP_UNAVAILABLE'],
    ['a redirect', { status: 307, headers: { location: 'https://elsewhere.example.com' } }, 'IDP_PROTOCOL'],
    ['more than 1 MiB', { body: 'x'.repeat((1 << 20) + 1) }, 'IDP_PROTOCOL'],
  ])('fails by %s, and is made once', async (_, reply, code) => {
    const { end, calls } = await ask(reply);
    expect(end).toMatchObject({ ok: false, error: { code, detail: expect.stringContaining('the lease: ') as string } });
    expect(calls()).toBe(1);
  });

  it('ends with its signal, as the deadline of its call', async () => {
    const aborter = new AbortController();
    const idp = await startScript(() => {
      aborter.abort();
      return { fault: 'hang' };
    });
    const end = await open().request({ asked: 'it', url: idp.tokenEndpoint, signal: aborter.signal });
    expect(end).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
  });

  it('is told in the log without secrets: of the source, of the call, of a reply that may hold one', async () => {
    const given = new Redacted('lent to this call');
    const detailOf = async (reply: ScriptedReply): Promise<string> => {
      const { end } = await ask(reply, given);
      return end.ok ? saidIn(end.value.reply, 'what it is', end.value.context) : '';
    };
    const refused = await detailOf({ status: 400, body: { said: `${SECRET} and ${given.reveal()}` } });
    expect(refused).toContain('the lease: status 400, what it is: {"said":"<redacted> and <redacted>"}');
    expect(await detailOf({ body: { lease: 'canary' } })).toContain('the reply has {lease: string}');
  });

  it.each([
    [429, 'QUOTA_EXHAUSTED'],
    [408, 'IDP_UNAVAILABLE'],
    [503, 'IDP_UNAVAILABLE'],
    [403, undefined],
    [200, undefined],
  ])('is answered "not now" by status %i: %s', async (status, code) => {
    const { end } = await ask({ status, headers: { 'retry-after': '7' }, body: {} });
    const failure = end.ok ? notNow(end.value.reply, 'said', end.value.context) : undefined;
    expect([failure?.code, failure?.retryAfterMs]).toEqual(code === undefined ? [undefined, undefined] : [code, 7_000]);
  });
});
