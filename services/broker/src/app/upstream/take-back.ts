import { backoffMs, delay, err, Redacted, type Clock, type Random, type Result } from '@token-broker/foundation';
import type { RecordContent } from '../../domain/record.js';
import type { Provider, ProviderFailure } from '../ports/provider.js';

/** How often one token is offered in all, and the pauses between, unless the provider asks for longer ones. */
const TRIES = 4;
const BACKOFF = { firstMs: 500, maxMs: 10_000 };
/** A wish for a longer pause ends it: whoever waits for the report must hear of it. */
const LONGEST_PAUSE_MS = 30_000;

/** What became of a token that was to be taken back at its identity provider (RFC 7009). */
export type TakenBack = 'revoked' | 'unsupported' | 'failed';

/** A token with what takes it back. */
export interface Revocable {
  readonly accessToken: Redacted;
  /** Where it was issued with one. */
  readonly revocationHandle?: Redacted;
}

/** That of a record. */
export function revocableOf({ token, revocationHandle }: RecordContent): Revocable {
  return {
    accessToken: new Redacted(token.accessToken),
    ...(revocationHandle === undefined ? {} : { revocationHandle: new Redacted(revocationHandle) }),
  };
}

/** A provider never rejects; one that does has a bug. */
function broken(error: unknown): Result<never, ProviderFailure> {
  return err({ code: 'IDP_PROTOCOL', message: 'the provider broke down', detail: String(error) });
}

/** Takes a token back, and tries again while the provider cannot serve it (RFC 7009 §2.2.1). Never rejects. */
export async function takeBack(
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  provider: Provider,
  { accessToken, revocationHandle }: Revocable,
): Promise<TakenBack> {
  for (let tries = 1; ; tries++) {
    const outcome = await provider.revoke(accessToken, revocationHandle).catch(broken);
    if (outcome.ok) return outcome.value;
    const { code, retryAfterMs = 0 } = outcome.error;
    const isTemporary = code === 'IDP_UNAVAILABLE' || code === 'IDP_TIMEOUT' || code === 'QUOTA_EXHAUSTED';
    if (!isTemporary || tries === TRIES || retryAfterMs > LONGEST_PAUSE_MS) return 'failed';
    await delay(clock, Math.max(retryAfterMs, backoffMs(BACKOFF, tries, random.uniform())));
  }
}
