import { z } from 'zod';
import { certificates } from '../../certificates.js';
import type { GitHubAppSourceConfiguration } from '../../configuration.js';
import { choice, flag, integer, withDefault } from '../../scalars.js';
import { crossCheck, list, settings, valuesOf, wrongKind, type Report, type Values } from '../../settings.js';
import { formedText } from '../aws-access.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';
import { httpUrl, isInsecure, USE_HTTPS } from '../oauth2/endpoint.js';
import { proxy } from '../oauth2/proxy.js';
import { appKey } from './app-key.js';

/** Of GitHub. */
const MAX_REPOSITORIES = 500;

const APP_ID = /^[\w.-]{1,64}$/;
const REPOSITORY = /^[\w.-]{1,100}$/;
const PERMISSION = /^[a-z][a-z_]{0,63}$/;

const id = (description: string) => integer(description, { min: 1, max: Number.MAX_SAFE_INTEGER });

export const gitHubAppSchema = crossCheck(
  settings('Tokens of an installation of a GitHub App.', {
    provider: z.literal('github-app').meta({ description: 'The kind of upstream.' }),
    appId: formedText('The app’s client id, or its number.', APP_ID, 'the id of an app', 'Iv23liAbCdEfGhIjKlMn'),
    appPrivateKey: appKey,
    installationId: id('The installation: the number at the end of its address in the settings of GitHub.'),
    repositories: list(
      'Repositories that the token may reach, by name, without their owner. Default: all of the installation.',
      formedText('A repository.', REPOSITORY, 'the name of a repository, without its owner'),
    ).optional(),
    repositoryIds: list(
      'Repositories that the token may reach, by number.',
      id('The number of a repository.'),
    ).optional(),
    permissions: z
      .record(z.string(), choice('How far the permission goes.', ['read', 'write', 'admin']), {
        error: (issue) => wrongKind('a mapping', issue.input),
      })
      .meta({ description: 'What the token may do there, by the names of GitHub. Default: all that the app may.' })
      .optional(),
    apiUrl: withDefault(
      httpUrl('The REST API: for GitHub Enterprise Server `https://HOST/api/v3`.', { query: false }),
      'https://api.github.com',
    ),
    allowInsecureHttp: withDefault(flag('Allow `http://` for `apiUrl`. For development only.'), false),
    ca: certificates('Certificate authorities to trust for the API, PEM, instead of the system’s.').optional(),
    proxy: proxy.optional(),
    ...callingSettings,
  }),
  (written, report) => {
    checkCalling(written, report);
    checkReach(written, report);
    if (written['allowInsecureHttp'] !== true && isInsecure(written['apiUrl']))
      report(['apiUrl'], 'http:// would send tokens in clear', USE_HTTPS);
  },
);

function checkReach({ repositories, repositoryIds, permissions }: Values, report: Report): void {
  for (const [name, written] of Object.entries({ repositories, repositoryIds })) {
    if (!Array.isArray(written)) continue;
    if (written.length === 0) report([name], 'is empty', 'leave it out for all repositories of the installation');
    if (written.length > MAX_REPOSITORIES) report([name], `has more than ${String(MAX_REPOSITORIES)} entries`);
  }
  if (repositories !== undefined && repositoryIds !== undefined)
    report(['repositoryIds'], 'cannot be combined with repositories');
  const names = Object.keys(valuesOf(permissions));
  for (const name of names)
    if (!PERMISSION.test(name)) report(['permissions', name], 'is no name of a permission', 'such as contents');
  if (permissions !== undefined && permissions !== null && typeof permissions === 'object' && names.length === 0)
    report(['permissions'], 'is empty', 'leave it out for all permissions of the app');
}

export function toGitHubAppSource(
  name: string,
  written: z.output<typeof gitHubAppSchema>,
): GitHubAppSourceConfiguration {
  const { repositories, repositoryIds, permissions = {}, ca, proxy } = written;
  return Object.freeze({
    name,
    provider: written.provider,
    apiUrl: written.apiUrl.replace(/\/+$/, ''),
    appId: written.appId,
    privateKey: written.appPrivateKey,
    installationId: written.installationId,
    ...(repositories === undefined
      ? {}
      : {
          repositories: Object.freeze({ by: 'name' as const, names: Object.freeze([...new Set(repositories)].sort()) }),
        }),
    ...(repositoryIds === undefined
      ? {}
      : {
          repositories: Object.freeze({
            by: 'id' as const,
            ids: Object.freeze([...new Set(repositoryIds)].sort((a, b) => a - b)),
          }),
        }),
    permissions: new Map(Object.entries(permissions).sort(([a], [b]) => (a < b ? -1 : 1))),
    ...(ca === undefined ? {} : { ca }),
    ...(proxy === undefined ? {} : { proxy }),
    scopes: Object.freeze([]),
    ...toCalling(written),
  });
}
