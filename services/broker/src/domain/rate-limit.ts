/** `burst` at once, then one each `intervalMs`: a bucket of tokens that fills while nobody looks. */
export interface RateLimit {
  readonly burst: number;
  readonly intervalMs: number;
}

export interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** Takes one token: the bucket afterwards, and how long to wait where there was none (0: taken). */
export function takeToken(
  limit: RateLimit,
  bucket: Bucket | undefined,
  nowMs: number,
): { readonly bucket: Bucket; readonly waitMs: number } {
  const filled =
    bucket === undefined
      ? limit.burst
      : Math.min(limit.burst, bucket.tokens + Math.max(0, nowMs - bucket.atMs) / limit.intervalMs);
  if (filled >= 1) return { bucket: { tokens: filled - 1, atMs: nowMs }, waitMs: 0 };
  return { bucket: { tokens: filled, atMs: nowMs }, waitMs: Math.ceil((1 - filled) * limit.intervalMs) };
}
