import { Redacted } from '@token-broker/foundation';
import { parseObject } from '../http/json-object.js';

/** What takes a credential of Vault back. */
export interface VaultHandle {
  /** That of the login. To revoke it is to revoke what hangs on it. */
  readonly token: Redacted;
  /** Where the token is one that nobody can revoke: the lease, to be revoked with it. */
  readonly leaseId?: string;
}

export function writeHandle({ token, leaseId }: VaultHandle): Redacted {
  return new Redacted(JSON.stringify({ token: token.reveal(), ...(leaseId === undefined ? {} : { lease: leaseId }) }));
}

/** `undefined`: it is of another provider, or of a later version. */
export function readHandle(handle: Redacted): VaultHandle | undefined {
  const { token, lease } = parseObject(handle.reveal()) ?? {};
  if (typeof token !== 'string' || token === '') return undefined;
  return { token: new Redacted(token), ...(typeof lease === 'string' ? { leaseId: lease } : {}) };
}
