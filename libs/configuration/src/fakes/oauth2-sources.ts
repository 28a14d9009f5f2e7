import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createCertificate } from '@token-broker/testing';
import { stringify } from 'yaml';
import {
  formatProblems,
  parseConfiguration,
  type Configuration,
  type ConfigurationProblem,
  type SourceConfiguration,
} from '../index.js';
import * as documents from './refused-documents.js';

export type Settings = Readonly<Record<string, unknown>>;

export const BASE = documents.VALID.sources.payments;

export function documentOf(sources: Readonly<Record<string, Settings>>, caller: Settings = {}): string {
  return stringify({ ...documents.VALID, sources, callers: { orders: { sources: '*', ...caller } } });
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

/** A source of this kind, as it is read. */
export async function sourceOfKind<Kind extends SourceConfiguration['provider']>(
  kind: Kind,
  settings: Settings,
): Promise<Extract<SourceConfiguration, { provider: Kind }>> {
  const source = (await load(documentOf({ key: settings }))).sources.get('key');
  if (source?.provider !== kind) throw new Error('the source is of another kind');
  return source as Extract<SourceConfiguration, { provider: Kind }>;
}

export const problemsOf = (text: string): Promise<readonly ConfigurationProblem[]> =>
  documents.problemsOf(text, {
    '/cfg/public.pem': { text: certificate.cert, mode: 0o100644 },
    '/cfg/open.pem': { text: pem(ec.privateKey), mode: 0o100644 },
  });

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

/** A test of each: what it changes, and the path of the problem, are those of one source. */
export function itRefuses(all: Readonly<Record<string, readonly documents.Refusal[]>>): void {
  const placed = Object.entries(all).map(([kind, refusals]): [string, documents.Refusal[]] => [
    kind,
    refusals.map(([written, changes, path, words]) => [written, changes, `sources.payments.${path}`, words]),
  ]);
  documents.itRefuses(Object.fromEntries(placed), (changes) => problemsOf(documentOf({ payments: having(changes) })));
}
