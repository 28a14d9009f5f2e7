import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { IssuedToken, ProviderFailure, ProviderRequest } from '../../../app/ports/provider.js';
import { createGrantRequests, type GrantPorts } from './grant-request.js';
import { parseObject } from '../http/json-object.js';
import { parseObservedLimit } from '../http/observed-limit.js';
import { oauthErrorIn, refusalOf } from './refusal.js';
import { readRefreshToken, readToken, type Oddity } from './token-response.js';
import type { Attempt, Upstream, UpstreamCall } from './upstream.js';

export interface TokenRequestPorts extends GrantPorts {
  readonly warn: (what: Oddity) => void;
}

/** Asks for tokens by the source's grant: one request for each, and a strict reading of what comes back. */
export function createTokenRequests(
  upstream: Upstream,
  ports: TokenRequestPorts,
): (request: ProviderRequest) => Promise<Result<IssuedToken, ProviderFailure>> {
  const { source } = upstream;
  const grants = createGrantRequests(source, ports);
  const spendsRefreshToken = source.grant.kind === 'refresh_token';

  const judge = (
    { reply, objection }: Attempt,
    { scopes }: ProviderRequest,
    call: UpstreamCall,
  ): Result<IssuedToken, ProviderFailure> => {
    const context = call.context();
    if (reply.status === 200 && oauthErrorIn(reply) === undefined) {
      // Our reading comes first: it names what is wrong. What it takes, the library must have taken too.
      const token = readToken(reply.text, { source, scopes, detail: context.detail, warn: ports.warn });
      if (!token.ok || objection === undefined) return token;
    }
    return err(refusalOf(reply, objection, context));
  };

  return async (request) => {
    const lack = grants.lackOf(request);
    if (lack !== undefined) return err(lack);
    const given = [request.refreshToken, request.subjectToken, request.actorToken];
    return upstream.call<IssuedToken>({ asked: 'the token request', given, spendsRefreshToken }, async (call) => {
      const attempted = await call.attempt(await grants.prepare(request, call.server));
      if (!attempted.ok) return attempted;
      const { reply } = attempted.value;
      const outcome = judge(attempted.value, request, call);
      const limit = parseObservedLimit(reply.headers, upstream.clock.wallMs());
      const observed = limit === undefined ? {} : { observed: limit };
      if (outcome.ok) return ok({ ...outcome.value, ...observed });
      const isRefused = outcome.error.refused === 'refresh-token';
      const successor = spendsRefreshToken && !isRefused ? successorIn(reply.status, reply.text) : undefined;
      return err({ ...outcome.error, ...(successor === undefined ? {} : { refreshToken: successor }), ...observed });
    });
  };
}

/** A refresh token was spent for this reply: whatever is wrong with it, its successor must not be lost. */
function successorIn(status: number, text: string): Redacted | undefined {
  const body = status >= 200 && status < 300 ? parseObject(text) : undefined;
  const successor = body === undefined ? undefined : readRefreshToken(body);
  return successor instanceof Redacted ? successor : undefined;
}
