import { createSystemClock, Redacted, type Clock, type Result } from '@token-broker/foundation';
import type {
  ClientAuthentication,
  OAuth2SourceConfiguration,
  SigningAlgorithm,
  SigningKey,
} from '@token-broker/configuration';
import {
  startIdentityProvider,
  startScriptedIdentityProvider,
  type IdentityProvider,
  type IdentityProviderOptions,
  type ScriptedIdentityProvider,
  type ScriptedReply,
  type ScriptedRequest,
} from '@token-broker/testing';
import { exportJWK, exportPKCS8, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import { onTestFinished } from 'vitest';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import type { Log, LogFields } from '../../../app/ports/telemetry.js';
import { createOAuth2Provider, type OAuth2Provider } from '../oauth2/oauth2-provider.js';

/** The client of the beds' sources, with this secret where it uses one. */
export const CLIENT_ID = 'payments';
export const CLIENT_SECRET = 'a secret of this test: 9Qx';

/** Another client of the same identity provider: the one whose tokens callers give. */
export const CALLER = { clientId: 'orders', clientSecret: 'orders-secret', scopes: ['read'] };

export interface ProviderBed {
  readonly provider: OAuth2Provider;
  /** What was logged, as text. */
  readonly lines: readonly string[];
}

/** A source with these settings, and its provider; closed when the test ends. */
export function openProvider(
  settings: Partial<OAuth2SourceConfiguration>,
  clock: Clock = createSystemClock(),
): ProviderBed {
  const lines: string[] = [];
  const note = (message: string, fields?: LogFields): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const source = sourceOf(settings);
  const provider = createOAuth2Provider(source, { clock, log });
  onTestFinished(() => provider.close());
  return { provider, lines };
}

function sourceOf(settings: Partial<OAuth2SourceConfiguration>): OAuth2SourceConfiguration {
  return {
    name: 'payments-api',
    provider: 'oauth2',
    grant: { kind: 'client_credentials' },
    endpoint: { kind: 'token-endpoint', tokenEndpoint: 'http://127.0.0.1:1/token' },
    allowInsecureHttp: true,
    clientId: CLIENT_ID,
    clientAuthentication: BY_SECRET,
    scopes: [],
    parameters: new Map(),
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 365 * 86_400_000,
    acceptNarrowerScope: false,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...settings,
  };
}

export const BY_SECRET: ClientAuthentication = {
  kind: 'client_secret_basic',
  clientSecret: new Redacted(CLIENT_SECRET),
};

/** A real identity provider that knows the client of the beds, and the caller's; stopped when the test ends. */
export async function startIdp(options: Partial<IdentityProviderOptions> = {}): Promise<IdentityProvider> {
  const clients = [{ clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, scopes: ['read', 'write'] }, CALLER];
  const idp = await startIdentityProvider({ clients, ...options });
  onTestFinished(() => idp.stop());
  return idp;
}

/** One that answers as it is told to. */
export async function startScript(
  script: (request: ScriptedRequest, index: number) => ScriptedReply | Promise<ScriptedReply>,
): Promise<ScriptedIdentityProvider> {
  const idp = await startScriptedIdentityProvider(script);
  onTestFinished(() => idp.stop());
  return idp;
}

type Endpoint = Pick<OAuth2SourceConfiguration, 'endpoint'>;

export function issuerOf({ issuer }: { readonly issuer: string }): Endpoint {
  return { endpoint: { kind: 'issuer', issuer } };
}

export function endpointOf({ tokenEndpoint }: { readonly tokenEndpoint: string }): Endpoint {
  return { endpoint: { kind: 'token-endpoint', tokenEndpoint } };
}

/** A token that the identity provider gives to the caller's own client. */
export async function tokenOfCaller(idp: IdentityProvider, form: Record<string, string> = {}): Promise<Redacted> {
  const credentials = Buffer.from(`${CALLER.clientId}:${CALLER.clientSecret}`).toString('base64');
  const response = await fetch(idp.tokenEndpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${credentials}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read', ...form }),
  });
  const { access_token: token } = (await response.json()) as { access_token?: string };
  if (token === undefined) throw new Error('the caller got no token');
  return new Redacted(token);
}

export interface TestKey {
  /** As a source has it, in PEM. */
  readonly signingKey: SigningKey;
  /** The same as JWK text. */
  readonly asJwk: Redacted;
  readonly privateKey: CryptoKey;
  readonly publicKey: JWK;
}

export async function createKey(algorithm: SigningAlgorithm, keyId: string): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return {
    signingKey: { privateKey: new Redacted(await exportPKCS8(privateKey)), algorithm, keyId },
    asJwk: new Redacted(JSON.stringify(await exportJWK(privateKey))),
    privateKey,
    publicKey: { ...(await exportJWK(publicKey)), kid: keyId, alg: algorithm },
  };
}

/** The claims of a JWT, unverified. */
export function claimsOf(token: string | null | undefined): Readonly<Record<string, unknown>> {
  return partOf(token, 1);
}

export function headerOf(token: string | null | undefined): Readonly<Record<string, unknown>> {
  return partOf(token, 0);
}

function partOf(token: string | null | undefined, index: number): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token?.split('.')[index] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

/** The failure of a call that must have failed. */
export function failureOf(outcome: Result<unknown, ProviderFailure>): ProviderFailure {
  if (outcome.ok) throw new Error('it did not fail');
  return outcome.error;
}

/** The value of a call that must have succeeded. */
export function valueOf<T>(outcome: Result<T, ProviderFailure>): T {
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.detail}`);
  return outcome.value;
}
