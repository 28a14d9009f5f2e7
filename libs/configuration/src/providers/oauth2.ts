import { formatDuration, ok } from '@token-broker/foundation';
import { z } from 'zod';
import { certificates } from '../certificates.js';
import type { OAuth2SourceConfiguration } from '../configuration.js';
import { choice, duration, flag, millisecondsOf, secret, text, withDefault } from '../scalars.js';
import {
  crossCheck,
  either,
  list,
  refuse,
  setting,
  settings,
  wrongKind,
  type Report,
  type Setting,
} from '../settings.js';
import { refreshSchema } from './refresh.js';

/** How much longer than its request the lock of a fetch lives, unless the file says otherwise. */
const LOCK_MARGIN_MS = 2_000;

function httpUrl(description: string, { query }: { readonly query: boolean }): Setting<string> {
  return setting({ type: 'string', description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a URL', input));
    if (!/^https?:\/\/[^/]/.test(input) || !URL.canParse(input)) return refuse('not an https:// URL');
    const url = new URL(input);
    if (url.username !== '' || url.password !== '')
      return refuse('credentials do not belong into the URL', 'use clientId and clientSecret');
    if (url.hash !== '') return refuse('has a fragment (#…)');
    return url.search !== '' && !query ? refuse('an issuer has no query (?…)') : ok(input);
  });
}

/** A scope of RFC 6749: printable, without space, quote and backslash. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

export function scope(description: string): Setting<string> {
  return setting({ type: 'string', description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input));
    return SCOPE.test(input) ? ok(input) : refuse('not a scope', 'printable ASCII without space, quote and backslash');
  });
}

const scopes = setting({ type: 'string', description: 'Scopes, separated by spaces.' }, (input) => {
  if (typeof input !== 'string') return refuse(wrongKind('text', input));
  const words = input.split(' ').filter((word) => word !== '');
  return words.every((word) => SCOPE.test(word)) ? ok(words) : refuse('not a list of scopes separated by spaces');
});

/** RFC 8707: an absolute URI without a fragment. */
const resource = setting(
  { type: 'string', description: 'Resource of RFC 8707, an absolute URI without a fragment.' },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a URI', input));
    return URL.canParse(input) && !input.includes('#') ? ok(input) : refuse('not an absolute URI without a fragment');
  },
);

/** What the broker itself puts into a token request, or must never send in this grant. */
const RESERVED_PARAMETERS: ReadonlySet<string> = new Set([
  ...[
    'grant_type',
    'client_id',
    'client_secret',
    'client_assertion',
    'client_assertion_type',
    'scope',
    'audience',
    'resource',
  ],
  ...['code', 'code_verifier', 'redirect_uri', 'refresh_token', 'device_code', 'username', 'password', 'assertion'],
  ...['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type'],
]);

const parameters = z
  .record(z.string(), text('The parameter’s value.'), { error: (issue) => wrongKind('a mapping', issue.input) })
  .meta({ description: 'Further form parameters of the token request, such as `organization`.' });

export const oauth2Schema = crossCheck(
  settings('Tokens from an OAuth 2.0 token endpoint.', {
    provider: z.literal('oauth2').meta({ description: 'The kind of upstream.' }),
    grant: withDefault(choice('The OAuth 2.0 grant.', ['client_credentials']), 'client_credentials'),
    issuer: httpUrl('The issuer, whose metadata name the token endpoint (RFC 8414, OpenID Discovery).', {
      query: false,
    }).optional(),
    tokenEndpoint: httpUrl('The token endpoint, where the issuer publishes no metadata.', { query: true }).optional(),
    clientId: text('The client’s id at the identity provider.'),
    clientSecret: secret('The client’s secret.'),
    clientAuthentication: withDefault(
      choice('How the client proves who it is.', ['client_secret_basic', 'client_secret_post']),
      'client_secret_basic',
    ),
    scope: either({ description: 'Scopes: text separated by spaces, or a list.' }, 'text or a list', [
      scopes,
      list('Scopes.', scope('A scope.')),
    ]).optional(),
    audience: text('Audience that the token is for.').optional(),
    resource: resource.optional(),
    parameters: parameters.optional(),
    ca: certificates(
      'Certificate authorities to trust for the identity provider, PEM, instead of the system’s.',
    ).optional(),
    timeout: withDefault(duration('The time that one token request may take.', { min: '10ms', max: '10m' }), '10s'),
    lockTime: duration('The life of the cluster’s lock for one fetch; above `timeout`. Default: `timeout` + 2s.', {
      max: '1h',
    }).optional(),
    defaultLifetime: duration('Lifetime of a token whose reply has no expires_in. Default: 5m.').optional(),
    maxLifetime: withDefault(duration('Lifetimes above this are clamped.', { max: '3650d' }), '365d'),
    acceptNarrowerScope: withDefault(
      flag('Take tokens of a narrower scope than asked for, instead of refusing them.'),
      false,
    ),
    allowInsecureHttp: withDefault(
      flag('Allow http:// for `issuer` and `tokenEndpoint`. For development only.'),
      false,
    ),
    refresh: refreshSchema.prefault({}),
  }),
  (written, report) => {
    checkEndpoint(written, report);
    checkTimes(written, report);
    const names =
      typeof written['parameters'] === 'object' && written['parameters'] !== null
        ? Object.keys(written['parameters'])
        : [];
    for (const name of names) {
      if (RESERVED_PARAMETERS.has(name))
        report(['parameters', name], 'is set by the broker itself', 'use the setting of that meaning');
    }
  },
);

type Written = Readonly<Record<string, unknown>>;

function checkEndpoint({ issuer, tokenEndpoint, allowInsecureHttp }: Written, report: Report): void {
  if (issuer === undefined && tokenEndpoint === undefined)
    report([], 'names no endpoint', 'either issuer or tokenEndpoint');
  if (issuer !== undefined && tokenEndpoint !== undefined) report(['tokenEndpoint'], 'cannot be combined with issuer');
  if (allowInsecureHttp === true) return;
  for (const [name, url] of Object.entries({ issuer, tokenEndpoint })) {
    if (typeof url !== 'string' || !/^http:/i.test(url)) continue;
    report(
      [name],
      'http:// would send the client secret in clear',
      'use https://, or allowInsecureHttp: true in development',
    );
  }
}

export const DEFAULT_LIFETIME_MS = millisecondsOf('5m');

function checkTimes({ timeout, lockTime, defaultLifetime, maxLifetime, refresh }: Written, report: Report): void {
  if (typeof timeout === 'number' && typeof lockTime === 'number' && lockTime <= timeout) {
    report(
      ['lockTime'],
      `is not above timeout (${formatDuration(timeout)})`,
      'a lock that ends before the request lets a second one start',
    );
  }
  if (typeof maxLifetime !== 'number') return;
  if (typeof defaultLifetime === 'number' && defaultLifetime > maxLifetime)
    report(['defaultLifetime'], 'is above maxLifetime');
  const aheadMs = aheadMsOf(refresh);
  // The default of five minutes says nothing about the tokens that come with a life of their own: only what is written counts.
  const knownLifeMs = typeof defaultLifetime === 'number' ? Math.min(defaultLifetime, maxLifetime) : maxLifetime;
  if (aheadMs !== undefined && aheadMs >= knownLifeMs) {
    report(
      ['refresh', 'ahead'],
      `is not below the life of the token (${formatDuration(knownLifeMs)})`,
      'a share such as "20%" fits every life',
    );
  }
}

function aheadMsOf(refresh: unknown): number | undefined {
  if (typeof refresh !== 'object' || refresh === null || !('ahead' in refresh)) return undefined;
  const { ahead } = refresh;
  if (typeof ahead !== 'object' || ahead === null || !('ms' in ahead)) return undefined;
  return typeof ahead.ms === 'number' ? ahead.ms : undefined;
}

export function toOAuth2Source(name: string, written: z.output<typeof oauth2Schema>): OAuth2SourceConfiguration {
  const { audience, resource, ca } = written;
  return Object.freeze({
    name,
    provider: written.provider,
    grant: Object.freeze({ kind: written.grant }),
    endpoint: endpointOf(written),
    allowInsecureHttp: written.allowInsecureHttp,
    clientId: written.clientId,
    clientAuthentication: Object.freeze({ kind: written.clientAuthentication, clientSecret: written.clientSecret }),
    scopes: Object.freeze([...new Set(written.scope ?? [])].sort()),
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
    parameters: new Map(Object.entries(written.parameters ?? {})),
    ...(ca === undefined ? {} : { ca }),
    timeoutMs: written.timeout,
    lockTimeMs: written.lockTime ?? written.timeout + LOCK_MARGIN_MS,
    defaultLifetimeMs: written.defaultLifetime ?? Math.min(DEFAULT_LIFETIME_MS, written.maxLifetime),
    maxLifetimeMs: written.maxLifetime,
    acceptNarrowerScope: written.acceptNarrowerScope,
    refresh: Object.freeze(written.refresh),
    quota: [],
  });
}

function endpointOf({ issuer, tokenEndpoint }: z.output<typeof oauth2Schema>): OAuth2SourceConfiguration['endpoint'] {
  if (issuer !== undefined) return Object.freeze({ kind: 'issuer', issuer });
  if (tokenEndpoint !== undefined) return Object.freeze({ kind: 'token-endpoint', tokenEndpoint });
  throw new Error('an OAuth 2.0 source without an endpoint passed its check');
}
