/** How far ahead of its expiry a token is renewed. */
export type RefreshAhead =
  | { readonly kind: 'fraction'; readonly fraction: number }
  | { readonly kind: 'ms'; readonly ms: number }
  | { readonly kind: 'off' };

/** The part of the margin by which renewals of many tokens are spread. */
const JITTER = 0.25;
/** What a renewal has before the token is no longer handed out, however small the margin: a part of the life, or this. */
const LEAST_HEADROOM = 0.1;
const LEAST_HEADROOM_MS = 5_000;

/**
 * When to renew, before expiry; `undefined`: not ahead of demand. The margin is never above half of the life, so that a
 * life shorter than the margin makes no tight loop; never so small that the old token falls below the minimum lifetime
 * first; and jitter moves it earlier, so that waves of expiry flatten.
 *
 * @param minRemainingMs the life with which the token is no longer handed out
 * @param uniform in [0, 1)
 */
export function refreshBeforeExpiryMs(
  ahead: RefreshAhead,
  lifeMs: number,
  minRemainingMs: number,
  uniform: number,
): number | undefined {
  if (ahead.kind === 'off') return undefined;
  const wishedMs = ahead.kind === 'ms' ? ahead.ms : lifeMs * ahead.fraction;
  const leastMs = Math.min(minRemainingMs, lifeMs / 2) + Math.min(lifeMs * LEAST_HEADROOM, LEAST_HEADROOM_MS);
  const marginMs = Math.max(Math.min(wishedMs, lifeMs / 2), leastMs);
  return Math.min(lifeMs * 0.75, marginMs * (1 + JITTER * uniform));
}

/** How much later the replica of this rank tries than the first: only one of them should find work to do. */
export function rankDelayMs(rank: number, lifeMs: number): number {
  return rank * Math.min(1_000, lifeMs * 0.02);
}
