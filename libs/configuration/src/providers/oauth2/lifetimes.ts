import { formatDuration } from '@token-broker/foundation';
import { duration, millisecondsOf, withDefault } from '../../scalars.js';
import { valuesOf, type Report, type Values } from '../../settings.js';

/** Life of a token whose reply does not state one, unless the file says otherwise. */
export const DEFAULT_LIFETIME_MS = millisecondsOf('5m');

/** How much longer than its request the lock of a fetch lives, unless the file says otherwise. */
const LOCK_MARGIN_MS = 2_000;

export const lifetimeSettings = {
  timeout: withDefault(duration('The time that one token request may take.', { min: '10ms', max: '10m' }), '10s'),
  lockTime: duration('The life of the cluster’s lock for one fetch; above `timeout`. Default: `timeout` + 2s.', {
    max: '1h',
  }).optional(),
  defaultLifetime: duration('Lifetime of a token whose reply has no expires_in. Default: 5m.').optional(),
  maxLifetime: withDefault(duration('Lifetimes above this are clamped.', { max: '3650d' }), '365d'),
};

export function checkLifetimes(
  { timeout, lockTime, defaultLifetime, maxLifetime, refresh }: Values,
  report: Report,
): void {
  if (typeof timeout === 'number' && typeof lockTime === 'number' && lockTime <= timeout) {
    report(
      ['lockTime'],
      `is not above timeout (${formatDuration(timeout)})`,
      'a lock that ends before the request lets a second one start',
    );
  }
  if (typeof maxLifetime !== 'number') return;
  if (typeof defaultLifetime === 'number' && defaultLifetime > maxLifetime)
    report(['defaultLifetime'], 'is above maxLifetime');
  const aheadMs = valuesOf(valuesOf(refresh)['ahead'])['ms'];
  // The default of five minutes says nothing about the tokens that come with a life of their own: only what is written counts.
  const knownLifeMs = typeof defaultLifetime === 'number' ? Math.min(defaultLifetime, maxLifetime) : maxLifetime;
  if (typeof aheadMs === 'number' && aheadMs >= knownLifeMs) {
    report(
      ['refresh', 'ahead'],
      `is not below the life of the token (${formatDuration(knownLifeMs)})`,
      'a share such as "20%" fits every life',
    );
  }
}

export function toLifetimes(written: {
  readonly timeout: number;
  readonly lockTime?: number | undefined;
  readonly defaultLifetime?: number | undefined;
  readonly maxLifetime: number;
}): {
  readonly timeoutMs: number;
  readonly lockTimeMs: number;
  readonly defaultLifetimeMs: number;
  readonly maxLifetimeMs: number;
} {
  const { timeout, lockTime, defaultLifetime, maxLifetime } = written;
  return {
    timeoutMs: timeout,
    lockTimeMs: lockTime ?? timeout + LOCK_MARGIN_MS,
    defaultLifetimeMs: defaultLifetime ?? Math.min(DEFAULT_LIFETIME_MS, maxLifetime),
    maxLifetimeMs: maxLifetime,
  };
}
