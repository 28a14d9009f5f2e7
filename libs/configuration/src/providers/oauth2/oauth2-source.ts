import { z } from 'zod';
import { certificates } from '../../certificates.js';
import type { OAuth2SourceConfiguration } from '../../configuration.js';
import { choice, flag, text, withDefault } from '../../scalars.js';
import { crossCheck, settings, type Report } from '../../settings.js';
import { quotaSchema, toQuota } from '../quota.js';
import { refreshSchema } from '../refresh.js';
import {
  checkClientAuthentication,
  clientAuthenticationSettings,
  toClientAuthentication,
} from './client-authentication.js';
import { checkEndpoint, endpointSettings, toEndpoint } from './endpoint.js';
import { checkGrant, grantSettings, toGrant } from './grant.js';
import { checkLifetimes, lifetimeSettings, toLifetimes } from './lifetimes.js';
import { proxy } from './proxy.js';
import { toSubjectToken } from './subject-token.js';
import { checkParameters, tokenRequestSettings } from './token-request.js';

export const oauth2Schema = crossCheck(
  settings('Tokens from an OAuth 2.0 token endpoint.', {
    provider: z.literal('oauth2').meta({ description: 'The kind of upstream.' }),
    ...grantSettings,
    ...endpointSettings,
    clientId: text('The client’s id at the identity provider.'),
    ...clientAuthenticationSettings,
    ...tokenRequestSettings,
    ca: certificates(
      'Certificate authorities to trust for the identity provider, PEM, instead of the system’s.',
    ).optional(),
    proxy: proxy.optional(),
    ...lifetimeSettings,
    acceptNarrowerScope: withDefault(
      flag('Take tokens of a narrower scope than asked for, instead of refusing them.'),
      false,
    ),
    refresh: refreshSchema.prefault({}),
    withoutRedis: withDefault(
      choice(
        'What a replica does for callers while Redis is away and it holds no token: refuse them, or fetch for itself.',
        ['refuse', 'fetch'],
      ),
      'refuse',
    ),
    quota: quotaSchema.optional(),
  }),
  (written, report) => {
    checkEndpoint(written, report);
    checkClientAuthentication(written, report);
    checkGrant(written, report);
    checkLifetimes(written, report);
    checkParameters(written, report);
    checkWithoutRedis(written, report);
  },
);

function checkWithoutRedis(written: Readonly<Record<string, unknown>>, report: Report): void {
  if (written['withoutRedis'] !== 'fetch') return;
  if (written['grant'] === 'refresh_token')
    report(['withoutRedis'], 'cannot be fetch with grant: refresh_token', 'the journal of refresh tokens is in Redis');
  const quota = Array.isArray(written['quota']) ? (written['quota'] as readonly unknown[]) : [written['quota']];
  if (quota.some(isCalendarLimit))
    report(
      ['withoutRedis'],
      'cannot be fetch with a quota by day or month',
      'what was used of it stands in Redis alone',
    );
}

function isCalendarLimit(limit: unknown): boolean {
  if (typeof limit !== 'object' || limit === null || !('window' in limit)) return false;
  const { window } = limit;
  return typeof window === 'object' && window !== null && 'kind' in window && window.kind === 'calendar';
}

export function toOAuth2Source(name: string, written: z.output<typeof oauth2Schema>): OAuth2SourceConfiguration {
  const { audience, resource, ca, proxy, subjectToken } = written;
  return Object.freeze({
    name,
    provider: written.provider,
    grant: toGrant(written),
    endpoint: toEndpoint(written),
    allowInsecureHttp: written.allowInsecureHttp,
    clientId: written.clientId,
    clientAuthentication: toClientAuthentication(written),
    scopes: Object.freeze([...new Set(written.scope ?? [])].sort()),
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
    parameters: new Map(Object.entries(written.parameters ?? {})),
    ...(ca === undefined ? {} : { ca }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(subjectToken === undefined ? {} : { subjectToken: toSubjectToken(subjectToken, written.issuer) }),
    ...toLifetimes(written),
    acceptNarrowerScope: written.acceptNarrowerScope,
    refresh: Object.freeze(written.refresh),
    ...(written.withoutRedis === 'fetch' ? { withoutRedis: written.withoutRedis } : {}),
    quota: toQuota(written.quota),
  });
}
