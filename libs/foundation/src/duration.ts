import { err, ok, type Result } from './result.js';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Parses a duration such as `"250ms"`, `"5s"`, `"1.5h"` or `"1h30m"` to milliseconds. A number without a unit, a
 * negative duration and one of more milliseconds than a number holds exactly are refused: the reason is in the error.
 */
export function parseDuration(text: string): Result<number, string> {
  const example = 'write a number and a unit, such as "5s" (units: ms, s, m, h, d)';
  if (text.startsWith('-')) return err(`a duration is never negative: ${example}`);
  if (/^\d+(\.\d+)?$/.test(text)) return err(`the unit is missing: ${example}`);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return err(`not a duration: ${example}`);
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  }
  const wholeMs = Math.round(totalMs);
  return Number.isSafeInteger(wholeMs) ? ok(wholeMs) : err(`the duration is too long: ${example}`);
}

/** Writes milliseconds for people: `"950 ms"`, `"4.2 s"`, `"3 m 5 s"`, `"2 h 10 m"`. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${String(Math.round(ms * 10) / 10)} ms`;
  if (ms < 999.5) return `${String(Math.round(ms))} ms`;
  if (ms < 59_950) return `${String(Math.round(ms / 100) / 10)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${String(Math.floor(seconds / 60))} m ${String(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${String(Math.floor(minutes / 60))} h ${String(minutes % 60)} m`;
}
