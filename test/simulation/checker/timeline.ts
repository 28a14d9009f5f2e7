import type { Observation } from './observation.js';

interface Line {
  readonly atMs: number;
  readonly process: string;
  readonly text: string;
}

/** What happened in a run, to be read by people: one line each, in the column of its process. */
export class Timeline {
  readonly #now: () => number;
  readonly #lines: Line[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  note(process: string, text: string): void {
    this.#lines.push({ atMs: this.#now(), process, text });
  }

  observe({ atMs, process, kind, ...fields }: Observation): void {
    const told = Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`);
    this.#lines.push({ atMs, process, text: `${kind} ${told.join(' ')}` });
  }

  /** The last `count` lines, or all; each process under a heading of its own where `byProcess`. */
  render(count = Number.POSITIVE_INFINITY, byProcess = false): string {
    const lines = this.#lines.slice(Math.max(0, this.#lines.length - count));
    if (!byProcess) return lines.map((line) => rendered(line)).join('\n');
    const processes = new Map<string, Line[]>();
    for (const line of lines) {
      const of = processes.get(line.process) ?? [];
      of.push(line);
      processes.set(line.process, of);
    }
    return [...processes]
      .map(([name, of]) => `${name}\n${of.map((line) => `  ${rendered(line)}`).join('\n')}`)
      .join('\n');
  }
}

function rendered({ atMs, process, text }: Line): string {
  return `${atMs.toFixed(1).padStart(9)} ms  ${process.padEnd(6)} ${text}`;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value.slice(0, 12);
  return JSON.stringify(value);
}
