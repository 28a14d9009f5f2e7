import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createCertificate } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { formatProblems, parseConfiguration, type Configuration, type ConfigurationProblem } from '../index.js';

export type Settings = Readonly<Record<string, unknown>>;

/** Each secret here says so in its value, so that a leak can be searched for. */
export const CANARY = 'canary-81d0f2';

export const BASE = {
  provider: 'oauth2',
  issuer: 'https://login.example.com',
  clientId: 'payments',
  clientSecret: `${CANARY}-client`,
};

export function documentOf(sources: Readonly<Record<string, Settings>>, caller: Settings = {}): string {
  return stringify({
    nats: { servers: ['nats://127.0.0.1:4222'], user: 'broker', password: 'p' },
    redis: { url: 'redis://127.0.0.1:6379/0' },
    encryption: { keys: [{ id: 'k1', secret: Buffer.alloc(32, 3).toString('base64') }] },
    sources,
    callers: { orders: { sources: '*', ...caller } },
  });
}

/** The base source with these settings; undefined removes one. */
export const having = (changes: Settings): Settings =>
  Object.fromEntries(Object.entries<unknown>({ ...BASE, ...changes }).filter(([, value]) => value !== undefined));

/** The configuration that a text holds. */
export async function load(text: string): Promise<Configuration> {
  const readFile = (): Promise<never> => Promise.reject(Object.assign(new Error('absent'), { code: 'ENOENT' }));
  const parsed = await parseConfiguration(text, { env: {}, readFile });
  if (!parsed.ok) throw new Error(formatProblems(parsed.error.problems, parsed.error.file));
  return parsed.value.configuration;
}

export async function problemsOf(text: string): Promise<readonly ConfigurationProblem[]> {
  const readFile = (path: string): Promise<{ readonly text: string; readonly mode: number }> => {
    if (path === '/cfg/public.pem') return Promise.resolve({ text: certificate.cert, mode: 0o100644 });
    if (path === '/cfg/open.pem') return Promise.resolve({ text: pem(ec.privateKey), mode: 0o100644 });
    return Promise.reject(Object.assign(new Error('absent'), { code: 'ENOENT' }));
  };
  const parsed = await parseConfiguration(text, { env: {}, readFile, checkModes: true, file: '/cfg/broker.yaml' });
  return parsed.ok ? [] : parsed.error.problems;
}

export const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' = 'pkcs8'): string =>
  key.export({ format: 'pem', type }).toString();
export const jwk = (key: KeyObject, more: Settings = {}): string =>
  JSON.stringify({ ...key.export({ format: 'jwk' }), ...more });

export const certificate = await createCertificate();
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
export const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 });
export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const otherEc = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const bitcoin = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
export const ed = generateKeyPairSync('ed25519');
export const agreement = generateKeyPairSync('x25519');
export const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2_048 });
export const encrypted = ec.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' });

export const byKey = (privateKey: unknown, more: Settings = {}): Settings => ({
  clientAuthentication: 'private_key_jwt',
  clientSecret: undefined,
  privateKey,
  ...more,
});
export const byTls = (more: Settings): Settings => ({
  ...{ clientAuthentication: 'tls_client_auth', clientSecret: undefined },
  ...{ certificate: certificate.cert, certificateKey: certificate.key },
  ...more,
});
export const explicit = (more: Settings): Settings => ({
  issuer: undefined,
  tokenEndpoint: 'https://idp/token',
  ...more,
});
export const bearer = (assertion: Settings, more: Settings = {}): Settings => ({
  grant: 'jwt_bearer',
  assertion: { privateKey: pem(ec.privateKey), ...assertion },
  ...more,
});
export const exchange = (subjectToken: unknown, more: Settings = {}): Settings => ({
  grant: 'token_exchange',
  subjectToken,
  ...more,
});
export const HOUR = { limit: 100, window: '1h' };

/** What is written, where (within the source) the one problem must be, what it says (and hints). */
export type Refusal = readonly [written: string, changes: Settings, path: string, words: string];

/** A test of each. */
export function itRefuses(all: Readonly<Record<string, readonly Refusal[]>>): void {
  describe.each(Object.entries(all))('refused %s', (_kind, refusals) => {
    it.each(refusals)('%s', async (_name, changes, path, words) => {
      const problems = await problemsOf(documentOf({ payments: having(changes) }));
      const printed = formatProblems(problems, 'broker.yaml');
      expect(problems.map((problem) => problem.path)).toEqual([`sources.payments.${path}`]);
      expect(printed).toContain(words);
      expect(printed).toMatch(/^broker\.yaml:\d+:\d+ /);
      expect(printed).not.toContain(CANARY);
      expect(printed).not.toMatch(/MI[GIE][A-Za-z0-9+/]{8}/);
    });
  });
}
