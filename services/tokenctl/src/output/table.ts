/** A column: its heading, and whether it is a figure, which is set flush right. */
export interface Column {
  readonly heading: string;
  readonly isFigure?: boolean;
}

const GAP = '   ';

/** Columns set in spaces, one row a line; the last column carries no trailing space. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = [columns.map(({ heading }) => heading), ...rows];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => (row[index] ?? '').length)));
  return cells
    .map((row) =>
      columns
        .map(({ isFigure }, index) => {
          const [cell, width] = [row[index] ?? '', widths[index] ?? 0];
          return isFigure === true ? cell.padStart(width) : cell.padEnd(width);
        })
        .join(GAP)
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
