import { formatDuration } from '@token-broker/foundation';
import { duration, millisecondsOf, withDefault } from '../scalars.js';
import { valuesOf, type Report, type Values } from '../settings.js';

/** Life of a token whose reply does not state one, unless the file says otherwise. */
export const DEFAULT_LIFETIME_MS = millisecondsOf('5m');

export const lifetimeSettings = {
  defaultLifetime: duration('Lifetime of a token whose reply has no expires_in. Default: 5m.').optional(),
  maxLifetime: withDefault(duration('Lifetimes above this are clamped.', { max: '3650d' }), '365d'),
};

export function checkLifetimes({ defaultLifetime, maxLifetime, refresh }: Values, report: Report): void {
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

export function toLifetimes(written: { readonly defaultLifetime?: number | undefined; readonly maxLifetime: number }): {
  readonly defaultLifetimeMs: number;
  readonly maxLifetimeMs: number;
} {
  const { defaultLifetime, maxLifetime } = written;
  return {
    defaultLifetimeMs: defaultLifetime ?? Math.min(DEFAULT_LIFETIME_MS, maxLifetime),
    maxLifetimeMs: maxLifetime,
  };
}
