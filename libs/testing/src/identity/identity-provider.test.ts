import { afterEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../eventually.js';
import { startIdentityProvider, type IdentityProvider, type IdentityProviderOptions } from './identity-provider.js';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const CLIENT = { clientId: 'pay ments', clientSecret: 's:e%cret', scopes: ['read', 'write'] };

async function start(options: Partial<IdentityProviderOptions> = {}): Promise<IdentityProvider> {
  const provider = await startIdentityProvider({ clients: [CLIENT], ...options });
  cleanups.push(() => provider.stop());
  return provider;
}

type Reply = Readonly<Record<string, string | number | undefined>>;

/** Asks for a token by HTTP Basic, whose parts are form-encoded first (RFC 6749, 2.3.1). */
async function ask(
  provider: IdentityProvider,
  form: Readonly<Record<string, string>> = {},
  { clientId, clientSecret }: { clientId: string; clientSecret: string } = CLIENT,
): Promise<{ status: number; body: Reply }> {
  const credentials = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`;
  const response = await fetch(provider.tokenEndpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', ...form }),
  });
  return { status: response.status, body: (await response.json()) as Reply };
}

function claims(reply: { body: Reply }): Readonly<Record<string, unknown>> {
  const payload = String(reply.body['access_token']).split('.')[1] ?? '';
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
}

describe('startIdentityProvider', () => {
  it('is discoverable, and issues opaque tokens of the configured life without a word on the console', async () => {
    const printed = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')];
    const provider = await start({ tokenLifeSeconds: 2 });
    const discovery = await fetch(`${provider.issuer}/.well-known/openid-configuration`);
    expect(await discovery.json()).toMatchObject({ issuer: provider.issuer, token_endpoint: provider.tokenEndpoint });
    const { status, body } = await ask(provider, { scope: 'read' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ expires_in: 2, token_type: 'Bearer', scope: 'read' });
    expect(String(body['access_token'])).not.toContain('.');
    const noise = printed.flatMap((spy) => spy.mock.calls.map(([text]) => String(text)));
    expect(noise.filter((text) => text.includes('oidc-provider'))).toEqual([]);
  });

  it('refuses a wrong secret, and takes a client that posts its secret', async () => {
    const posting = { clientId: 'b', clientSecret: 'two', clientAuthentication: 'client_secret_post' as const };
    const provider = await start({ clients: [CLIENT, posting] });
    expect(await ask(provider, {}, { ...CLIENT, clientSecret: 'wrong' })).toMatchObject({
      status: 401,
      body: { error: 'invalid_client' },
    });
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'b', client_secret: 'two' });
    expect((await fetch(provider.tokenEndpoint, { method: 'POST', body })).status).toBe(200);
    expect(provider.counts()).toEqual({
      tokenRequests: 2,
      tokenRequestsByClient: { 'pay ments': 1, b: 1 },
      tokenRequestsByGrant: { client_credentials: 2 },
      tokensIssued: 1,
      maxConcurrent: 1,
    });
    expect(provider.requests()[1]?.form.get('client_id')).toBe('b');
    provider.resetCounts();
    expect(provider.counts()).toMatchObject({ tokenRequests: 0, tokensIssued: 0, tokenRequestsByClient: {} });
  });

  it('issues JWTs for the resource, or audience, that was asked for, and refuses an unknown one', async () => {
    const resource = 'https://payments.example';
    const provider = await start({ tokenFormat: 'jwt', resources: [resource], tokenLifeSeconds: 60 });
    expect(claims(await ask(provider, { resource, scope: 'read' }))).toMatchObject({ aud: resource, scope: 'read' });
    expect(claims(await ask(provider, { audience: resource }))).toMatchObject({ aud: resource, iss: provider.issuer });
    const { exp, iat } = claims(await ask(provider));
    expect(Number(exp) - Number(iat)).toBe(60);
    expect(await ask(provider, { resource: 'https://other.example' })).toMatchObject({
      status: 400,
      body: { error: 'invalid_target' },
    });
  });

  it('counts how many requests were under way at once, while it is slow', async () => {
    const provider = await start({ delayTokenMs: 100 });
    await Promise.all([ask(provider), ask(provider), ask(provider)]);
    expect(provider.counts()).toMatchObject({ tokenRequests: 3, maxConcurrent: 3 });
    provider.setDelay(0);
    await eventually(
      async () => {
        provider.resetCounts();
        await ask(provider);
        return provider.counts().maxConcurrent === 1;
      },
      { what: 'one request at a time' },
    );
  });

  it('fails as often as it was told to, in the way that it was told to', async () => {
    const provider = await start();
    provider.failNext(2, { status: 429, headers: { 'retry-after': '7' }, body: '{"error":"slow_down"}' });
    const statuses = [(await ask(provider)).status, (await ask(provider)).status, (await ask(provider)).status];
    expect(statuses).toEqual([429, 429, 200]);
    expect(provider.counts()).toMatchObject({ tokenRequests: 3, tokensIssued: 1 });
  });

  it('gives no answer while it hangs, and goes on afterwards', async () => {
    const provider = await start();
    provider.setHanging(true);
    let answered = false;
    const pending = ask(provider).finally(() => {
      answered = true;
    });
    await eventually(() => provider.counts().tokenRequests === 1, { what: 'the request' });
    expect(answered).toBe(false);
    provider.setHanging(false);
    expect((await pending).status).toBe(200);
  });

  it('puts a canary in place of the token', async () => {
    const provider = await start({ tokenTransform: (token, clientId) => `canary-${clientId}-${String(token.length)}` });
    expect((await ask(provider)).body['access_token']).toMatch(/^canary-pay ments-\d+$/);
  });

  it('shows its counts over HTTP, and takes control only where that was allowed', async () => {
    const closed = await start();
    const control = (provider: IdentityProvider, body: unknown) =>
      fetch(`${provider.issuer}/control`, { method: 'POST', body: JSON.stringify(body) });
    expect((await control(closed, { failNext: { count: 1 } })).status).toBe(403);
    expect((await ask(closed)).status).toBe(200);

    const open = await start({ allowControl: true });
    expect((await control(open, { failNext: { count: 1, status: 500 } })).status).toBe(200);
    expect((await ask(open)).status).toBe(500);
    expect(await (await fetch(`${open.issuer}/counts`)).json()).toEqual(open.counts());
    const login = { method: 'POST', body: JSON.stringify(CLIENT) };
    expect((await fetch(`${closed.issuer}/refresh-token`, login)).status).toBe(403);
    const seeded = (await (await fetch(`${open.issuer}/refresh-token`, login)).json()) as { refreshToken: string };
    const form = { grant_type: 'refresh_token', refresh_token: seeded.refreshToken };
    expect((await ask(open, form)).status).toBe(200);
    expect((await control(open, { resetCounts: true })).status).toBe(200);
    expect(open.counts().tokenRequests).toBe(0);
  });

  it('keeps two providers of one process apart', async () => {
    const first = await start();
    const second = await start();
    const token = await first.issueRefreshToken(CLIENT);
    expect(await ask(second, { grant_type: 'refresh_token', refresh_token: token })).toMatchObject({ status: 400 });
  });
});
