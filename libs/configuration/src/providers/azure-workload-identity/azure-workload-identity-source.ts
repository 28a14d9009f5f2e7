import { ok } from '@token-broker/foundation';
import { z } from 'zod';
import { certificates } from '../../certificates.js';
import type { AzureWorkloadIdentitySourceConfiguration } from '../../configuration.js';
import { flag, withDefault } from '../../scalars.js';
import { crossCheck, refuse, setting, settings, wrongKind } from '../../settings.js';
import { formedText } from '../aws-access.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';
import { httpUrl, isInsecure, USE_HTTPS } from '../oauth2/endpoint.js';
import { proxy } from '../oauth2/proxy.js';
import { tokenFile } from '../token-file.js';

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** A GUID, or a domain of the tenant. */
const TENANT = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
/** Each stands for many tenants: an application asks in its own. */
const NO_TENANT = ['common', 'organizations', 'consumers'];
/** RFC 6749 §3.3; by this grant, all that was granted of one resource. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+\/\.default$/;

const tenantId = setting(
  { type: 'string', minLength: 1, description: 'The tenant: its id, or a domain of it.' },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input));
    if (NO_TENANT.includes(input)) return refuse('stands for many tenants', 'the id of the one');
    return TENANT.test(input) ? ok(input) : refuse('is not the id of a tenant');
  },
);

export const azureWorkloadIdentitySchema = crossCheck(
  settings(
    'Tokens of Microsoft Entra ID, for a workload that another identity provider knows: a pod of Kubernetes, say.',
    {
      provider: z.literal('azure-workload-identity').meta({ description: 'The kind of upstream.' }),
      tenantId,
      clientId: formedText(
        'The id of the application, or of the managed identity.',
        GUID,
        'the id of an application',
        '11111111-2222-3333-4444-555555555555',
      ),
      federatedTokenFile: tokenFile(
        'The file with the token that the workload is known by: an absolute path. It is read for each call.',
      ),
      authority: withDefault(
        httpUrl('Where Microsoft Entra ID is: another host in a national cloud.', { query: false }),
        'https://login.microsoftonline.com',
      ),
      scope: formedText(
        'The resource that the token is for, as a scope that ends in /.default.',
        SCOPE,
        'one scope that ends in /.default',
        'https://vault.azure.net/.default',
      ),
      allowInsecureHttp: withDefault(flag('Allow `http://` for `authority`. For development only.'), false),
      ca: certificates('Certificate authorities to trust for the authority, PEM, instead of the system’s.').optional(),
      proxy: proxy.optional(),
      ...callingSettings,
    },
  ),
  (written, report) => {
    checkCalling(written, report);
    if (written['allowInsecureHttp'] !== true && isInsecure(written['authority']))
      report(['authority'], 'http:// would send tokens in clear', USE_HTTPS);
  },
);

export function toAzureWorkloadIdentitySource(
  name: string,
  written: z.output<typeof azureWorkloadIdentitySchema>,
): AzureWorkloadIdentitySourceConfiguration {
  const { provider, authority, scope, ca, proxy: throughProxy } = written;
  return Object.freeze({
    name,
    provider,
    tenantId: written.tenantId,
    clientId: written.clientId,
    tokenFile: written.federatedTokenFile,
    // As AKS sets it, with a slash.
    authority: authority.replace(/\/+$/, ''),
    scopes: Object.freeze([scope]),
    ...(ca === undefined ? {} : { ca }),
    ...(throughProxy === undefined ? {} : { proxy: throughProxy }),
    ...toCalling(written),
  });
}
