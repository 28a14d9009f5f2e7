import { ok } from '@token-broker/foundation';
import { z } from 'zod';
import { certificates } from '../../certificates.js';
import type { VaultCredential, VaultSourceConfiguration } from '../../configuration.js';
import { choice, duration, flag, withDefault } from '../../scalars.js';
import {
  crossCheck,
  refuse,
  setting,
  settings,
  valuesOf,
  wrongKind,
  type Report,
  type Setting,
  type Values,
} from '../../settings.js';
import { formedText } from '../aws-access.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';
import { checkLifetimes } from '../lifetimes.js';
import { httpUrl, isInsecure, USE_HTTPS } from '../oauth2/endpoint.js';
import { proxy } from '../oauth2/proxy.js';
import { checkVaultAuth, toVaultAuth, vaultAuthSchema } from './vault-auth.js';
import { vaultPath } from './vault-path.js';

const FIELD = /^[\w.-]{1,128}$/;
const NAMESPACE = /^[\w.~-]+(\/[\w.~-]+)*\/?$/;
const MAX_BODY_CHARACTERS = 16_384;

const body = setting(
  { type: 'object', description: 'What is written to `path`, where it is written and not read: any JSON values.' },
  (input) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input))
      return refuse(wrongKind('a mapping', input));
    return JSON.stringify(input).length <= MAX_BODY_CHARACTERS
      ? ok(input as Readonly<Record<string, unknown>>)
      : refuse(`is longer than ${String(MAX_BODY_CHARACTERS)} characters of JSON`);
  },
);

const field = (description: string): Setting<string> => formedText(description, FIELD, 'the name of a field');

/** What only some types of credentials know. */
const ONLY_FOR: Readonly<Record<string, readonly string[]>> = {
  secretField: ['password', 'bearer'],
  usernameField: ['password', 'bearer'],
};

export const vaultSchema = crossCheck(
  settings('Dynamic secrets and tokens of HashiCorp Vault or OpenBao, with their leases.', {
    provider: z.literal('vault').meta({ description: 'The kind of upstream.' }),
    address: httpUrl('Where Vault is: scheme, host and port.', { query: false }),
    namespace: formedText('The namespace (`X-Vault-Namespace`).', NAMESPACE, 'a namespace', 'teams/orders').optional(),
    auth: vaultAuthSchema,
    path: vaultPath('What is asked for, below `/v1/`.', 'database/creds/orders'),
    body: body.optional(),
    credentialType: withDefault(
      choice('Which of what comes back is the credential, and of which type it is.', [
        ...(['password', 'bearer', 'aws-credentials', 'vault-token'] as const),
      ]),
      'password',
    ),
    secretField: field('The field of `data` that is the secret. Default: `password`, for a password.').optional(),
    usernameField: field('The field of `data` that is its user name. Default: `username`, for a password.').optional(),
    maxLifetime: withDefault(duration('Lifetimes above this are clamped.', { max: '3650d' }), '365d'),
    allowInsecureHttp: withDefault(flag('Allow `http://` for `address`. For development only.'), false),
    ca: certificates('Certificate authorities to trust for Vault, PEM, instead of the system’s.').optional(),
    proxy: proxy.optional(),
    ...callingSettings,
  }),
  (written, report) => {
    checkCalling(written, report);
    checkLifetimes(written, report);
    checkVaultAuth(valuesOf(written['auth']), report);
    checkFields(written, report);
    if (written['allowInsecureHttp'] !== true && isInsecure(written['address']))
      report(['address'], 'http:// would send secrets in clear', USE_HTTPS);
  },
);

function checkFields(written: Values, report: Report): void {
  const { credentialType } = written;
  if (typeof credentialType !== 'string') return;
  for (const [name, types] of Object.entries(ONLY_FOR))
    if (written[name] !== undefined && !types.includes(credentialType))
      report([name], `is never used with credentialType: ${credentialType}`);
  if (credentialType === 'bearer' && written['secretField'] === undefined)
    report(['secretField'], 'is required for bearer', 'such as service_account_token');
}

export function toVaultSource(name: string, written: z.output<typeof vaultSchema>): VaultSourceConfiguration {
  const { namespace, body: values, ca, proxy } = written;
  return Object.freeze({
    name,
    provider: written.provider,
    address: written.address.replace(/\/+$/, ''),
    ...(namespace === undefined ? {} : { namespace: namespace.replace(/\/$/, '') }),
    auth: toVaultAuth(written.auth),
    path: written.path,
    ...(values === undefined ? {} : { body: Object.freeze(values) }),
    credential: toCredential(written),
    ...(ca === undefined ? {} : { ca }),
    ...(proxy === undefined ? {} : { proxy }),
    maxLifetimeMs: written.maxLifetime,
    scopes: Object.freeze([]),
    ...toCalling(written),
  });
}

function toCredential({
  credentialType: kind,
  secretField = 'password',
  usernameField,
}: z.output<typeof vaultSchema>): VaultCredential {
  if (kind === 'aws-credentials' || kind === 'vault-token') return Object.freeze({ kind });
  return Object.freeze({ kind, secretField, ...(usernameField === undefined ? {} : { usernameField }) });
}
