import type { z } from 'zod';
import type { OAuth2Grant } from '../../configuration.js';
import { choice, withDefault } from '../../scalars.js';
import { valuesOf, type Report, type Values } from '../../settings.js';
import { assertionSchema, checkAssertion, toAssertion, type WrittenAssertion } from './assertion.js';
import { absoluteUri } from './endpoint.js';
import type { WrittenSigningKey } from './signing-key.js';
import { checkSubjectToken, subjectTokenSchema } from './subject-token.js';

const GRANTS = ['client_credentials', 'refresh_token', 'jwt_bearer', 'token_exchange'] as const;

export const grantSettings = {
  grant: withDefault(choice('The OAuth 2.0 grant.', GRANTS), 'client_credentials'),
  assertion: assertionSchema.optional(),
  requestedTokenType: absoluteUri(
    'Type of the token to ask for, a URI (RFC 8693 §3); for `token_exchange`.',
  ).optional(),
  subjectToken: subjectTokenSchema.optional(),
};

export function checkGrant(source: Values, report: Report): void {
  const { grant, assertion, requestedTokenType, subjectToken, refresh } = source;
  const { from = 'key' } = valuesOf(assertion);
  // Of a grant or an origin that was refused nothing is known, so nothing follows.
  if (!GRANTS.some((known) => known === grant) || typeof grant !== 'string') return;
  if (grant === 'jwt_bearer') checkAssertion(source, report);
  else if (assertion !== undefined) report(['assertion'], `is never used with grant: ${grant}`, 'it is for jwt_bearer');
  if (grant !== 'token_exchange' && requestedTokenType !== undefined)
    report(['requestedTokenType'], `is never used with grant: ${grant}`, 'it is for token_exchange');

  if (grant === 'token_exchange' || (grant === 'jwt_bearer' && from === 'caller')) {
    const what = grant === 'jwt_bearer' ? 'assertion.from: caller' : `grant: ${grant}`;
    checkSubjectToken(source, what, report);
    if (valuesOf(refresh)['keepWarm'] === true)
      report(['refresh', 'keepWarm'], `is impossible with ${what}`, 'without a caller there is no token to do it with');
  } else if (subjectToken !== undefined && (grant !== 'jwt_bearer' || from === 'key')) {
    const what = grant === 'jwt_bearer' ? 'assertion.from: key' : `grant: ${grant}`;
    report(['subjectToken'], `is never used with ${what}`, 'it is for token_exchange, and jwt_bearer from: caller');
  }
}

interface WrittenGrant extends WrittenSigningKey {
  readonly grant: OAuth2Grant['kind'];
  readonly clientId: string;
  readonly clientAuthentication: string;
  readonly assertion?: WrittenAssertion | undefined;
  readonly requestedTokenType?: z.output<typeof grantSettings.requestedTokenType>;
}

export function toGrant(written: WrittenGrant): OAuth2Grant {
  const { grant: kind, requestedTokenType, assertion, clientId } = written;
  switch (kind) {
    case 'client_credentials':
    case 'refresh_token':
      return Object.freeze({ kind });
    case 'jwt_bearer':
      return Object.freeze({ kind, assertion: toAssertion(assertion, clientId, written) });
    case 'token_exchange':
      return Object.freeze({ kind, ...(requestedTokenType === undefined ? {} : { requestedTokenType }) });
  }
}
