import type { VaultAuth, VaultSourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';

/** What Vault knows of the broker. */
export const ROLE = { roleId: 'role-of-the-broker', secretId: 'canary-of-a-secret-id' };

export const APPROLE: Extract<VaultAuth, { kind: 'approle' }> = {
  kind: 'approle',
  mount: 'approle',
  roleId: ROLE.roleId,
  secretId: new Redacted(ROLE.secretId),
};

export function vaultSource(change: Partial<VaultSourceConfiguration>): VaultSourceConfiguration {
  return {
    name: 'orders-db',
    provider: 'vault',
    address: 'https://vault.example.com:8200',
    auth: APPROLE,
    path: 'database/creds/orders',
    credential: { kind: 'password', secretField: 'password' },
    maxLifetimeMs: 365 * 86_400_000,
    scopes: [],
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...change,
  };
}
