import { afterEach, describe, expect, it } from 'vitest';
import { startIdentityProvider, type IdentityProvider, type IdentityProviderOptions } from './identity-provider.js';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const CLIENT = { clientId: 'payments', clientSecret: 'a-secret', scopes: ['read', 'write'] };
const LOGIN = { clientId: CLIENT.clientId, scope: 'openid offline_access read' };

async function start(options: Partial<IdentityProviderOptions> = {}): Promise<IdentityProvider> {
  const provider = await startIdentityProvider({ clients: [CLIENT], ...options });
  cleanups.push(() => provider.stop());
  return provider;
}

type Reply = Readonly<Record<string, string | undefined>>;

async function refresh(
  provider: IdentityProvider,
  token: string | undefined,
): Promise<{ status: number; body: Reply }> {
  const response = await fetch(provider.tokenEndpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('payments:a-secret').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token ?? '' }),
  });
  return { status: response.status, body: (await response.json()) as Reply };
}

const REFUSED = { status: 400, body: { error: 'invalid_grant' } };

describe('refresh tokens of a provider', () => {
  it('rotate, and their family is revoked when a spent one is used', async () => {
    const provider = await start();
    const first = await provider.issueRefreshToken(LOGIN);
    const second = (await refresh(provider, first)).body['refresh_token'];
    expect(second).not.toBe(first);
    expect(await refresh(provider, first)).toMatchObject(REFUSED);
    expect(await refresh(provider, second)).toMatchObject(REFUSED);
    expect(provider.refreshTokens()).toEqual({ used: 1, forgiven: 0, replayed: 1, familiesRevoked: 1 });
    provider.resetCounts();
    expect(provider.refreshTokens()).toEqual({ used: 0, forgiven: 0, replayed: 0, familiesRevoked: 0 });
  });

  it('are spent by one of two requests that use them at the same moment, and that is a replay too', async () => {
    const provider = await start();
    const first = await provider.issueRefreshToken(LOGIN);
    const replies = await Promise.all([refresh(provider, first), refresh(provider, first)]);
    expect(replies.filter(({ status }) => status === 400)).toHaveLength(1);
    expect(provider.refreshTokens()).toMatchObject({ used: 1, replayed: 1, familiesRevoked: 1 });
  });

  it('may be used again within the grace period', async () => {
    const lenient = await start({ refreshGraceMs: 60_000 });
    const first = await lenient.issueRefreshToken(LOGIN);
    const again = [await refresh(lenient, first), await refresh(lenient, first)];
    expect(again.map(({ status }) => status)).toEqual([200, 200]);
    expect((await refresh(lenient, again[0]?.body['refresh_token'])).status).toBe(200);
    expect(lenient.refreshTokens()).toEqual({ used: 3, forgiven: 1, replayed: 0, familiesRevoked: 0 });
  });

  it.each([
    ['off', true],
    ['omitted', false],
  ] as const)('stay good where rotation is %s', async (rotation, isNamed) => {
    const provider = await start({ rotation });
    const token = await provider.issueRefreshToken(LOGIN);
    for (const reply of [await refresh(provider, token), await refresh(provider, token)]) {
      expect(reply).toMatchObject({ status: 200, body: { scope: LOGIN.scope } });
      expect(reply.body['refresh_token']).toBe(isNamed ? token : undefined);
    }
    expect(provider.refreshTokens()).toMatchObject({ used: 2, replayed: 0 });
  });
});
