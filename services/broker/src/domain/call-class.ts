/**
 * Why a provider is called, the first to be served first: somebody waits; somebody waits for what takes the place of a
 * revoked token; nobody waits, but what was revoked is wanted; a token is renewed ahead of its end.
 */
export type CallClass = 'waiting' | 'waiting-refetch' | 'refetch' | 'refresh-ahead';

/** What a limit counts in: any stretch of time of this length, or the days or months of UTC. */
export type QuotaWindow =
  { readonly kind: 'sliding'; readonly ms: number } | { readonly kind: 'calendar'; readonly period: 'day' | 'month' };

/** At most `limit` calls in a window, `reserve` of them for fetching again what was revoked. */
export interface Quota {
  readonly limit: number;
  readonly window: QuotaWindow;
  readonly reserve: number;
}

/** How far a call may fill the two accounts of a window: one for everybody, one for refetching after a revocation. */
export interface Ceilings {
  readonly window: QuotaWindow;
  readonly common: number;
  /** 0: not for this class. */
  readonly reserve: number;
}

/** The part of the common account that callers who wait find free of everything that nobody waits for. */
const HEADROOM = 0.2;

/**
 * How far calls of a class may fill the accounts of each limit, and which account is charged first. Both accounts
 * together never exceed the limit. A call that nobody waits for leaves a fifth of the common account (at least one call,
 * where it has two) to those who wait.
 */
export function ceilingsFor(
  limits: readonly Quota[],
  callClass: CallClass,
): { readonly limits: readonly Ceilings[]; readonly first: 'common' | 'reserve' } {
  const isWaiting = callClass === 'waiting' || callClass === 'waiting-refetch';
  const isRefetch = callClass === 'waiting-refetch' || callClass === 'refetch';
  return {
    limits: limits.map(({ limit, window, reserve: kept }) => {
      const reserve = Math.min(limit, Math.max(0, kept));
      const common = limit - reserve;
      const headroom = common > 1 ? Math.max(1, Math.floor(common * HEADROOM)) : 0;
      return { window, common: isWaiting ? common : common - headroom, reserve: isRefetch ? reserve : 0 };
    }),
    // A caller who waits leaves the reserve to those who come after the common account is full.
    first: callClass === 'refetch' ? 'reserve' : 'common',
  };
}
