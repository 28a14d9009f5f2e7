import { ok } from '@token-broker/foundation';
import { z } from 'zod';
import type { JwtAssertion } from '../../configuration.js';
import { choice, duration, millisecondsOf, text, withDefault } from '../../scalars.js';
import { refuse, setting, settings, valuesOf, wrongKind, type Report, type Values } from '../../settings.js';
import { checkAlgorithm, signingKeySettings, toSigningKey, type WrittenSigningKey } from './signing-key.js';

/** Registered claims (RFC 7519 §4.1): each has a setting of its own, or is the broker's to make. */
const RESERVED_CLAIMS: ReadonlySet<string> = new Set(['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti']);

const DEFAULT_LIFETIME_MS = millisecondsOf('60s');

/** Whatever JSON can say. What YAML says beyond that (.inf, .nan, numbers that a double cannot hold) would arrive as something else. */
const claim = setting({ description: 'The claim’s value.' }, (input) =>
  isJson(input)
    ? ok(frozen(input))
    : refuse('holds a number that JSON cannot hold', 'put it in quotes, or use one of fewer digits'),
);

function isJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' || typeof value === 'boolean' || value === null;
  return Object.values(value).every(isJson);
}

function frozen(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

export const assertionSchema = settings('The assertion of grant `jwt_bearer` (RFC 7523 §2.1).', {
  from: withDefault(
    choice('`key`: the broker makes and signs it. `caller`: it is the caller’s subject token.', ['key', 'caller']),
    'key',
  ),
  ...signingKeySettings('the assertion; by default that of `private_key_jwt`'),
  issuer: text('Claim `iss`. Default: the client id.').optional(),
  subject: text('Claim `sub`. Default: the client id.').optional(),
  audience: text('Claim `aud`. Default: the issuer, or else the token endpoint.').optional(),
  lifetime: duration('How long an assertion is good. Default: 60s.', { min: '1s', max: '1h' }).optional(),
  claims: z
    .record(z.string(), claim, { error: (issue) => wrongKind('a mapping', issue.input) })
    .meta({ description: 'Further claims, any JSON values.' })
    .optional(),
});

export type WrittenAssertion = z.output<typeof assertionSchema>;

/** Of a source whose grant is jwt_bearer. */
export function checkAssertion(source: Values, report: Report): void {
  const assertion = valuesOf(source['assertion']);
  const { from = 'key', claims } = assertion;
  // Neither of what is no mapping nor of a client authentication that was refused anything follows.
  if (source['assertion'] !== undefined && source['assertion'] !== assertion) return;
  if (from === 'caller') {
    for (const [name, value] of Object.entries(assertion)) {
      if (name === 'from' || value === undefined) continue;
      report(['assertion', name], 'is never used with from: caller', 'the caller’s token is the assertion as it is');
    }
  }
  if (from !== 'key') return;
  const { clientAuthentication } = source;
  const isInherited = clientAuthentication === 'private_key_jwt';
  const key = assertion['privateKey'] ?? (isInherited ? source['privateKey'] : undefined);
  // With private_key_jwt, a missing key is reported there.
  if (key === undefined && !isInherited && typeof clientAuthentication === 'string') {
    const hint = 'or clientAuthentication: private_key_jwt, whose key signs the assertion too';
    report(['assertion', 'privateKey'], 'is required for grant: jwt_bearer', hint);
  }
  checkAlgorithm(['assertion', 'signingAlgorithm'], key, assertion['signingAlgorithm'], report);
  for (const name of Object.keys(valuesOf(claims))) {
    if (RESERVED_CLAIMS.has(name))
      report(['assertion', 'claims', name], 'is set by the broker itself', 'use the setting of that meaning');
  }
}

/** `client` holds the settings of private_key_jwt, where that is how the client proves itself. */
export function toAssertion(
  assertion: WrittenAssertion | undefined,
  clientId: string,
  client: WrittenSigningKey,
): JwtAssertion {
  const { from, issuer, subject, audience, lifetime, claims, ...key } = assertion ?? assertionSchema.parse({});
  if (from === 'caller') return Object.freeze({ from });
  return Object.freeze({
    from,
    key: toSigningKey(key.privateKey === undefined ? { ...client, ...onlyWritten(key) } : key),
    issuer: issuer ?? clientId,
    subject: subject ?? clientId,
    ...(audience === undefined ? {} : { audience }),
    lifetimeMs: lifetime ?? DEFAULT_LIFETIME_MS,
    claims: new Map(Object.entries(claims ?? {})),
  });
}

function onlyWritten({ keyId, signingAlgorithm }: WrittenSigningKey): WrittenSigningKey {
  return {
    ...(keyId === undefined ? {} : { keyId }),
    ...(signingAlgorithm === undefined ? {} : { signingAlgorithm }),
  };
}
