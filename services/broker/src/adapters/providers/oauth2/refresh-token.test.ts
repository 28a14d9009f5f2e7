import { Redacted } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { VirtualClock, type IdentityProvider, type ScriptedReply } from '@token-broker/testing';
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

const LOGIN = { clientId: CLIENT_ID, scope: 'openid offline_access read write' };
const GRANT: Pick<OAuth2SourceConfiguration, 'grant'> = { grant: { kind: 'refresh_token' } };

async function spend(idp: IdentityProvider, token: string | Redacted, scopes: readonly string[] = ['read']) {
  const { provider } = openProvider({ ...issuerOf(idp), ...GRANT });
  const refreshToken = typeof token === 'string' ? new Redacted(token) : token;
  return provider.fetch({ scopes, refreshToken });
}

describe('the refresh_token grant, at a real identity provider', () => {
  it('spends a token, and brings its successor', async () => {
    const idp = await startIdp();
    const first = await idp.issueRefreshToken(LOGIN);
    const issued = valueOf(await spend(idp, first));
    expect(issued).toMatchObject({ tokenType: 'Bearer', scope: 'read', lifeMs: 3_600_000 });
    expect(issued.refreshToken?.reveal()).toMatch(/^[\w-]{20,}$/);
    expect(issued.refreshToken?.reveal()).not.toBe(first);
    expect(Object.fromEntries(idp.requests()[0]?.form ?? [])).toEqual({
      grant_type: 'refresh_token',
      refresh_token: first,
      scope: 'read',
    });
    expect(await spend(idp, issued.refreshToken ?? '')).toMatchObject({ ok: true });
    expect(idp.refreshTokens()).toEqual({ used: 2, forgiven: 0, replayed: 0, familiesRevoked: 0 });
  });

  it('takes the ID token of a reply for nothing, also where its issuer is not the one that is configured', async () => {
    const idp = await startIdp();
    const refreshToken = new Redacted(await idp.issueRefreshToken(LOGIN));
    // By another name of the same host, the ID token that "openid" brings has another issuer.
    const endpoint = endpointOf({ tokenEndpoint: idp.tokenEndpoint.replace('127.0.0.1', 'localhost') });
    const issued = await openProvider({ ...endpoint, ...GRANT }).provider.fetch({ scopes: ['openid'], refreshToken });
    expect(valueOf(issued).refreshToken).toBeDefined();
  });

  it('is told when a spent token is refused, and all of its family with it', async () => {
    const idp = await startIdp();
    const first = await idp.issueRefreshToken(LOGIN);
    const second = valueOf(await spend(idp, first)).refreshToken ?? '';
    for (const token of [first, second]) {
      expect(failureOf(await spend(idp, token))).toMatchObject({
        code: 'REAUTH_REQUIRED',
        refused: 'refresh-token',
        message: 'the identity provider refused the refresh token: invalid_grant',
      });
    }
    expect(idp.refreshTokens()).toEqual({ used: 1, forgiven: 0, replayed: 1, familiesRevoked: 1 });
  });

  it('is forgiven a token that was spent before, within the grace period of the identity provider', async () => {
    const idp = await startIdp({ refreshGraceMs: 60_000 });
    const first = await idp.issueRefreshToken(LOGIN);
    const successors = [valueOf(await spend(idp, first)), valueOf(await spend(idp, first))].map((issued) =>
      issued.refreshToken?.reveal(),
    );
    expect(new Set(successors).size).toBe(2);
    expect(idp.refreshTokens()).toMatchObject({ used: 2, forgiven: 1, familiesRevoked: 0 });
  });

  it('brings the same token again where the identity provider does not rotate, and none where it names none', async () => {
    const steady = await startIdp({ rotation: 'off' });
    const token = await steady.issueRefreshToken(LOGIN);
    expect(valueOf(await spend(steady, token)).refreshToken?.reveal()).toBe(token);

    const silent = await startIdp({ rotation: 'omitted' });
    const other = await silent.issueRefreshToken(LOGIN);
    for (const issued of [await spend(silent, other), await spend(silent, other)]) {
      expect('refreshToken' in valueOf(issued)).toBe(false);
    }
  });

  it('is for a public client too, which proves itself by nothing but the token', async () => {
    const idp = await startIdp({ clients: [{ clientId: CLIENT_ID, clientAuthentication: 'none', scopes: ['read'] }] });
    const refreshToken = new Redacted(await idp.issueRefreshToken({ ...LOGIN, scope: 'offline_access read' }));
    const clientAuthentication = { kind: 'none' as const };
    const { provider } = openProvider({ ...issuerOf(idp), ...GRANT, clientAuthentication });
    expect(await provider.fetch({ scopes: ['read'], refreshToken })).toMatchObject({ ok: true });
    expect(Object.fromEntries(idp.requests()[0]?.form ?? [])).toMatchObject({ client_id: CLIENT_ID });
    expect(idp.requests()[0]?.headers.authorization).toBeUndefined();
  });

  it('is denied a scope that was not consented to, which does not spend the token', async () => {
    const idp = await startIdp();
    const token = await idp.issueRefreshToken({ ...LOGIN, scope: 'openid offline_access read' });
    const failure = failureOf(await spend(idp, token, ['read', 'write']));
    expect(failure).toMatchObject({ code: 'IDP_DENIED', message: 'the identity provider refused: invalid_scope' });
    expect(failure.refused).toBeUndefined();
    expect(await spend(idp, token)).toMatchObject({ ok: true });
  });

  it('asks for one resource of those that were consented to (RFC 8707)', async () => {
    const resource = 'https://payments.example';
    const idp = await startIdp({ tokenFormat: 'jwt', resources: [resource, 'https://ledger.example'] });
    const refreshToken = new Redacted(await idp.issueRefreshToken({ ...LOGIN, resource }));
    const { provider } = openProvider({ ...issuerOf(idp), ...GRANT });
    const issued = valueOf(await provider.fetch({ scopes: ['read'], resource, refreshToken }));
    const payload = issued.accessToken.reveal().split('.')[1] ?? '';
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ aud: resource, scope: 'read' });
    const other = { scopes: ['read'], resource: 'https://ledger.example', ...issued };
    expect(failureOf(await provider.fetch(other))).toMatchObject({
      code: 'IDP_DENIED',
      message: 'the identity provider refused: invalid_target',
    });
  });
});

const GOOD = { access_token: 'opaque-token', token_type: 'Bearer', expires_in: 600 };

async function spendAt(reply: ScriptedReply, settings: Partial<OAuth2SourceConfiguration> = {}) {
  const idp = await startScript(() => reply);
  const bed = openProvider({ ...endpointOf(idp), ...GRANT, ...settings }, new VirtualClock());
  const outcome = await bed.provider.fetch({ scopes: ['read'], refreshToken: new Redacted('spent, and short') });
  expect(idp.requests).toHaveLength(1);
  return outcome;
}

describe('the refresh_token grant, at replies that are odd', () => {
  it.each<[string, Record<string, unknown>]>([
    ['more scope than asked', { scope: 'read admin' }],
    ['less scope than asked', { scope: '' }],
    ['another type', { token_type: 'DPoP' }],
    ['a life that is none', { expires_in: 0 }],
    ['no access token', { access_token: undefined }],
    ['an access token that fits no header', { access_token: 'a\r\nb' }],
    ['an error beside the token', { error: 'server_error' }],
  ])('keeps the successor when the reply is refused: %s', async (_, more) => {
    const failure = failureOf(await spendAt({ body: { ...GOOD, ...more, refresh_token: 'the successor' } }));
    expect(failure.refreshToken?.reveal()).toBe('the successor');
    expect(JSON.stringify(failure)).not.toContain('the successor');
  });

  it('keeps it also when the status is not the one of a token', async () => {
    const failure = failureOf(await spendAt({ status: 201, body: { ...GOOD, refresh_token: 'next' } }));
    expect(failure).toMatchObject({ code: 'IDP_PROTOCOL' });
    expect(failure.refreshToken?.reveal()).toBe('next');
    const failed = failureOf(await spendAt({ status: 500, body: { ...GOOD, refresh_token: 'next' } }));
    expect(failed.refreshToken).toBeUndefined();
  });

  it.each([null, ''])('takes a refresh token of %j for none', async (value) => {
    const issued = valueOf(await spendAt({ body: { ...GOOD, refresh_token: value, id_token: 'not even a JWT' } }));
    expect('refreshToken' in issued).toBe(false);
  });

  it.each([7, ['a'], 'a\r\nb', 'a'.repeat(65_537)])('refuses one that cannot be one', async (value) => {
    const failure = failureOf(await spendAt({ body: { ...GOOD, refresh_token: value } }));
    expect(failure).toMatchObject({
      code: 'IDP_PROTOCOL',
      message: expect.stringContaining('refresh_token') as string,
    });
    expect(failure.refreshToken).toBeUndefined();
  });

  it('keeps no refresh token that another grant brings', async () => {
    const other = await spendAt({ body: { ...GOOD, refresh_token: 'x' } }, { grant: { kind: 'client_credentials' } });
    expect('refreshToken' in valueOf(other)).toBe(false);
  });

  it('tells what was refused: the token by invalid_grant, the client by invalid_client, nothing for a while by 503', async () => {
    const by = async (status: number, error: string) => failureOf(await spendAt({ status, body: { error } }));
    expect(await by(400, 'invalid_grant')).toMatchObject({ code: 'REAUTH_REQUIRED', refused: 'refresh-token' });
    expect(await by(401, 'invalid_client')).toMatchObject({ code: 'IDP_DENIED', refused: 'credential' });
    expect((await by(503, 'invalid_grant')).refused).toBeUndefined();
  });

  it('hides the token that was spent from whoever reads the failure', async () => {
    const body = { error: 'invalid_request', error_description: 'what is "spent, and short" supposed to be?' };
    const { detail, message } = failureOf(await spendAt({ status: 400, body }));
    expect(detail).toContain('supposed to be');
    expect(`${message} ${detail}`).not.toContain('spent, and');
  });

  it('makes no request without a token to spend', async () => {
    const idp = await startScript(() => ({ body: GOOD }));
    const failure = failureOf(await openProvider({ ...issuerOf(idp), ...GRANT }).provider.fetch({ scopes: [] }));
    expect(failure).toMatchObject({ code: 'REAUTH_REQUIRED', message: 'there is no refresh token to spend' });
    expect(idp.requests).toHaveLength(0);
  });
});
