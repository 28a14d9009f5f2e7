/** A wish for a longer pause is a mistake, or an attack on the life of the source. */
const LONGEST_MS = 24 * 60 * 60 * 1_000;

/** The form that RFC 9110 §5.6.7 wants; `Date.parse` alone would take `-5` for a year. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * The pause, in milliseconds, that `Retry-After` asks for (RFC 9110 §10.2.3): seconds, or a date. A date is measured
 * against the reply's own `Date`, so that clocks need not agree; without one against `wallMs`. At most a day.
 */
export function parseRetryAfter(headers: Headers, wallMs: number): number | undefined {
  const wish = headers.get('retry-after')?.trim();
  if (wish === undefined) return undefined;
  if (/^\d+$/.test(wish)) return Math.min(LONGEST_MS, Number(wish) * 1_000);
  const untilMs = parseHttpDate(wish);
  if (untilMs === undefined) return undefined;
  return Math.min(LONGEST_MS, Math.max(0, untilMs - (parseHttpDate(headers.get('date')) ?? wallMs)));
}

/** Milliseconds since 1970, of a date as HTTP writes it. */
export function parseHttpDate(text: string | null): number | undefined {
  const ms = text !== null && HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isFinite(ms) ? ms : undefined;
}
