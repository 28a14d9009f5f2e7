import type { QuotaLimit } from '@token-broker/configuration';

/** The largest first. */
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** A window, as the configuration would write it. */
export function windowText(window: QuotaLimit['window']): string {
  if (window.kind === 'calendar') return window.period;
  const [unit = 'ms', unitMs = 1] = UNITS.find(([, ms]) => window.ms % ms === 0) ?? [];
  return `${String(window.ms / unitMs)}${unit}`;
}
