import { err, ok, type Redacted, type Result } from '@token-broker/foundation';
import * as oauth from 'openid-client';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import { parseObservedLimit } from '../http/observed-limit.js';
import { oauthErrorIn, refusalOf } from './refusal.js';
import type { Upstream } from './upstream.js';

/**
 * Takes a token back (RFC 7009), by one request. A provider answers 200 also for a token that it does not know, such as
 * one that is revoked already, and, with many, for a JWT, which it does not keep: such a token stays good until it expires.
 */
export function revokeToken(
  upstream: Upstream,
  accessToken: Redacted,
): Promise<Result<'revoked' | 'unsupported', ProviderFailure>> {
  return upstream.call({ asked: 'the revocation', given: [accessToken] }, async ({ server, attempt, context }) => {
    const address = server.revocation_endpoint ?? server.mtls_endpoint_aliases?.revocation_endpoint;
    if (address === undefined) return ok('unsupported');
    const attempted = await attempt((configuration) =>
      oauth.tokenRevocation(configuration, accessToken.reveal(), { token_type_hint: 'access_token' }),
    );
    if (!attempted.ok) return attempted;
    const { reply, objection } = attempted.value;
    // Its body means nothing; some providers say so by the status.
    if (reply.status === 200 || reply.status === 204) return ok('revoked');
    if (oauthErrorIn(reply) === 'unsupported_token_type') return ok('unsupported');
    const observed = parseObservedLimit(reply.headers, upstream.clock.wallMs());
    return err({ ...refusalOf(reply, objection, context()), ...(observed === undefined ? {} : { observed }) });
  });
}
