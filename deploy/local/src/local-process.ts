import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { LocalError } from './local-error.js';
import type { ProcessGuard } from './process-guard.js';

/** Lines that are kept of each process, for the case that it fails. */
const KEPT_LINES = 200;
const SHOWN_LINES = 15;
const STOP_GRACE_MS = 5_000;

/** How a process ended: by itself with a code, or by a signal. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface LocalProcessOptions {
  /** For messages: `broker 2`. */
  readonly name: string;
  /** A program of Node. */
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly guard: ProcessGuard;
  /** Given the process at once, before anything is awaited: whoever adopts it stops it. */
  readonly adopt?: (process: LocalProcess) => void;
  /** Told of each line of either stream. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

/** A process of the local system: a child that is told things on standard input, and tells in lines. */
export interface LocalProcess {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  /** The last lines that it printed. */
  lastLines(): readonly string[];
  /**
   * Resolves with what `pick` makes of the first line of standard output, past or to come, that it makes something of.
   *
   * @throws {LocalError} where the process ends first, or the time does
   */
  waitFor<T>(what: string, pick: (line: string) => T | undefined, withinMs: number): Promise<T>;
  /** Writes a line to its standard input. */
  send(line: string): void;
  /** SIGTERM, and SIGKILL when it is still there after 5 s. */
  stop(): Promise<ProcessExit>;
}

export function startLocalProcess(options: LocalProcessOptions): LocalProcess {
  const { name, path, guard } = options;
  const child = spawn(process.execPath, [path, ...(options.args ?? [])], {
    env: { ...process.env, ...options.env },
    // A Ctrl-C in the terminal reaches our process alone, which stops the others in the order that it wants.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) {
    throw new LocalError(`${name} was not started`, {
      why: `${process.execPath} could not be executed`,
      next: 'Check that this machine allows another process, then try again.',
    });
  }
  guard.watch(child);
  child.stdin.on('error', () => undefined);

  const kept: string[] = [];
  const output: string[] = [];
  const watchers = new Set<() => void>();
  const collect = (stream: NodeJS.ReadableStream, which: 'stdout' | 'stderr'): void => {
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      keep(kept, line);
      if (which === 'stdout') keep(output, line);
      options.onLine?.(line, which);
      for (const watcher of [...watchers]) watcher();
    });
  };
  collect(child.stdout, 'stdout');
  collect(child.stderr, 'stderr');

  let exit: ProcessExit | undefined;
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('close', (code, signal) => {
      exit = { code, signal };
      for (const watcher of [...watchers]) watcher();
      resolve(exit);
    });
  });

  const started: LocalProcess = {
    name,
    pid,
    exited,
    lastLines: () => kept.slice(-SHOWN_LINES),
    waitFor: (what, pick, withinMs) =>
      new Promise((resolve, reject) => {
        const settle = (): void => {
          clearTimeout(timer);
          watchers.delete(look);
        };
        const fail = (why: string): void => {
          settle();
          const next = 'Its last lines are below; they say what it lacks.';
          reject(new LocalError(`waited in vain for ${what}`, { why, next, lines: kept.slice(-SHOWN_LINES) }));
        };
        const look = (): void => {
          for (const line of output) {
            const picked = pick(line);
            if (picked === undefined) continue;
            settle();
            resolve(picked);
            return;
          }
          if (exit !== undefined) fail(`${name} ${describeExit(exit)}`);
        };
        const timer = setTimeout(() => {
          fail(`${name} was silent about it for ${String(withinMs / 1_000)} s`);
        }, withinMs);
        watchers.add(look);
        look();
      }),
    send(line) {
      child.stdin.write(`${line}\n`);
    },
    async stop() {
      if (exit !== undefined) return exit;
      child.stdin.end();
      child.kill('SIGTERM');
      // A stopped process takes no SIGTERM until it is continued.
      child.kill('SIGCONT');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      const ended = await exited;
      clearTimeout(timer);
      return ended;
    },
  };
  options.adopt?.(started);
  return started;
}

export function describeExit({ code, signal }: ProcessExit): string {
  return signal === null ? `ended with exit code ${String(code)}` : `was ended by ${signal}`;
}

function keep(lines: string[], line: string): void {
  lines.push(line);
  if (lines.length > KEPT_LINES) lines.shift();
}
