import type { Comparison, Line, Target } from './benchmark.js';
import { spreadOf } from './figures.js';

/** Makes a comparison a line of the report. */
export function judge(name: string, comparison: Comparison): Line {
  const { variant, unit, target, more = {}, note } = comparison;
  const ours = spreadOf(comparison.ours);
  const baseline = spreadOf(comparison.baseline);
  const ratio = ours.median / baseline.median;
  const figures = { ratio, more: ours.median - baseline.median, ours: ours.median };
  return {
    ...{ name, variant, ratio, ours, baseline, unit, target, more, note },
    runs: comparison.ours.length,
    met: target === undefined ? undefined : isMet(target, figures[target.of ?? 'ratio']),
  };
}

function isMet(target: Target, figure: number): boolean {
  return 'atMost' in target ? figure <= target.atMost : figure >= target.atLeast;
}

/** `≤ 0.2`, `≥ 2.5`, `≤ 1 ms more`. */
export function targetText({ target, unit }: Pick<Line, 'target' | 'unit'>): string {
  if (target === undefined) return '';
  const bound = 'atMost' in target ? `≤ ${String(target.atMost)}` : `≥ ${String(target.atLeast)}`;
  const { of = 'ratio' } = target;
  if (of === 'ratio') return bound;
  return of === 'more' ? `${bound} ${unit} more` : `${bound} ${unit}`;
}

/** The line as JSON: `ours` and `baseline` are medians, all else of their spread has a name of its own. */
export function jsonOf(line: Line): string {
  const { name, variant, ratio, ours, baseline, unit, runs, met, more, note } = line;
  const target = targetText(line);
  return JSON.stringify({
    name,
    ...(variant === undefined ? {} : { variant }),
    ratio,
    ours: ours.median,
    baseline: baseline.median,
    unit,
    runs,
    oursMin: ours.min,
    oursMax: ours.max,
    baselineMin: baseline.min,
    baselineMax: baseline.max,
    ...(target === '' ? {} : { target, met }),
    ...more,
    ...(note === undefined ? {} : { note }),
  });
}
