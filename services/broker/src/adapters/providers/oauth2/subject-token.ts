import { err, ok, type Redacted, type Result } from '@token-broker/foundation';
import type { SubjectTokenConfiguration } from '@token-broker/configuration';
import * as oauth from 'openid-client';
import type { ProviderFailure, Subject } from '../../../app/ports/provider.js';
import { parseObject } from '../http/json-object.js';
import { parseObservedLimit } from '../http/observed-limit.js';
import { refusalOf } from './refusal.js';
import { createSignatureCheck } from './subject-signature.js';
import type { Upstream } from './upstream.js';

/** Reads a token that a caller gave; `undefined`: it is not good. */
export type ReadSubject = (token: Redacted) => Promise<Result<Subject | undefined, ProviderFailure>>;

const MAX_TOKEN_CHARACTERS = 64 * 1024;
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

const HINTS: ReadonlyMap<string, string> = new Map([
  ['urn:ietf:params:oauth:token-type:access_token', 'access_token'],
  ['urn:ietf:params:oauth:token-type:refresh_token', 'refresh_token'],
]);

/** Checks subject and actor tokens as the source says. Without such a say none is good. */
export function createSubjectReader(upstream: Upstream): ReadSubject {
  const { subjectToken } = upstream.source;
  if (subjectToken === undefined) return () => Promise.resolve(ok(undefined));
  const read =
    subjectToken.check.kind === 'introspection'
      ? byIntrospection(upstream, subjectToken)
      : bySignature(upstream, subjectToken, createSignatureCheck(upstream, subjectToken.check));
  return (token) => {
    const text = token.reveal();
    const isPlausible = text.length <= MAX_TOKEN_CHARACTERS && VISIBLE_ASCII.test(text);
    return isPlausible ? read(token) : Promise.resolve(ok(undefined));
  };
}

/** RFC 7662. */
function byIntrospection(upstream: Upstream, { type, ownerClaim }: SubjectTokenConfiguration): ReadSubject {
  const hint = HINTS.get(type);
  return (token) =>
    upstream.call({ asked: 'the introspection', given: [token] }, async ({ server, attempt, context }) => {
      const address = server.introspection_endpoint ?? server.mtls_endpoint_aliases?.introspection_endpoint;
      if (address === undefined) {
        const message = 'the identity provider names no introspection endpoint';
        return err({ code: 'IDP_PROTOCOL', message, detail: message });
      }
      const attempted = await attempt((configuration) =>
        oauth.tokenIntrospection(configuration, token.reveal(), hint === undefined ? {} : { token_type_hint: hint }),
      );
      if (!attempted.ok) return attempted;
      const { reply, objection } = attempted.value;
      const claims = objection === undefined ? parseObject(reply.text) : undefined;
      if (claims === undefined) {
        const observed = parseObservedLimit(reply.headers, upstream.clock.wallMs());
        return err({ ...refusalOf(reply, objection, context()), ...(observed === undefined ? {} : { observed }) });
      }
      // The library has seen that it is true or false.
      return ok(claims['active'] === true ? subjectOf(claims, ownerClaim, upstream.clock.wallMs()) : undefined);
    });
}

/** RFC 7519. */
function bySignature(
  { clock }: Upstream,
  { ownerClaim }: SubjectTokenConfiguration,
  check: ReturnType<typeof createSignatureCheck>,
): ReadSubject {
  return async (token) => {
    const claims = await check(token.reveal());
    if (!claims.ok) return claims;
    return ok(claims.value === undefined ? undefined : subjectOf(claims.value, ownerClaim, clock.wallMs()));
  };
}

function subjectOf(claims: Readonly<Record<string, unknown>>, ownerClaim: string, wallMs: number): Subject {
  const { exp: expiry, sub: name } = claims;
  return {
    owners: ownersIn(claims, ownerClaim),
    ...(typeof name === 'string' && name !== '' ? { name } : {}),
    ...(typeof expiry === 'number' ? { remainingMs: Math.max(0, Math.floor(expiry * 1_000 - wallMs)) } : {}),
  };
}

/** Some providers name the client by `azp` alone (OpenID Connect Core §2). */
function ownersIn(claims: Readonly<Record<string, unknown>>, ownerClaim: string): readonly string[] {
  const named = claims[ownerClaim] ?? (ownerClaim === 'client_id' ? claims['azp'] : undefined);
  return [named].flat().filter((owner) => typeof owner === 'string' && owner !== '') as string[];
}
