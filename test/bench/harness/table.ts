import type { Benchmark, Line, Results } from './benchmark.js';
import { targetText } from './judge.js';

/** The lines between which a command writes, and nobody else does. */
const BEGIN = (name: string): string => `<!-- begin: ${name} (written by \`npm run bench -- --write\`) -->`;
const END = (name: string): string => `<!-- end: ${name} -->`;

/** What stands between the markers: a table of medians, with the least and the most in brackets, and what belongs to it. */
export function tableOf({ machine, lines }: Results, benchmarks: readonly Benchmark[]): string {
  const rows = lines.map((line) => {
    const { name, variant, ratio, ours, baseline, unit, runs, met } = line;
    const spread = ({ median, min, max }: Line['ours']): string =>
      `${figureText(median)} [${figureText(min)} – ${figureText(max)}] ${unit}`;
    const verdict = met === undefined ? '' : met ? 'met' : 'missed';
    const what = variant === undefined ? `\`${name}\`` : `\`${name}\`, ${variant}`;
    return [what, spread(ours), spread(baseline), figureText(ratio), targetText(line), verdict, String(runs)];
  });
  const legend = benchmarks
    .filter(({ name }) => lines.some((line) => line.name === name))
    .map(({ name, ours, baseline }) => `- \`${name}\`: ${ours}; against ${baseline}.`);
  const notes = notesOf(lines);
  return [
    `Measured on ${machine}.`,
    markdown([['benchmark', 'ours', 'baseline', 'ratio', 'target', 'verdict', 'runs'], ...rows]),
    'What is compared:',
    legend.join('\n'),
    ...(notes.length === 0
      ? []
      : ['Beside the ratios; `…Cpu` is processor time as a share of one core:', notes.join('\n')]),
  ].join('\n\n');
}

function notesOf(lines: readonly Line[]): string[] {
  return lines.flatMap(({ name, variant, more, note }) => {
    const figures = Object.entries(more).map(([key, figure]) => `\`${key}\` ${figureText(figure)}`);
    const texts = [...(figures.length === 0 ? [] : [figures.join(', ')]), ...(note === undefined ? [] : [note])];
    const what = variant === undefined ? name : `${name}, ${variant}`;
    return texts.length === 0 ? [] : [`- ${what}: ${texts.join('; ')}`];
  });
}

/** Three digits that count, or whole numbers with their thousands apart. */
export function figureText(figure: number): string {
  if (!Number.isFinite(figure)) return String(figure);
  if (Math.abs(figure) >= 100) return Math.round(figure).toLocaleString('en');
  return String(Number(figure.toPrecision(3)));
}

function markdown(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const text = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [text(head), rule, ...body.map(text)].join('\n');
}

/**
 * Puts a text between the markers of a document.
 *
 * @throws {Error} where the document has no such markers
 */
export function replaceBetweenMarkers(document: string, name: string, text: string): string {
  const begin = document.indexOf(BEGIN(name));
  const end = document.indexOf(END(name));
  if (begin === -1 || end < begin) throw new Error(`the document has no place for ${name}`);
  return `${document.slice(0, begin + BEGIN(name).length)}\n\n${text}\n\n${document.slice(end)}`;
}
