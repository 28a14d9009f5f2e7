import { formatDuration } from '@token-broker/foundation';
import type { z } from 'zod';
import type { CommonSourceConfiguration } from '../configuration.js';
import { choice, duration, withDefault } from '../scalars.js';
import type { Report, Values } from '../settings.js';
import { quotaSchema, toQuota } from './quota.js';
import { refreshSchema } from './refresh.js';

/** How much longer than its fetch the lock of a fetch lives, unless the file says otherwise. */
const LOCK_MARGIN_MS = 2_000;

/** The settings of every source whose provider calls somebody: how long, how often, how far ahead. */
export const callingSettings = {
  timeout: withDefault(duration('The time that one token request may take.', { min: '10ms', max: '10m' }), '10s'),
  lockTime: duration('The life of the cluster’s lock for one fetch; above `timeout`. Default: `timeout` + 2s.', {
    max: '1h',
  }).optional(),
  refresh: refreshSchema.prefault({}),
  withoutRedis: withDefault(
    choice(
      'What a replica does for callers while Redis is away and it holds no token: refuse them, or fetch for itself.',
      ['refuse', 'fetch'],
    ),
    'refuse',
  ),
  quota: quotaSchema.optional(),
};

export function checkCalling({ timeout, lockTime, withoutRedis, quota }: Values, report: Report): void {
  if (typeof timeout === 'number' && typeof lockTime === 'number' && lockTime <= timeout) {
    report(
      ['lockTime'],
      `is not above timeout (${formatDuration(timeout)})`,
      'a lock that ends before the request lets a second one start',
    );
  }
  const limits = Array.isArray(quota) ? (quota as readonly unknown[]) : [quota];
  if (withoutRedis === 'fetch' && limits.some(isCalendarLimit))
    report(
      ['withoutRedis'],
      'cannot be fetch with a quota by day or month',
      'what was used of it stands in Redis alone',
    );
}

function isCalendarLimit(limit: unknown): boolean {
  if (typeof limit !== 'object' || limit === null || !('window' in limit)) return false;
  const { window } = limit;
  return typeof window === 'object' && window !== null && 'kind' in window && window.kind === 'calendar';
}

interface WrittenCalling {
  readonly timeout: number;
  readonly lockTime?: number | undefined;
  readonly refresh: z.output<typeof refreshSchema>;
  readonly withoutRedis: 'refuse' | 'fetch';
  readonly quota?: z.output<typeof quotaSchema> | undefined;
}

export function toCalling(
  written: WrittenCalling,
): Pick<CommonSourceConfiguration, 'timeoutMs' | 'lockTimeMs' | 'refresh' | 'withoutRedis' | 'quota'> {
  const { timeout, lockTime, refresh, withoutRedis, quota } = written;
  return {
    timeoutMs: timeout,
    lockTimeMs: lockTime ?? timeout + LOCK_MARGIN_MS,
    refresh: Object.freeze(refresh),
    ...(withoutRedis === 'fetch' ? { withoutRedis } : {}),
    quota: toQuota(quota),
  };
}
