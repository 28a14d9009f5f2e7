import type { Examination, Finding } from '../doctor/finding.js';
import { printable, type Style } from './style.js';
import { counted } from './texts.js';

/** What was looked at, in a line each, with what was found. */
export function renderExaminations(examinations: readonly Examination[], style: Style): string {
  const found = examinations.flatMap(({ findings }) => findings);
  const problems = found.filter(({ severity }) => severity === 'problem').length;
  const warnings = found.length - problems;
  const sum =
    found.length === 0
      ? style.good('Nothing was found.')
      : `${counted(problems, 'problem')}, ${counted(warnings, 'warning')}.`;
  return `${examinations.map((one) => blockOf(one, style)).join('')}${sum}\n`;
}

function blockOf({ what, findings, skipped }: Examination, style: Style): string {
  if (skipped !== undefined) return `${what}: ${style.warn('not looked at')}: ${printable(skipped)}\n`;
  if (findings.length === 0) return `${what}: ${style.good('ok')}\n`;
  return `${what}:\n${findings.map((finding) => linesOf(finding, style)).join('')}`;
}

function linesOf({ severity, what, why, remedy }: Finding, style: Style): string {
  const word = severity === 'problem' ? style.bad('problem') : style.warn('warning');
  return `  ${word}  ${printable(what)}\n           ${printable(why)}\n           ${style.dim('->')} ${printable(remedy)}\n`;
}
