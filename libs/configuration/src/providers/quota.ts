import { ok, parseDuration } from '@token-broker/foundation';
import type { z } from 'zod';
import type { QuotaLimit } from '../configuration.js';
import { integer, millisecondsOf } from '../scalars.js';
import {
  crossCheck,
  either,
  list,
  refuse,
  setting,
  settings,
  valuesOf,
  wrongKind,
  type Refusal,
  type Report,
} from '../settings.js';

const MAX_LIMITS = 4;
const SHORTEST = '1s';
const LONGEST = '31d';

type Window = QuotaLimit['window'];

const window = setting(
  {
    type: 'string',
    pattern: '^(day|month|([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+)$|\\$\\{',
    description: 'Any stretch of this length ("1m", "1h"), 1s to 31d; or the calendar `day` or `month`, in UTC.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('"1h", day or month', input));
    const parsed = parseWindow(input);
    return 'message' in parsed ? refuse(parsed.message, parsed.hint) : ok<Window>(Object.freeze(parsed));
  },
);

function parseWindow(written: string): Window | Refusal {
  if (written === 'day' || written === 'month') return { kind: 'calendar', period: written };
  const ms = parseDuration(written);
  if (!ms.ok) return { message: ms.error, hint: 'or the calendar’s day or month' };
  if (ms.value < millisecondsOf(SHORTEST)) return { message: `is too short: at least ${SHORTEST}` };
  if (ms.value > millisecondsOf(LONGEST)) return { message: `is too long: at most ${LONGEST}` };
  return { kind: 'sliding', ms: ms.value };
}

type Reserve = { readonly calls: number } | { readonly percent: number };

const DEFAULT_RESERVE = '10%';

const reserve = setting(
  {
    type: ['integer', 'string'],
    minimum: 0,
    pattern: '^[0-9]+(\\.[0-9]+)?%$|^[0-9]+$|\\$\\{',
    description: 'The part of `limit` that is kept for refetching after a revocation: a share ("10%"), or calls.',
  },
  (input) => {
    const parsed = parseReserve(input);
    return typeof parsed === 'string' ? refuse(parsed) : ok(Object.freeze(parsed));
  },
);

function parseReserve(input: unknown): Reserve | string {
  if (typeof input !== 'string' && typeof input !== 'number') return wrongKind('"10%", or a number of calls', input);
  const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(String(input)) ?? [];
  if (percent !== undefined)
    return Number(percent) < 100 ? { percent: Number(percent) } : 'is not below the limit: a share under 100%';
  const calls = typeof input === 'number' ? input : /^\d+$/.test(input) ? Number(input) : Number.NaN;
  return Number.isSafeInteger(calls) && calls >= 0 ? { calls } : 'expected a share such as "10%", or a number of calls';
}

const limit = crossCheck(
  settings('A limit of the upstream identity.', {
    limit: integer('Calls in any window, at most.', { min: 1, max: 1_000_000_000 }),
    window,
    reserve: reserve.prefault(DEFAULT_RESERVE),
  }),
  (written, report) => {
    const { calls } = valuesOf(written['reserve']);
    const most = written['limit'];
    if (typeof calls === 'number' && typeof most === 'number' && calls >= most)
      report(['reserve'], `is not below the limit (${String(most)})`, 'nothing would be left for anybody else');
  },
);

const limits = crossCheck(list('Limits, all of which hold.', limit), (written, report) => {
  if (Array.isArray(written)) checkLimits(written as readonly unknown[], report);
});

function checkLimits(written: readonly unknown[], report: Report): void {
  if (written.length === 0) report([], 'names no limit', 'leave quota out where none is known');
  if (written.length > MAX_LIMITS) report([], `names ${String(written.length)} limits: at most ${String(MAX_LIMITS)}`);
  const seen = new Set<string>();
  for (const [index, entry] of written.entries()) {
    const window = nameOfWindow(valuesOf(entry)['window']);
    if (window === undefined) continue;
    if (seen.has(window)) report([index, 'window'], 'is that of an earlier limit', 'the lower of the two is enough');
    seen.add(window);
  }
}

/** Undefined: it was refused. */
function nameOfWindow(window: unknown): string | undefined {
  const { kind, ms, period } = valuesOf(window);
  if (kind === 'sliding') return `${String(ms)} ms`;
  return kind === 'calendar' ? String(period) : undefined;
}

export const quotaSchema = either(
  {
    description: 'Limits of the upstream identity (endpoint and client id), whichever source calls it: one, or a list.',
  },
  'a mapping, or a list of mappings',
  [limit, limits],
);

type WrittenQuota = z.output<typeof quotaSchema>;

export function toQuota(written: WrittenQuota | undefined): readonly QuotaLimit[] {
  if (written === undefined) return Object.freeze([]);
  const entries = Array.isArray(written) ? written : [written];
  return Object.freeze(
    entries.map(({ limit, window, reserve }) => Object.freeze({ limit, window, reserve: callsOf(reserve, limit) })),
  );
}

/** A share of the limit in whole calls, rounded down. */
function callsOf(reserve: Reserve, limit: number): number {
  if ('calls' in reserve) return reserve.calls;
  // 0.7 % of 1,000 is 7 calls, although 0.7 has no exact double.
  return Math.floor((limit * reserve.percent) / 100 + 1e-9);
}

/**
 * What a quota says, in an order of its own: equal for quotas that are spelled differently and mean the same. Undefined:
 * some of it was refused.
 */
export function meaningOfQuota(written: unknown): string | undefined {
  const entries = Array.isArray(written) ? (written as readonly unknown[]) : [written];
  const meanings = entries.map(meaningOfLimit);
  return meanings.includes(undefined) ? undefined : meanings.sort().join('; ');
}

function meaningOfLimit(entry: unknown): string | undefined {
  const { limit, window, reserve } = valuesOf(entry);
  const name = nameOfWindow(window);
  const { calls, percent } = valuesOf(reserve);
  if (typeof limit !== 'number' || name === undefined) return undefined;
  if (typeof calls === 'number') return `${String(limit)} in ${name}, ${String(calls)} kept`;
  if (typeof percent !== 'number') return undefined;
  return `${String(limit)} in ${name}, ${String(callsOf({ percent }, limit))} kept`;
}
