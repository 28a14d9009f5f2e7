import { generateKeyPairSync } from 'node:crypto';
import type { GitHubAppSourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import type { GitHubOptions } from './github-endpoint.js';

const pair = generateKeyPairSync('rsa', { modulusLength: 2_048 });

/** The key of the app: as GitHub gives it, and as OpenSSL writes it. */
export const APP_KEY = {
  pkcs1: new Redacted(pair.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString().trim()),
  pkcs8: new Redacted(pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString().trim()),
};

/** What GitHub knows of the app. */
export const APP: GitHubOptions = {
  appId: 'Iv23liTokenBroker',
  publicKey: pair.publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  installationId: 4711,
  repositories: { web: 1, docs: 2 },
  permissions: { contents: 'write', issues: 'read' },
};

export function gitHubSource(change: Partial<GitHubAppSourceConfiguration>): GitHubAppSourceConfiguration {
  return {
    name: 'releases',
    provider: 'github-app',
    apiUrl: 'https://api.github.com',
    appId: APP.appId,
    privateKey: APP_KEY.pkcs1,
    installationId: APP.installationId,
    permissions: new Map(),
    scopes: [],
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...change,
  };
}
