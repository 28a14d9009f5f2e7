import { createSystemClock } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { VaultSourceConfiguration } from '@token-broker/configuration';
import type { Provider } from '../../../app/ports/provider.js';
import { failureOf, valueOf } from '../fakes/oauth2-bed.js';
import { silentLog } from '../fakes/silent-log.js';
import { startVault, type VaultEndpoint } from '../fakes/vault-endpoint.js';
import { ROLE, vaultSource } from '../fakes/vault-source.js';
import { createProvider } from '../provider-registry.js';

const ANY = { scopes: [] };
const TOKEN: Partial<VaultSourceConfiguration> = { path: 'auth/token/create', credential: { kind: 'vault-token' } };

function open({ url }: VaultEndpoint, change: Partial<VaultSourceConfiguration> = {}): Provider {
  const lend = (): Promise<never> => Promise.reject(new Error('not asked for'));
  const clock = createSystemClock();
  const provider = createProvider(vaultSource({ address: url, ...change }), { clock, log: silentLog, lend });
  onTestFinished(() => provider.close());
  return provider;
}

describe('a revocation', () => {
  it('ends the lease by the token that it hangs on, in one request that every role may make, and no other lease', async () => {
    const vault = await startVault(ROLE);
    const provider = open(vault);
    const [one, other] = [valueOf(await provider.fetch(ANY)), valueOf(await provider.fetch(ANY))];
    expect(await provider.revoke(one.accessToken, one.revocationHandle)).toEqual({ ok: true, value: 'revoked' });
    expect(vault.requests.slice(4)).toEqual(['POST auth/token/revoke-self']);
    expect(vault.state.secrets).toEqual([other.accessToken.reveal()]);
  });

  it('is done by another replica as well, which has the handle alone', async () => {
    const vault = await startVault(ROLE);
    const { accessToken, revocationHandle } = valueOf(await open(vault).fetch(ANY));
    expect(await open(vault).revoke(accessToken, revocationHandle)).toEqual({ ok: true, value: 'revoked' });
    expect(vault.state.secrets).toEqual([]);
  });

  it('is done where it was done already, or where it has ended by itself', async () => {
    const vault = await startVault(ROLE);
    const provider = open(vault);
    const { accessToken, revocationHandle } = valueOf(await provider.fetch(ANY));
    vault.state.pass(vault.loginLifeMs);
    expect(await provider.revoke(accessToken, revocationHandle)).toEqual({ ok: true, value: 'revoked' });
  });

  it('ends the lease itself where its login was a batch token, which nobody can revoke', async () => {
    const vault = await startVault(ROLE);
    vault.loginType = 'batch';
    vault.mayRevokeLeases = true;
    const provider = open(vault);
    const { accessToken, revocationHandle } = valueOf(await provider.fetch(ANY));
    expect(await provider.revoke(accessToken, revocationHandle)).toEqual({ ok: true, value: 'revoked' });
    expect(vault.requests.at(-1)).toBe('PUT sys/leases/revoke');
    expect(vault.state.takenBack).toEqual([accessToken.reveal()]);
  });

  it('of a batch token’s lease is told as denied where the role may not', async () => {
    const vault = await startVault(ROLE);
    vault.loginType = 'batch';
    const provider = open(vault);
    const { accessToken, revocationHandle } = valueOf(await provider.fetch(ANY));
    const failure = failureOf(await provider.revoke(accessToken, revocationHandle));
    expect(failure).toMatchObject({
      code: 'IDP_DENIED',
      message: 'Vault refused the revocation: the policies of the role do not allow it',
    });
    expect(vault.state.secrets).toEqual([accessToken.reveal()]);
  });

  it('that cannot be done now is told, with its pause, without a word of what it is about', async () => {
    const vault = await startVault(ROLE);
    const provider = open(vault);
    const { accessToken, revocationHandle } = valueOf(await provider.fetch(ANY));
    const id = vault.state.tokens[0]?.id ?? '';
    const errors = [`not ${id} now, nor ${accessToken.reveal()}`];
    vault.answers.revocation = { status: 503, headers: { 'retry-after': '3' }, body: { errors } };
    const failure = failureOf(await provider.revoke(accessToken, revocationHandle));
    expect(failure).toMatchObject({ code: 'IDP_UNAVAILABLE', retryAfterMs: 3_000 });
    expect(JSON.stringify(failure)).not.toContain('canary');
  });

  it('of what was issued before there were handles, or under another one, is not to be had', async () => {
    const vault = await startVault(ROLE);
    const provider = open(vault);
    const { accessToken } = valueOf(await provider.fetch(ANY));
    expect(await provider.revoke(accessToken)).toEqual({ ok: true, value: 'unsupported' });
    expect(await provider.revoke(accessToken, accessToken)).toEqual({ ok: true, value: 'unsupported' });
  });
});

describe('a token of Vault', () => {
  it('is a child of the login, and goes with it', async () => {
    const vault = await startVault(ROLE);
    const provider = open(vault, TOKEN);
    const { accessToken, revocationHandle } = valueOf(await provider.fetch(ANY));
    expect(vault.asked).toEqual([{}]);
    expect(vault.state.token(accessToken.reveal())?.parent).toBeDefined();
    expect(await provider.revoke(accessToken, revocationHandle)).toEqual({ ok: true, value: 'revoked' });
    expect(vault.state.tokens).toEqual([]);
  });

  it('that is an orphan needs its login no longer, and takes itself back', async () => {
    const vault = await startVault(ROLE);
    vault.loginLifeMs = 60_000;
    const provider = open(vault, { ...TOKEN, body: { no_parent: true } });
    const { accessToken, revocationHandle, lifeMs } = valueOf(await provider.fetch(ANY));
    expect(revocationHandle).toBeUndefined();
    expect(lifeMs).toBe(3_600_000);
    await eventually(() => vault.state.tokens.length === 1, { what: 'the end of the login' });
    expect(vault.state.token(accessToken.reveal())).toBeDefined();
    expect(await provider.revoke(accessToken)).toEqual({ ok: true, value: 'revoked' });
    expect(vault.state.tokens).toEqual([]);
  });
});
