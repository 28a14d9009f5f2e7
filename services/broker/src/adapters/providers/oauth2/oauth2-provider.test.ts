import { createSystemClock, Redacted } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { startIdentityProvider, type IdentityProvider, type IdentityProviderOptions } from '@token-broker/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../../../app/ports/telemetry.js';
import { createProvider } from '../provider-registry.js';

/** No source of these tests needs another. */
const lendNothing = (): Promise<never> => Promise.reject(new Error('not asked for'));

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Characters that each encoding on the way must carry. */
const BASIC = { clientId: 'pay ments', clientSecret: 's:e%c+r&t/"-canary-7Q', scopes: ['read', 'write'] };
const POST = { ...BASIC, clientId: 'posting', clientAuthentication: 'client_secret_post' as const };

async function startIdp(options: Partial<IdentityProviderOptions> = {}): Promise<IdentityProvider> {
  const idp = await startIdentityProvider({ clients: [BASIC, POST], ...options });
  cleanups.push(() => idp.stop());
  return idp;
}

function sourceOf(idp: IdentityProvider, settings: Partial<OAuth2SourceConfiguration> = {}): OAuth2SourceConfiguration {
  return {
    name: 'payments-api',
    provider: 'oauth2',
    grant: { kind: 'client_credentials' },
    endpoint: { kind: 'issuer', issuer: idp.issuer },
    allowInsecureHttp: true,
    clientId: BASIC.clientId,
    clientAuthentication: { kind: 'client_secret_basic', clientSecret: new Redacted(BASIC.clientSecret) },
    scopes: ['read', 'write'],
    parameters: new Map(),
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 365 * 86_400_000,
    acceptNarrowerScope: false,
    refresh: { ahead: { kind: 'fraction', fraction: 0.2 }, keepWarm: false },
    quota: [],
    ...settings,
  };
}

function providerOf(source: OAuth2SourceConfiguration) {
  const provider = createProvider(source, { clock: createSystemClock(), log: silent, lend: lendNothing });
  cleanups.push(() => provider.close());
  return provider;
}

describe('the provider of OAuth 2.0 tokens, at a real identity provider', () => {
  it('gets a token by client_secret_basic, with exactly the scopes that were asked for', async () => {
    const idp = await startIdp({ tokenLifeSeconds: 90 });
    const issued = await providerOf(sourceOf(idp)).fetch({ scopes: ['read'] });
    expect(issued).toMatchObject({ ok: true, value: { tokenType: 'Bearer', lifeMs: 90_000, scope: 'read' } });
    expect(issued.ok && issued.value.accessToken.reveal()).toMatch(/^[\w-]{20,}$/);
    expect(idp.requests()).toHaveLength(1);
    expect(idp.requests()[0]?.headers.authorization).toMatch(/^Basic /);
    expect(Object.fromEntries(idp.requests()[0]?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope: 'read',
    });
  });

  it('gets a token by client_secret_post, at an endpoint that was configured', async () => {
    const idp = await startIdp();
    const source = sourceOf(idp, {
      endpoint: { kind: 'token-endpoint', tokenEndpoint: idp.tokenEndpoint },
      clientId: POST.clientId,
      clientAuthentication: { kind: 'client_secret_post', clientSecret: new Redacted(POST.clientSecret) },
    });
    expect(await providerOf(source).fetch({ scopes: [] })).toMatchObject({ ok: true, value: { lifeMs: 3_600_000 } });
    const [request] = idp.requests();
    expect(request?.headers.authorization).toBeUndefined();
    expect(request?.form.get('client_secret')).toBe(POST.clientSecret);
    expect(request?.form.has('scope')).toBe(false);
  });

  it('names audience, resource and the further parameters', async () => {
    const idp = await startIdp({ tokenFormat: 'jwt' });
    const source = sourceOf(idp, { parameters: new Map([['organization', 'a&b=c']]) });
    const request = { scopes: ['write'], audience: 'urn:audience', resource: 'https://payments.example' };
    const issued = await providerOf(source).fetch(request);
    const payload = issued.ok ? issued.value.accessToken.reveal().split('.')[1] : '';
    expect(JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())).toMatchObject({ scope: 'write' });
    expect(Object.fromEntries(idp.requests()[0]?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope: 'write',
      audience: 'urn:audience',
      resource: 'https://payments.example',
      organization: 'a&b=c',
    });
  });

  it('ends the call that is running when it is closed, also where that is still at its discovery', async () => {
    const idp = await startIdp();
    const provider = providerOf(sourceOf(idp));
    const running = provider.fetch({ scopes: ['read'] });
    await provider.close();
    expect(await running).toMatchObject({ ok: true });
  });

  it('asks for one token in each call', async () => {
    const idp = await startIdp();
    const provider = providerOf(sourceOf(idp));
    const calls = [provider.fetch({ scopes: ['read'] }), provider.fetch({ scopes: ['write'] })];
    const tokens = (await Promise.all(calls)).map((issued) => issued.ok && issued.value.accessToken.reveal());
    expect(new Set(tokens).size).toBe(2);
    expect(idp.counts()).toMatchObject({ tokenRequests: 2, tokensIssued: 2 });
  });

  it('is denied with a wrong secret, after one request', async () => {
    const idp = await startIdp();
    const provider = providerOf(
      sourceOf(idp, { clientAuthentication: { kind: 'client_secret_basic', clientSecret: new Redacted('wrong') } }),
    );
    expect(await provider.fetch({ scopes: [] })).toMatchObject({
      ok: false,
      error: { code: 'IDP_DENIED', message: 'the identity provider refused: invalid_client' },
    });
    expect(idp.counts().tokenRequests).toBe(1);
  });

  it('refuses a token of fewer scopes than asked, or takes it where the source allows that', async () => {
    const idp = await startIdp();
    const request = { scopes: ['admin', 'read'] };
    expect(await providerOf(sourceOf(idp)).fetch(request)).toMatchObject({
      ok: false,
      error: { code: 'IDP_DENIED', message: expect.stringContaining('did not grant the scope "admin"') as string },
    });
    const taken = await providerOf(sourceOf(idp, { acceptNarrowerScope: true })).fetch(request);
    expect(taken).toMatchObject({ ok: true, value: { scope: 'read' } });
  });

  it('is denied an audience that the identity provider does not know', async () => {
    const idp = await startIdp({ resources: ['https://payments.example'] });
    const issued = await providerOf(sourceOf(idp)).fetch({ scopes: [], resource: 'https://other.example' });
    expect(issued).toMatchObject({
      ok: false,
      error: { code: 'IDP_DENIED', message: 'the identity provider refused: invalid_target' },
    });
  });
});
