import type { Curve, Sample } from '@token-broker/testing';
import type { Panel } from '../model/dashboard.js';
import { inUnit } from './units.js';

/** A panel with what Prometheus has answered: curves over time, or the last values. */
export interface DrawnPanel {
  readonly panel: Panel;
  readonly curves: readonly { readonly name: string; readonly points: Curve['points'] }[];
  readonly values: readonly { readonly name: string; readonly value: Sample['value'] }[];
}

/** Something that happened in the time that is drawn. */
export interface Moment {
  readonly atSeconds: number;
  readonly what: string;
}

export interface Picture {
  readonly title: string;
  readonly fromSeconds: number;
  readonly toSeconds: number;
  readonly panels: readonly DrawnPanel[];
  readonly moments: readonly Moment[];
}

const COLUMNS = 3;
const CELL = { width: 400, height: 210 };
const PLOT = { left: 56, top: 34, width: 330, height: 96 };
const HEADER = 44;
const LEGEND_LINES = 4;
const LINE = 14;
const COLOURS = ['#3366cc', '#dc3912', '#ff9900', '#109618', '#990099', '#0099c6', '#b82e2e', '#66aa00'];

/** Draws the panels in a grid, with a thin line at each moment, and the list of the moments below. */
export function svgOf(picture: Picture): string {
  const rows = Math.ceil(picture.panels.length / COLUMNS);
  const listLines = Math.ceil(picture.moments.length / COLUMNS);
  const width = COLUMNS * CELL.width;
  const height = HEADER + rows * CELL.height + listLines * LINE + 24;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}" viewBox="0 0 ${String(width)} ${String(height)}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(16, 28, picture.title, 'font-size="18" font-weight="bold"'),
  ];
  for (const [index, drawn] of picture.panels.entries()) {
    const x = (index % COLUMNS) * CELL.width;
    const y = HEADER + Math.floor(index / COLUMNS) * CELL.height;
    lines.push(`<g transform="translate(${String(x)} ${String(y)})">`, ...panelLines(drawn, picture), '</g>');
  }
  for (const [index, { what }] of picture.moments.entries()) {
    const x = 16 + Math.floor(index / listLines) * CELL.width;
    const y = HEADER + rows * CELL.height + 16 + (index % listLines) * LINE;
    lines.push(text(x, y, `${String(index + 1)} ${what}`, 'fill="#555555"'));
  }
  return `${[...lines, '</svg>'].join('\n')}\n`;
}

function panelLines({ panel, curves, values }: DrawnPanel, picture: Picture): string[] {
  const title = text(16, 20, panel.title, `font-size="13" font-weight="bold"${panel.isFault ? ' fill="#b82e2e"' : ''}`);
  if (panel.draws === 'lines' || panel.draws === 'stacked') return [title, ...curveLines(panel, curves, picture)];
  const shown = values.slice(0, 8);
  const rest = values.length > shown.length ? [`and ${String(values.length - shown.length)} more`] : [];
  const rows = [...shown.map(({ name, value }) => `${inUnit(value, panel.unit)}   ${name}`), ...rest];
  return [title, ...(rows.length === 0 ? ['none'] : rows).map((row, index) => text(24, 44 + index * 18, row))];
}

function curveLines(panel: Panel, curves: DrawnPanel['curves'], picture: Picture): string[] {
  const { left, top, width, height } = PLOT;
  const { fromSeconds, toSeconds, moments } = picture;
  const highest = Math.max(panel.max ?? 0, ...curves.flatMap(({ points }) => points.map(([, value]) => value)));
  const scaleTop = highest > 0 ? highest : 1;
  const xOf = (seconds: number): string =>
    rounded(left + ((seconds - fromSeconds) / (toSeconds - fromSeconds)) * width);
  const yOf = (value: number): string => rounded(top + height - (value / scaleTop) * height);
  const lines = [
    `<rect x="${String(left)}" y="${String(top)}" width="${String(width)}" height="${String(height)}" fill="none" stroke="#cccccc"/>`,
    text(left - 6, top + 9, inUnit(scaleTop, panel.unit), 'text-anchor="end" fill="#555555"'),
    text(left - 6, top + height, '0', 'text-anchor="end" fill="#555555"'),
    ...moments.map(
      ({ atSeconds }) =>
        `<path d="M${xOf(atSeconds)} ${String(top)}V${String(top + height)}" stroke="#eeeeee" stroke-width="1"/>`,
    ),
    ...moments.map(({ atSeconds }, index) =>
      text(xOf(atSeconds), top + height + 10, String(index + 1), 'text-anchor="middle" font-size="8" fill="#999999"'),
    ),
  ];
  if (curves.length === 0) return [...lines, text(left + width / 2, top + height / 2, 'none', 'text-anchor="middle"')];
  for (const [index, { name, points }] of curves.entries()) {
    const colour = COLOURS[index % COLOURS.length] ?? '#000000';
    lines.push(...strokesOf(points, xOf, yOf, colour));
    if (index < LEGEND_LINES - 1 || curves.length === LEGEND_LINES)
      lines.push(text(left, top + height + 24 + index * LINE, name, `fill="${colour}"`));
  }
  if (curves.length > LEGEND_LINES) {
    const more = `and ${String(curves.length - LEGEND_LINES + 1)} more`;
    lines.push(text(left, top + height + 24 + (LEGEND_LINES - 1) * LINE, more, 'fill="#555555"'));
  }
  return lines;
}

/** A line through what is there each second, and a dot where it was there once; nothing is drawn through a gap. */
function strokesOf(
  points: Curve['points'],
  xOf: (seconds: number) => string,
  yOf: (value: number) => string,
  colour: string,
): string[] {
  const runs: (readonly [number, number])[][] = [];
  let lastSeconds = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point[0] - lastSeconds > 1.5) runs.push([]);
    runs.at(-1)?.push(point);
    [lastSeconds] = point;
  }
  return runs.map((run) => {
    const [[seconds, value] = [0, 0]] = run;
    if (run.length === 1) return `<circle cx="${xOf(seconds)}" cy="${yOf(value)}" r="2" fill="${colour}"/>`;
    const path = run.map(([atSeconds, at], index) => `${index === 0 ? 'M' : 'L'}${xOf(atSeconds)} ${yOf(at)}`).join('');
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
  });
}

function text(x: number | string, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${String(x)}" y="${String(y)}"${attributes === '' ? '' : ` ${attributes}`}>${escaped}</text>`;
}

function rounded(value: number): string {
  return String(Math.round(value * 10) / 10);
}
