import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '@token-broker/foundation';
import { generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Provider } from '../../../app/ports/provider.js';
import { failureOf } from '../fakes/oauth2-bed.js';
import { silentLog } from '../fakes/silent-log.js';
import { startVault, type VaultEndpoint } from '../fakes/vault-endpoint.js';
import { ROLE, vaultSource } from '../fakes/vault-source.js';
import { createProvider } from '../provider-registry.js';

const ANY = { scopes: [] };
const SUBJECT = 'system:serviceaccount:brokers:token-broker';

interface Pod {
  readonly vault: VaultEndpoint;
  readonly provider: Provider;
  /** Puts a token of its service account into its file. */
  readonly write: (text: string) => void;
  readonly tokenOf: (subject: string, ends?: string) => Promise<string>;
  readonly path: string;
}

async function startPod(): Promise<Pod> {
  const { privateKey, publicKey }: { privateKey: CryptoKey; publicKey: CryptoKey } = await generateKeyPair('RS256');
  const vault = await startVault({ ...ROLE, kubernetes: { role: 'broker', subject: SUBJECT, key: publicKey } });
  const folder = mkdtempSync(join(tmpdir(), 'service-account-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const tokenFile = join(folder, 'token');
  const auth = { kind: 'kubernetes', mount: 'kubernetes', role: 'broker', tokenFile } as const;
  const lend = (): Promise<never> => Promise.reject(new Error('not asked for'));
  const provider = createProvider(vaultSource({ address: vault.url, auth }), {
    clock: createSystemClock(),
    log: silentLog,
    lend,
  });
  onTestFinished(() => provider.close());
  return {
    vault,
    provider,
    write: (text) => {
      writeFileSync(tokenFile, text, { mode: 0o600 });
    },
    tokenOf: (subject, ends = '10m') =>
      new SignJWT({}).setProtectedHeader({ alg: 'RS256' }).setSubject(subject).setExpirationTime(ends).sign(privateKey),
    path: tokenFile,
  };
}

describe('a login by Kubernetes', () => {
  it('is made with the token that is in the file now', async () => {
    const { vault, provider, write, tokenOf } = await startPod();
    write(`${await tokenOf(SUBJECT)}\n`);
    expect((await provider.fetch(ANY)).ok).toBe(true);
    expect(vault.requests[0]).toBe('POST auth/kubernetes/login');
    // It has ended, and nobody has replaced it.
    write(await tokenOf(SUBJECT, '-1m'));
    expect(failureOf(await provider.fetch(ANY))).toMatchObject({ code: 'IDP_DENIED', refused: 'credential' });
    write(await tokenOf(SUBJECT));
    expect((await provider.fetch(ANY)).ok).toBe(true);
  });

  it('of another service account is refused, and its token is in no text', async () => {
    const { provider, write, tokenOf } = await startPod();
    const token = await tokenOf('system:serviceaccount:default:default');
    write(token);
    const failure = failureOf(await provider.fetch(ANY));
    expect(failure).toMatchObject({ code: 'IDP_DENIED', refused: 'credential' });
    expect(JSON.stringify(failure)).not.toContain(token.slice(10, 40));
  });

  it('cannot be made without the file, and nobody is asked', async () => {
    const { vault, provider, write, path } = await startPod();
    expect(failureOf(await provider.fetch(ANY))).toMatchObject({
      code: 'IDP_UNAVAILABLE',
      message: 'the file with the token of the service account cannot be read',
      detail: `${path}: ENOENT`,
    });
    write('no token at all');
    expect(failureOf(await provider.fetch(ANY))).toMatchObject({
      message: 'the file with the token of the service account holds no token',
    });
    expect(vault.requests).toEqual([]);
  });
});
