import { err, ok, type Result } from '@token-broker/foundation';
import { failure, type Failure, type TokenParameters } from '@token-broker/protocol';

/** What a caller may ask of one source beyond the source's own scopes, audience and resource. */
export interface Grant {
  readonly scopes: 'any' | readonly string[];
  readonly audiences: 'any' | readonly string[];
}

/** The source's own parameters: what a plain request gets, and what everybody with a grant may name. */
export interface SourceParameters {
  readonly scopes: readonly string[];
  readonly audience?: string;
  readonly resource?: string;
}

/** Whether the grant covers the parameters; the refusal names what is beyond it. */
export function authorise(grant: Grant, own: SourceParameters, asked: TokenParameters): Result<undefined, Failure> {
  const { scopes, audiences } = grant;
  if (scopes !== 'any') {
    const beyond = asked.scopes?.find((scope) => !own.scopes.includes(scope) && !scopes.includes(scope));
    if (beyond !== undefined) return err(failure('FORBIDDEN', `the policy does not allow the scope "${beyond}"`));
  }
  for (const [name, value, ownValue] of [
    ['audience', asked.audience, own.audience],
    ['resource', asked.resource, own.resource],
  ] as const) {
    if (value === undefined || value === ownValue || audiences === 'any' || audiences.includes(value)) continue;
    return err(failure('FORBIDDEN', `the policy does not allow the ${name} "${value}"`));
  }
  return ok(undefined);
}
