import type { Redacted } from '@token-broker/foundation';
import type { VaultAuth, VaultCredential, VaultSourceConfiguration } from '../../configuration.js';
import { inOneOrder } from '../one-order.js';
import type { SourceTraits } from '../source-traits.js';

export function vaultTraits(source: VaultSourceConfiguration): SourceTraits {
  const { provider, address, namespace, auth, path, body, credential, ca, proxy } = source;
  const place = [address, namespace ?? null];
  return {
    recipe: [
      ...[provider, place, identityOf(auth), proofOf(auth), path],
      body === undefined ? null : inOneOrder(body),
      ingredientsOf(credential),
      ca ?? null,
      proxy?.reveal() ?? null,
    ],
    upstream: [provider, place, identityOf(auth)],
    credential: proofOf(auth),
    besides: [source.timeoutMs, source.maxLifetimeMs],
    secrets: [...secretsOf(auth), ...(proxy === undefined ? [] : [proxy])],
    summary: { grant: auth.kind, endpoint: `${address}/v1/${path}`, clientId: roleOf(auth) },
  };
}

/** Who logs in. */
function identityOf(auth: VaultAuth): readonly unknown[] {
  return [auth.kind, auth.mount, roleOf(auth)];
}

function roleOf(auth: VaultAuth): string {
  return auth.kind === 'approle' ? auth.roleId : auth.role;
}

function proofOf(auth: VaultAuth): readonly unknown[] {
  return auth.kind === 'approle' ? ['secret-id', auth.secretId?.reveal() ?? null] : ['file', auth.tokenFile];
}

function secretsOf(auth: VaultAuth): readonly Redacted[] {
  return auth.kind === 'approle' && auth.secretId !== undefined ? [auth.secretId] : [];
}

function ingredientsOf(credential: VaultCredential): readonly unknown[] {
  return 'secretField' in credential
    ? [credential.kind, credential.secretField, credential.usernameField ?? null]
    : [credential.kind];
}
