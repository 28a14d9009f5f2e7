/** An exponential backoff with full upper-half jitter. All times in milliseconds. */
export interface BackoffPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * The pause before the next try after `failures` failures in a row (1 or more): between half and all of
 * `firstMs * 2^(failures - 1)`, at most `maxMs`. `uniform` is a number in [0, 1).
 */
export function backoffMs(policy: BackoffPolicy, failures: number, uniform: number): number {
  const exponent = Math.min(Math.max(0, failures - 1), 40);
  const fullMs = Math.min(policy.maxMs, policy.firstMs * 2 ** exponent);
  return Math.round(fullMs / 2 + (fullMs / 2) * uniform);
}
