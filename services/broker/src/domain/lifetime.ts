/**
 * The least remaining life with which a token of this life is handed out. A token whose whole life is short would never
 * be handed out under a fixed minimum, and every request would fetch: so never more than half of the life.
 */
export function minimumRemainingMs(minLifetimeMs: number, lifeMs: number): number {
  return Math.min(minLifetimeMs, Math.floor(lifeMs / 2));
}

/**
 * What a caller's `minTtlMs` may ask of a token of this life: at most half of it, or a wish above the life would call the
 * identity provider each time.
 */
export function requiredRemainingMs(minLifetimeMs: number, minTtlMs: number, lifeMs: number): number {
  return Math.max(minimumRemainingMs(minLifetimeMs, lifeMs), Math.min(minTtlMs, Math.floor(lifeMs / 2)));
}
