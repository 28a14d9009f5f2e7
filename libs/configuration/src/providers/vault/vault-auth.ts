import { isAbsolute } from 'node:path';
import { ok } from '@token-broker/foundation';
import type { z } from 'zod';
import type { VaultAuth } from '../../configuration.js';
import { choice, secret, text } from '../../scalars.js';
import { refuse, setting, settings, wrongKind, type Report, type Values } from '../../settings.js';
import { vaultPath } from './vault-path.js';

/** The token of a pod's service account, where Kubernetes puts it. */
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

const tokenFile = setting(
  {
    type: 'string',
    minLength: 1,
    description: `The file with the token of the service account: an absolute path. It is read for each login. Default: ${SERVICE_ACCOUNT_TOKEN}.`,
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('an absolute path', input));
    return isAbsolute(input)
      ? ok(input)
      : refuse('is no absolute path', 'the file itself, not ${file:…}: it is read for each login');
  },
);

export const vaultAuthSchema = settings('How the broker logs in to Vault.', {
  method: choice('The auth method.', ['approle', 'kubernetes']),
  mount: vaultPath('Where the method is mounted, below `auth/`. Default: its name.', 'approle').optional(),
  roleId: text('The RoleID, for `approle`.').optional(),
  secretId: secret('The SecretID, for `approle`, unless the role binds none.').optional(),
  role: text('The role, for `kubernetes`.').optional(),
  tokenFile: tokenFile.optional(),
});

const ONLY_FOR: Readonly<Record<string, string>> = {
  roleId: 'approle',
  secretId: 'approle',
  role: 'kubernetes',
  tokenFile: 'kubernetes',
};
const REQUIRED_FOR: Readonly<Record<string, string>> = { approle: 'roleId', kubernetes: 'role' };

export function checkVaultAuth(auth: Values, report: Report): void {
  const { method } = auth;
  if (typeof method !== 'string') return;
  const required = REQUIRED_FOR[method];
  if (required !== undefined && auth[required] === undefined) report(['auth', required], `is required for ${method}`);
  for (const [name, only] of Object.entries(ONLY_FOR))
    if (auth[name] !== undefined && only !== method) report(['auth', name], `is never used with method: ${method}`);
}

export function toVaultAuth(written: z.output<typeof vaultAuthSchema>): VaultAuth {
  const { method, mount = method, roleId = '', secretId, role = '' } = written;
  if (method === 'kubernetes')
    return Object.freeze({ kind: method, mount, role, tokenFile: written.tokenFile ?? SERVICE_ACCOUNT_TOKEN });
  return Object.freeze({ kind: method, mount, roleId, ...(secretId === undefined ? {} : { secretId }) });
}
