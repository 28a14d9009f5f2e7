import type { ObservedLimit } from '../../../app/ports/provider.js';
import { parseHttpDate } from '../retry-after.js';

/** A limit that resets later than this is looked at again by then. */
const LONGEST_MS = 24 * 60 * 60 * 1_000;

/** Seconds since 1970 have passed this in 2001; a pause of as many seconds is 31 years. */
const LEAST_EPOCH_SECONDS = 1e9;
/** Milliseconds since 1970 have passed this in 1973; as seconds it is the year 5138. */
const LEAST_EPOCH_MS = 1e11;
const MOST_EPOCH_MS = 1e14;

/** Header names in use, as prefixes of `-Remaining`, `-Reset` and `-Limit`. The first is that of the IETF's early drafts. */
const FAMILIES = ['ratelimit', 'x-ratelimit', 'x-rate-limit'];

const COUNT = /^\d{1,15}$/;
const SECONDS = /^\d{1,15}(?:\.\d{1,9})?$/;

/**
 * What a reply's headers tell of the limit that its request counted against. Read are `RateLimit` in both forms of the IETF's
 * drafts (`limit=100, remaining=50, reset=5`, and `"default";r=50;t=30` for one or several policies), and `RateLimit-*`,
 * `X-RateLimit-*` and `X-Rate-Limit-*` with `-Remaining`, `-Reset` and `-Limit`. A reset is a number of seconds from now, or a
 * moment in seconds or milliseconds since 1970: which, its size tells. A moment is measured against the reply's own `Date`, so
 * that clocks need not agree; without one against `wallMs`.
 *
 * Of several limits the one counts that has the fewest calls left, and of equal ones that which resets last. What cannot be
 * read, or lacks one half, is as if it were not there.
 */
export function parseObservedLimit(headers: Headers, wallMs: number): ObservedLimit | undefined {
  const nowMs = parseHttpDate(headers.get('date')) ?? wallMs;
  const read = (remaining: string | undefined, reset: string | undefined, limit?: string): ObservedLimit[] => {
    const resetMs = parseReset(reset?.trim() ?? '', nowMs);
    const left = remaining?.trim() ?? '';
    if (resetMs === undefined || !COUNT.test(left)) return [];
    const most = COUNT.test(limit?.trim() ?? '') ? Number(limit) : Number.POSITIVE_INFINITY;
    return [{ remaining: Math.min(most, Number(left)), resetMs }];
  };
  const limits = FAMILIES.flatMap((family) => {
    const field = (name: string): string | undefined => headers.get(`${family}-${name}`) ?? undefined;
    return read(field('remaining'), field('reset'), field('limit')?.split(/[,;]/, 1)[0]);
  });
  for (const fields of policiesIn(headers.get('ratelimit') ?? '')) {
    limits.push(...read(fields.get('r'), fields.get('t')));
    limits.push(...read(fields.get('remaining'), fields.get('reset'), fields.get('limit')));
  }
  return limits.sort((a, b) => a.remaining - b.remaining || b.resetMs - a.resetMs)[0];
}

/** The policies of a `RateLimit` field, each as its fields: `"a";r=1;t=2, "b";r=3;t=4`, or `limit=1, remaining=2, reset=3`. */
function policiesIn(text: string): ReadonlyMap<string, string>[] {
  if (text.length > 4_096) return [];
  // A policy's name may hold what separates them.
  const unnamed = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '');
  if (unnamed.includes('"')) return [];
  const members = unnamed.split(',');
  const isList = text.includes(';');
  return (isList ? members : [members.join(';')]).map((member) => {
    const pairs = member.split(';').map((pair) => pair.split('=', 2));
    return new Map(pairs.map(([name = '', value = '']) => [name.trim().toLowerCase(), value.trim()]));
  });
}

function parseReset(text: string, nowMs: number): number | undefined {
  if (!SECONDS.test(text)) return undefined;
  const value = Number(text);
  if (value >= MOST_EPOCH_MS) return undefined;
  const fromNowMs =
    value < LEAST_EPOCH_SECONDS ? value * 1_000 : (value < LEAST_EPOCH_MS ? value * 1_000 : value) - nowMs;
  return Math.min(LONGEST_MS, Math.max(0, Math.ceil(fromNowMs)));
}
