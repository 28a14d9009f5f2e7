import { Redacted } from '@token-broker/foundation';
import { createCertificate, VirtualClock, type ScriptedReply } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import {
  CLIENT_ID,
  endpointOf,
  failureOf,
  issuerOf,
  openProvider,
  startIdp,
  startScript,
  valueOf,
} from '../fakes/oauth2-bed.js';

const TOKEN = new Redacted('a token, and short');

describe('the revocation, at a real identity provider', () => {
  it('takes a token back: the identity provider does not know it any more', async () => {
    const idp = await startIdp();
    const subjectToken = {
      type: 'urn:ietf:params:oauth:token-type:access_token',
      actorType: 'urn:ietf:params:oauth:token-type:access_token',
      check: { kind: 'introspection' as const },
      ownerClaim: 'client_id',
    };
    const { provider } = openProvider({ ...issuerOf(idp), subjectToken });
    const { accessToken } = valueOf(await provider.fetch({ scopes: ['read'] }));
    expect(valueOf(await provider.readSubject(accessToken))).toMatchObject({ owners: [CLIENT_ID] });
    expect(await provider.revoke(accessToken)).toEqual({ ok: true, value: 'revoked' });
    expect(valueOf(await provider.readSubject(accessToken))).toBeUndefined();
    expect(idp.revocation.requests()).toHaveLength(1);
    expect(Object.fromEntries(idp.revocation.requests()[0]?.form ?? [])).toEqual({
      token: accessToken.reveal(),
      token_type_hint: 'access_token',
    });
    // Once more: it is gone, which is what was asked for.
    expect(await provider.revoke(accessToken)).toEqual({ ok: true, value: 'revoked' });
  });

  it('goes to the endpoint that is configured, with the proof of who the client is', async () => {
    const idp = await startIdp();
    const { revocationEndpoint, tokenEndpoint } = idp;
    const { provider } = openProvider({ endpoint: { kind: 'token-endpoint', tokenEndpoint, revocationEndpoint } });
    expect(await provider.revoke(TOKEN)).toEqual({ ok: true, value: 'revoked' });
    expect(idp.revocation.requests()[0]?.headers.authorization).toMatch(/^Basic /);
    const strangerSecret = { kind: 'client_secret_post' as const, clientSecret: new Redacted('wrong') };
    const stranger = openProvider({ ...issuerOf(idp), clientAuthentication: strangerSecret }).provider;
    expect(failureOf(await stranger.revoke(TOKEN))).toMatchObject({ code: 'IDP_DENIED', refused: 'credential' });
  });

  it('fails for a while with the pause that the identity provider wishes, after one request', async () => {
    const idp = await startIdp();
    idp.revocation.failNext(1, { status: 503, headers: { 'retry-after': '7' } });
    const { provider } = openProvider(issuerOf(idp));
    expect(failureOf(await provider.revoke(TOKEN))).toMatchObject({ code: 'IDP_UNAVAILABLE', retryAfterMs: 7_000 });
    expect(idp.revocation.requests()).toHaveLength(1);
    expect(await provider.revoke(TOKEN)).toMatchObject({ ok: true });
  });

  it('is not made over plain HTTP where the source does not allow that', async () => {
    const tls = await createCertificate();
    const [secure, plain] = [await startIdp({ tls }), await startIdp()];
    const endpoint = {
      kind: 'token-endpoint' as const,
      tokenEndpoint: secure.tokenEndpoint,
      revocationEndpoint: plain.revocationEndpoint,
    };
    const { provider } = openProvider({ endpoint, allowInsecureHttp: false, ca: tls.cert });
    expect(failureOf(await provider.revoke(TOKEN)).code).toBe('IDP_PROTOCOL');
    expect(plain.revocation.requests()).toHaveLength(0);
  });
});

describe('the revocation, at an identity provider that is odd', () => {
  const at = async (reply: ScriptedReply) => {
    const idp = await startScript(() => reply);
    const endpoint = { ...endpointOf(idp).endpoint, revocationEndpoint: `${idp.issuer}/revoke` };
    const { provider } = openProvider({ endpoint }, new VirtualClock());
    const outcome = await provider.revoke(TOKEN);
    expect(idp.requests.map(({ path }) => path)).toEqual(['/revoke']);
    expect(JSON.stringify(outcome)).not.toContain('and short');
    return outcome;
  };

  it('is unsupported without an endpoint, which needs no request', async () => {
    const idp = await startScript(() => ({ status: 500 }));
    expect(await openProvider(endpointOf(idp)).provider.revoke(TOKEN)).toEqual({ ok: true, value: 'unsupported' });
    expect(idp.requests).toHaveLength(0);
  });

  it('is unsupported where the metadata name no endpoint, and fails where they cannot be read', async () => {
    const named = await startScript(({ headers }) => {
      const issuer = `http://${headers.host ?? ''}`;
      return { body: { issuer, token_endpoint: `${issuer}/token` } };
    });
    expect(await openProvider(issuerOf(named)).provider.revoke(TOKEN)).toEqual({ ok: true, value: 'unsupported' });
    const broken = await startScript(() => ({ status: 503, headers: { 'retry-after': '3' } }));
    expect(failureOf(await openProvider(issuerOf(broken)).provider.revoke(TOKEN))).toMatchObject({
      code: 'IDP_UNAVAILABLE',
      retryAfterMs: 3_000,
    });
  });

  it.each<[string, ScriptedReply]>([
    ['a page', { body: '<html>', headers: { 'content-type': 'text/html' } }],
    ['nothing', { status: 204 }],
  ])('has succeeded when the reply is a success: %s', async (_, reply) => {
    expect(await at(reply)).toEqual({ ok: true, value: 'revoked' });
  });

  it('is unsupported where this type of token cannot be revoked', async () => {
    const reply = { status: 400, body: { error: 'unsupported_token_type' } };
    expect(await at(reply)).toEqual({ ok: true, value: 'unsupported' });
  });

  it.each<[string, ScriptedReply, object]>([
    ['503', { status: 503, headers: { 'retry-after': '9' } }, { code: 'IDP_UNAVAILABLE', retryAfterMs: 9_000 }],
    ['429', { status: 429, headers: { 'retry-after': '9' } }, { code: 'QUOTA_EXHAUSTED', retryAfterMs: 9_000 }],
    ['401', { status: 401 }, { code: 'IDP_DENIED', refused: 'credential' }],
    [
      'invalid_client',
      { status: 400, body: { error: 'invalid_client' } },
      { code: 'IDP_DENIED', refused: 'credential' },
    ],
    ['invalid_request', { status: 400, body: { error: 'invalid_request' } }, { code: 'IDP_DENIED' }],
    ['404', { status: 404, body: 'not a word about a token, and short' }, { code: 'IDP_PROTOCOL' }],
    ['a redirect', { status: 307, headers: { location: '/elsewhere' } }, { code: 'IDP_PROTOCOL' }],
    ['a reset', { fault: 'reset-mid-body', body: 'x'.repeat(99) }, { code: 'IDP_UNAVAILABLE' }],
    [
      'what is left of a limit',
      { status: 503, headers: { 'ratelimit-remaining': '2', 'ratelimit-reset': '5' } },
      { observed: { remaining: 2, resetMs: 5_000 } },
    ],
  ])('is a failure otherwise: %s', async (_, reply, failure) => {
    expect(failureOf(await at(reply))).toMatchObject(failure);
  });

  it('ends at the timeout of the source', async () => {
    const idp = await startIdp();
    idp.revocation.setHanging(true);
    const { provider } = openProvider({ ...issuerOf(idp), timeoutMs: 200 });
    expect(failureOf(await provider.revoke(TOKEN)).code).toBe('IDP_TIMEOUT');
  });
});
