import type { SourceConfiguration, VaultSourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { startVault } from '../fakes/vault-endpoint.js';
import { APPROLE, ROLE, vaultSource } from '../fakes/vault-source.js';
import { itKeepsTheContract, type ContractBed, type ContractKind } from '../fakes/contract/provider-contract.js';

async function start(change: Partial<VaultSourceConfiguration> = {}): Promise<ContractBed> {
  const vault = await startVault(ROLE);
  return {
    source: vaultSource({ address: vault.url, ...change }),
    // What hangs on the token of the login goes with it.
    get takenBack() {
      return vault.state.takenBack.slice(1);
    },
    calls: () => vault.calls(),
    will: (behaviour) => {
      vault.will(behaviour);
    },
  };
}

const having =
  (change: Partial<VaultSourceConfiguration>) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as VaultSourceConfiguration), ...change });

const shared = {
  changes: {
    address: having({ address: 'https://other.example.com' }),
    namespace: having({ namespace: 'teams/orders' }),
    mount: having({ auth: { ...APPROLE, mount: 'other' } }),
    RoleID: having({ auth: { ...APPROLE, roleId: 'other' } }),
    SecretID: having({ auth: { ...APPROLE, secretId: new Redacted('other') } }),
    login: having({ auth: { kind: 'kubernetes', mount: 'approle', role: ROLE.roleId, tokenFile: '/t' } }),
    path: having({ path: 'database/creds/other' }),
    body: having({ body: { ttl: '10m' } }),
    CA: having({ ca: 'other' }),
    proxy: having({ proxy: new Redacted('http://proxy:3128') }),
    credential: having({ credential: { kind: 'bearer', secretField: 'other' } }),
    'field of the secret': having({ credential: { kind: 'password', secretField: 'other' } }),
    'field of the user name': having({
      credential: { kind: 'password', secretField: 'password', usernameField: 'other' },
    }),
  },
  sameTokens: {
    timeout: having({ timeoutMs: 1, lockTimeMs: 2 }),
    'bound of lives': having({ maxLifetimeMs: 60_000 }),
  },
} satisfies Partial<ContractKind>;

itKeepsTheContract('vault: a password', {
  ...shared,
  start,
  tokenType: 'password',
  username: 'v-approle-orders-0001',
});

itKeepsTheContract('vault: credentials of AWS', {
  ...shared,
  start: () => start({ path: 'aws/creds/reports', credential: { kind: 'aws-credentials' } }),
  tokenType: 'aws-credentials',
});

itKeepsTheContract('vault: a token of its own', {
  ...shared,
  start: () => start({ path: 'auth/token/create', credential: { kind: 'vault-token' } }),
  tokenType: 'Bearer',
});
