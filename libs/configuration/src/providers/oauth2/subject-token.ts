import type { z } from 'zod';
import type { SubjectTokenConfiguration } from '../../configuration.js';
import { choice, text, withDefault } from '../../scalars.js';
import { settings, valuesOf, type Report, type Values } from '../../settings.js';
import { absoluteUri, canPublishMetadata, httpUrl, isInsecure, USE_HTTPS } from './endpoint.js';

/** RFC 8693 §3. */
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export const subjectTokenSchema = settings(
  'How tokens that callers give are checked before anything is made of them: each must belong to the caller.',
  {
    type: withDefault(absoluteUri('Type of the subject tokens, a URI (RFC 8693 §3).'), ACCESS_TOKEN),
    actorType: withDefault(absoluteUri('Type of the actor tokens, a URI (RFC 8693 §3).'), ACCESS_TOKEN),
    check: withDefault(
      choice('By the introspection endpoint (RFC 7662), or by the signature of a JWT (RFC 9068).', [
        'introspection',
        'jwt',
      ]),
      'introspection',
    ),
    issuer: text('What `iss` of the JWT must be. Default: the source’s issuer.').optional(),
    jwksUri: httpUrl('Where the keys of that issuer are (JWKS). Default: where its metadata say.', {
      query: true,
    }).optional(),
    audience: text('What `aud` of the JWT must name.').optional(),
    ownerClaim: withDefault(
      text('The claim that names the client which the token was issued to: text, or a list of texts.'),
      'client_id',
    ),
  },
);

const FOR_JWT = ['issuer', 'jwksUri', 'audience'];

/** Of a source whose grant takes tokens of callers. */
export function checkSubjectToken(source: Values, grant: string, report: Report): void {
  if (source['subjectToken'] === undefined) {
    const hint = 'how tokens of callers are checked: { check: introspection }, or { check: jwt }';
    report(['subjectToken'], `is required for ${grant}`, hint);
    return;
  }
  const written = valuesOf(source['subjectToken']);
  if (written['check'] === 'introspection') {
    for (const name of FOR_JWT) {
      if (written[name] !== undefined)
        report(['subjectToken', name], 'is never used with check: introspection', 'it is for check: jwt');
    }
    if (source['tokenEndpoint'] !== undefined && source['introspectionEndpoint'] === undefined) {
      report(['introspectionEndpoint'], 'is required for subjectToken.check: introspection', 'or use check: jwt');
    }
  }
  if (written['check'] === 'jwt') checkJwt(source, written, report);
}

function checkJwt(source: Values, { issuer, jwksUri }: Values, report: Report): void {
  const isInsecureAllowed = source['allowInsecureHttp'] === true;
  if (issuer === undefined && source['issuer'] === undefined) {
    report(['subjectToken', 'issuer'], 'is required where the source has no issuer', 'what iss of the tokens must be');
  }
  if (!isInsecureAllowed && isInsecure(jwksUri)) report(['subjectToken', 'jwksUri'], FORGED_KEYS, USE_HTTPS);
  if (typeof issuer !== 'string' || jwksUri !== undefined) return;
  if (!canPublishMetadata(issuer)) {
    const hint = 'where the keys are that sign its tokens (JWKS)';
    report(['subjectToken', 'jwksUri'], 'is required where the issuer is not an https:// URL, which names it', hint);
  } else if (!isInsecureAllowed && isInsecure(issuer)) {
    report(['subjectToken', 'issuer'], FORGED_KEYS, USE_HTTPS);
  }
}

const FORGED_KEYS = 'http:// would let anybody on the way give keys of their own';

export function toSubjectToken(
  written: z.output<typeof subjectTokenSchema>,
  sourceIssuer: string | undefined,
): SubjectTokenConfiguration {
  const { type, actorType, ownerClaim } = written;
  return Object.freeze({ type, actorType, check: Object.freeze(toCheck(written, sourceIssuer)), ownerClaim });
}

function toCheck(
  { check, issuer = '', jwksUri, audience }: z.output<typeof subjectTokenSchema>,
  sourceIssuer: string | undefined,
): SubjectTokenConfiguration['check'] {
  if (check === 'introspection') return { kind: check };
  const expected = issuer === '' ? sourceIssuer : issuer;
  if (expected === undefined) throw new Error('a check of JWTs without an issuer passed its check');
  return {
    kind: check,
    issuer: expected,
    ...(jwksUri === undefined ? {} : { jwksUri }),
    ...(audience === undefined ? {} : { audience }),
  };
}
