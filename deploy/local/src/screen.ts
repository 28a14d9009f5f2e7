import { styleText } from 'node:util';

/** Where the report goes. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

type Colour = 'green' | 'red' | 'yellow' | 'cyan' | 'dim' | 'bold';

const REDRAW_MS = 250;

/** Writes lines; colours, and a line that shows how long something has been awaited, only where a person looks on. */
export class Screen {
  readonly #output: Output;
  readonly #isTerminal: boolean;
  readonly #isColoured: boolean;
  #waiting: NodeJS.Timeout | undefined;

  constructor(output: Output, env: Readonly<Record<string, string | undefined>>) {
    this.#output = output;
    this.#isTerminal = output.isTTY === true && env['TERM'] !== 'dumb';
    this.#isColoured = this.#isTerminal && (env['NO_COLOR'] ?? '') === '';
  }

  line(text = ''): void {
    this.endWait();
    this.#output.write(`${text}\n`);
  }

  colour(colour: Colour, text: string): string {
    return this.#isColoured ? styleText(colour, text, { validateStream: false }) : text;
  }

  /** Says what is awaited, until the next line. */
  wait(what: string): void {
    this.endWait();
    if (!this.#isTerminal) {
      this.#output.write(`  waiting for ${what}\n`);
      return;
    }
    const sinceMs = performance.now();
    const draw = (): void => {
      const seconds = ((performance.now() - sinceMs) / 1_000).toFixed(0);
      this.#output.write(`\r\u001b[2K  ${this.colour('dim', `waiting for ${what} (${seconds} s)`)}`);
    };
    draw();
    this.#waiting = setInterval(draw, REDRAW_MS);
  }

  endWait(): void {
    if (this.#waiting === undefined) return;
    clearInterval(this.#waiting);
    this.#waiting = undefined;
    this.#output.write('\r\u001b[2K');
  }
}

/** Columns as wide as their widest cell; numbers, and what stands for one, to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], indent = '  '): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const isNumber = head.map((_, column) => rows.every((row) => /^[\d.,]+( \S+)?$|^never$|^$/.test(row[column] ?? '')));
  const drawn = all.map((row) =>
    row.map((cell, column) =>
      isNumber[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
    ),
  );
  const [first = [], ...others] = drawn;
  const rule = widths.map((width) => '-'.repeat(width));
  return [first, rule, ...others].map((row) => `${indent}${row.join('   ')}`.trimEnd());
}
