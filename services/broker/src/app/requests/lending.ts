import { err, ok, Redacted, type Clock } from '@token-broker/foundation';
import type { Failure } from '@token-broker/protocol';
import type { Lender, ProviderFailure } from '../ports/provider.js';
import type { Sources } from '../sources/sources.js';
import type { GetToken } from './get-token.js';

export interface LendingPorts {
  readonly clock: Clock;
  readonly sources: Sources;
  readonly getToken: Pick<GetToken, 'obtain'>;
}

/** Codes that say the same to whoever wanted to use the credential. */
const PASSED_ON: ReadonlySet<string> = new Set<ProviderFailure['code']>([
  'IDP_DENIED',
  'IDP_UNAVAILABLE',
  'IDP_TIMEOUT',
  'IDP_PROTOCOL',
  'QUOTA_EXHAUSTED',
  'REAUTH_REQUIRED',
]);

/** Lends the credential of one source to the provider of another: it is fetched, shared and renewed like any other. */
export function lenderOf({ clock, sources, getToken }: LendingPorts): Lender {
  return async (name) => {
    const source = sources.source(name);
    if (source === undefined) return err(unlent(name, { code: 'UNKNOWN_SOURCE', message: 'there is no such source' }));
    const route = { source, address: sources.address(source, {}), parameters: {} };
    const outcome = await getToken.obtain(route, 0, 'miss');
    if (outcome.kind !== 'token') {
      const elsewhere = { code: 'IDP_UNAVAILABLE', message: 'another replica fetches it' } as const;
      return err(unlent(name, outcome.kind === 'failure' ? outcome.failure : elsewhere));
    }
    const { held } = outcome;
    const { accessToken, tokenType, username } = held.token;
    return ok({
      accessToken: new Redacted(accessToken),
      tokenType,
      ...(username === undefined ? {} : { username }),
      remainingMs: Math.max(0, held.remainingMs(clock.elapsedMs())),
    });
  };
}

function unlent(name: string, { code, message, retryAfterMs }: Failure): ProviderFailure {
  return {
    code: PASSED_ON.has(code) ? (code as ProviderFailure['code']) : 'IDP_UNAVAILABLE',
    message: `the credential of the source "${name}" is not to be had: ${message}`,
    detail: `${code}: ${message}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}
