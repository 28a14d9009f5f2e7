import { z } from 'zod';
import { certificates } from '../../certificates.js';
import type { GoogleSubject, GoogleWorkloadIdentitySourceConfiguration } from '../../configuration.js';
import { choice, duration, flag, identifier, millisecondsOf, text, withDefault } from '../../scalars.js';
import { crossCheck, list, settings, type Report, type Values } from '../../settings.js';
import { formedText } from '../aws-access.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';
import { httpUrl, isInsecure, USE_HTTPS } from '../oauth2/endpoint.js';
import { proxy } from '../oauth2/proxy.js';
import { tokenRequestSettings } from '../oauth2/token-request.js';
import { tokenFile } from '../token-file.js';

/** Without the service, as other tools write it, or with it, as Google does. */
const POOL_PROVIDER =
  /^(\/\/iam\.[a-z0-9.-]+\/)?projects\/\d+\/locations\/global\/workloadIdentityPools\/[a-z0-9-]+\/providers\/[a-z0-9-]+$/;
const SERVICE = '//iam.googleapis.com/';
const SERVICE_ACCOUNT = /^[a-z0-9-]+@[a-z0-9.:-]+$/;
const SUBJECT_TOKEN_TYPES = [
  'urn:ietf:params:oauth:token-type:jwt',
  'urn:ietf:params:oauth:token-type:id_token',
  'urn:ietf:params:oauth:token-type:saml2',
] as const;

const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const DEFAULT_LIFE_MS = millisecondsOf('1h');

const serviceAccount = (description: string) =>
  formedText(description, SERVICE_ACCOUNT, 'the email of a service account', 'orders@project.iam.gserviceaccount.com');

export const googleWorkloadIdentitySchema = crossCheck(
  settings('Tokens of Google Cloud, for a workload that another identity provider knows.', {
    provider: z.literal('google-workload-identity').meta({ description: 'The kind of upstream.' }),
    workloadIdentityProvider: formedText(
      'The provider of the workload identity pool, by its full name: the audience of the exchange.',
      POOL_PROVIDER,
      'the full name of a provider of a workload identity pool',
      'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
    ),
    subjectTokenFile: tokenFile(
      'The file with the token that the workload is known by: an absolute path. It is read for each call.',
    ).optional(),
    subjectTokenField: text('The field that holds it, where the file is a JSON object.').optional(),
    subjectTokenSource: identifier('In place of a file: the source whose bearer token it is.').optional(),
    subjectTokenType: withDefault(
      choice('What kind of token it is (RFC 8693 §3).', SUBJECT_TOKEN_TYPES),
      SUBJECT_TOKEN_TYPES[0],
    ),
    scope: tokenRequestSettings.scope,
    serviceAccount: serviceAccount(
      'The service account to impersonate. Without one, tokens are the pool’s own.',
    ).optional(),
    delegates: list(
      'Service accounts between, each of which may impersonate the next.',
      serviceAccount('A service account.'),
    ).optional(),
    tokenLifetime: duration(
      'How long tokens of the service account are asked for: 12h at most, above 1h where an organisation policy allows it. Default: 1h.',
      { min: '10s', max: '12h' },
    ).optional(),
    stsEndpoint: withDefault(
      httpUrl('The Security Token Service.', { query: false }),
      'https://sts.googleapis.com/v1/token',
    ),
    iamCredentialsEndpoint: withDefault(
      httpUrl('The service that impersonates.', { query: false }),
      'https://iamcredentials.googleapis.com',
    ),
    allowInsecureHttp: withDefault(flag('Allow `http://` for the endpoints. For development only.'), false),
    ca: certificates('Certificate authorities to trust for the endpoints, PEM, instead of the system’s.').optional(),
    proxy: proxy.optional(),
    ...callingSettings,
  }),
  (written, report) => {
    checkCalling(written, report);
    checkSubject(written, report);
    if (written['serviceAccount'] === undefined)
      for (const name of ['delegates', 'tokenLifetime'])
        if (written[name] !== undefined) report([name], 'is never used without serviceAccount');
    if (written['allowInsecureHttp'] !== true)
      for (const name of ['stsEndpoint', 'iamCredentialsEndpoint'])
        if (isInsecure(written[name])) report([name], 'http:// would send tokens in clear', USE_HTTPS);
  },
);

function checkSubject(written: Values, report: Report): void {
  const { subjectTokenFile, subjectTokenField, subjectTokenSource, withoutRedis } = written;
  if (subjectTokenSource === undefined) {
    if (subjectTokenFile === undefined)
      report([], 'names no subject token', 'either subjectTokenFile or subjectTokenSource');
    return;
  }
  for (const [name, value] of Object.entries({ subjectTokenFile, subjectTokenField }))
    if (value !== undefined) report([name], 'is never used beside subjectTokenSource');
  if (withoutRedis === 'fetch')
    report(['withoutRedis'], 'cannot be fetch with subjectTokenSource', 'that one is in Redis');
}

export function toGoogleWorkloadIdentitySource(
  name: string,
  written: z.output<typeof googleWorkloadIdentitySchema>,
): GoogleWorkloadIdentitySourceConfiguration {
  const { provider, workloadIdentityProvider, scope = [], serviceAccount: email, ca, proxy: throughProxy } = written;
  const { delegates = [], tokenLifetime = DEFAULT_LIFE_MS } = written;
  const scopes = scope.length === 0 ? [CLOUD_PLATFORM] : [...new Set(scope)].sort();
  const impersonation = Object.freeze({
    serviceAccount: email ?? '',
    delegates: Object.freeze(delegates),
    lifetimeMs: tokenLifetime,
  });
  return Object.freeze({
    name,
    provider,
    workloadIdentityProvider: workloadIdentityProvider.startsWith('//')
      ? workloadIdentityProvider
      : `${SERVICE}${workloadIdentityProvider}`,
    subject: toSubject(written),
    subjectTokenType: written.subjectTokenType,
    scopes: Object.freeze(scopes),
    ...(email === undefined ? {} : { impersonation }),
    stsEndpoint: written.stsEndpoint,
    iamCredentialsEndpoint: written.iamCredentialsEndpoint.replace(/\/+$/, ''),
    ...(ca === undefined ? {} : { ca }),
    ...(throughProxy === undefined ? {} : { proxy: throughProxy }),
    ...toCalling(written),
  });
}

function toSubject(written: z.output<typeof googleWorkloadIdentitySchema>): GoogleSubject {
  const { subjectTokenFile = '', subjectTokenField: field, subjectTokenSource: source } = written;
  if (source !== undefined) return Object.freeze({ kind: 'source', source });
  return Object.freeze({ kind: 'file', file: subjectTokenFile, ...(field === undefined ? {} : { field }) });
}
