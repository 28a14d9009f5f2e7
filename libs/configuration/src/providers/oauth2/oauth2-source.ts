import { z } from 'zod';
import { certificates } from '../../certificates.js';
import type { OAuth2SourceConfiguration } from '../../configuration.js';
import { flag, text, withDefault } from '../../scalars.js';
import { crossCheck, settings, type Report, type Values } from '../../settings.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';
import {
  checkClientAuthentication,
  clientAuthenticationSettings,
  toClientAuthentication,
} from './client-authentication.js';
import { checkEndpoint, endpointSettings, toEndpoint } from './endpoint.js';
import { checkGrant, grantSettings, toGrant } from './grant.js';
import { checkLifetimes, lifetimeSettings, toLifetimes } from '../lifetimes.js';
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
    ...callingSettings,
  }),
  (written, report) => {
    checkEndpoint(written, report);
    checkClientAuthentication(written, report);
    checkGrant(written, report);
    checkCalling(written, report);
    checkLifetimes(written, report);
    checkParameters(written, report);
    checkWithoutRedis(written, report);
  },
);

function checkWithoutRedis({ withoutRedis, grant }: Values, report: Report): void {
  if (withoutRedis === 'fetch' && grant === 'refresh_token')
    report(['withoutRedis'], 'cannot be fetch with grant: refresh_token', 'the journal of refresh tokens is in Redis');
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
    ...toCalling(written),
  });
}
