import { err, ok } from '@token-broker/foundation';
import type { OAuth2Endpoint } from '../../configuration.js';
import { flag, withDefault } from '../../scalars.js';
import { refuse, setting, wrongKind, type Refusal, type Report, type Setting, type Values } from '../../settings.js';

/** `URL` drops tabs, line ends and outer spaces without a word: what is checked must be what is used. */
const INVISIBLE = /[\s\p{Cc}]/u;

interface UrlOptions {
  readonly query: boolean;
}

/** An http:// or https:// URL without credentials and fragment. Whether http:// is allowed is for {@link checkEndpoint} to say. */
export function httpUrl(description: string, options: UrlOptions): Setting<string> {
  return setting({ type: 'string', description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a URL', input));
    const objection = objectionTo(input, options);
    return objection === undefined ? ok(input) : err(objection);
  });
}

function objectionTo(written: string, { query }: UrlOptions): Refusal | undefined {
  if (!/^https?:\/\/[^/]/.test(written) || INVISIBLE.test(written) || !URL.canParse(written))
    return { message: 'not an https:// URL' };
  const url = new URL(written);
  if (url.username !== '' || url.password !== '')
    return { message: 'credentials do not belong into the URL', hint: 'use clientId and clientSecret' };
  if (url.hash !== '') return { message: 'has a fragment (#…)' };
  return url.search !== '' && !query ? { message: 'an issuer has no query (?…)' } : undefined;
}

/** Whether an issuer can publish metadata at all (RFC 8414 §2): others, such as `kubernetes/serviceaccount`, are names alone. */
export function canPublishMetadata(issuer: string): boolean {
  return objectionTo(issuer, { query: false }) === undefined;
}

/** An absolute URI without a fragment: a resource (RFC 8707 §2) or a token type (RFC 8693 §3). */
export function absoluteUri(description: string): Setting<string> {
  return setting({ type: 'string', description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a URI', input));
    return URL.canParse(input) && !INVISIBLE.test(input) && !input.includes('#')
      ? ok(input)
      : refuse('not an absolute URI without a fragment');
  });
}

export const endpointSettings = {
  issuer: httpUrl('The issuer, whose metadata name the endpoints (RFC 8414, OpenID Discovery).', {
    query: false,
  }).optional(),
  tokenEndpoint: httpUrl('The token endpoint, where the issuer publishes no metadata.', { query: true }).optional(),
  revocationEndpoint: httpUrl('The revocation endpoint (RFC 7009), beside `tokenEndpoint`.', {
    query: true,
  }).optional(),
  introspectionEndpoint: httpUrl('The introspection endpoint (RFC 7662), beside `tokenEndpoint`.', {
    query: true,
  }).optional(),
  allowInsecureHttp: withDefault(flag('Allow http:// for `issuer` and endpoints. For development only.'), false),
};

const BESIDE_TOKEN_ENDPOINT = ['revocationEndpoint', 'introspectionEndpoint'];

export function checkEndpoint(written: Values, report: Report): void {
  const { issuer, tokenEndpoint } = written;
  if (issuer === undefined && tokenEndpoint === undefined)
    report([], 'names no endpoint', 'either issuer or tokenEndpoint');
  if (issuer !== undefined) {
    if (tokenEndpoint !== undefined) report(['tokenEndpoint'], 'cannot be combined with issuer');
    for (const name of BESIDE_TOKEN_ENDPOINT) {
      if (written[name] !== undefined)
        report([name], 'cannot be combined with issuer', 'the issuer’s metadata name it');
    }
  }
  if (written['allowInsecureHttp'] !== true) refuseInsecure(written, report);
}

function refuseInsecure(written: Values, report: Report): void {
  for (const name of ['issuer', 'tokenEndpoint', ...BESIDE_TOKEN_ENDPOINT]) {
    if (isInsecure(written[name])) report([name], harmOfHttp(written), USE_HTTPS);
  }
}

export const USE_HTTPS = 'use https://, or allowInsecureHttp: true in development';

export function isInsecure(url: unknown): boolean {
  return typeof url === 'string' && url.startsWith('http:');
}

function harmOfHttp({ clientAuthentication }: Values): string {
  if (clientAuthentication === 'tls_client_auth') return 'http:// would never present the client’s certificate';
  const isSecret = clientAuthentication === 'client_secret_basic' || clientAuthentication === 'client_secret_post';
  return `http:// would send ${isSecret ? 'the client secret' : 'tokens'} in clear`;
}

export function toEndpoint(written: {
  readonly issuer?: string | undefined;
  readonly tokenEndpoint?: string | undefined;
  readonly revocationEndpoint?: string | undefined;
  readonly introspectionEndpoint?: string | undefined;
}): OAuth2Endpoint {
  const { issuer, tokenEndpoint, revocationEndpoint, introspectionEndpoint } = written;
  if (issuer !== undefined) return Object.freeze({ kind: 'issuer', issuer });
  if (tokenEndpoint === undefined) throw new Error('an OAuth 2.0 source without an endpoint passed its check');
  return Object.freeze({
    kind: 'token-endpoint',
    tokenEndpoint,
    ...(revocationEndpoint === undefined ? {} : { revocationEndpoint }),
    ...(introspectionEndpoint === undefined ? {} : { introspectionEndpoint }),
  });
}
