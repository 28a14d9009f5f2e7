import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { IssuedToken, ProviderFailure } from './provider.js';

/** What {@link issued} is made of. */
export interface IssuedContent extends Omit<IssuedToken, 'accessToken' | 'tokenType' | 'revocationHandle'> {
  readonly accessToken: string | Redacted;
  /** Default `Bearer`. */
  readonly tokenType?: string;
  readonly revocationHandle?: string | Redacted;
}

/** A credential was issued. */
export function issued({
  accessToken,
  tokenType = 'Bearer',
  revocationHandle,
  ...rest
}: IssuedContent): Result<IssuedToken, ProviderFailure> {
  return ok({
    accessToken: redacted(accessToken),
    tokenType,
    ...rest,
    ...(revocationHandle === undefined ? {} : { revocationHandle: redacted(revocationHandle) }),
  });
}

function redacted(secret: string | Redacted): Redacted {
  return typeof secret === 'string' ? new Redacted(secret) : secret;
}

/**
 * There is none.
 *
 * @param message for callers: what happened, in words of your own, with nothing of the upstream's
 * @param more `detail` for the log (default: the message), `retryAfterMs`, `refused`
 */
export function refused(
  code: ProviderFailure['code'],
  message: string,
  { detail = message, ...more }: Partial<Omit<ProviderFailure, 'code' | 'message'>> = {},
): Result<never, ProviderFailure> {
  return err({ code, message, detail, ...more });
}
