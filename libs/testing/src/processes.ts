import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { killWithThisProcess } from './child-guard.js';

/** How to start a program. */
export interface ProgramOptions {
  readonly args?: readonly string[];
  /** Added to the environment of this process; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Options of Node itself, such as `--conditions=…`. */
  readonly nodeArgs?: readonly string[];
  /** What is written to standard input, which is then closed. Default: nothing. */
  readonly input?: string;
}

/** How a program ended: by itself with a code, or by a signal. */
export interface ProgramExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A Node program that runs as a child of this process, and does not outlive it. */
export interface Program {
  readonly pid: number;
  /** The lines so far. */
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  /** Resolves when the program has ended and all that it printed has been read. */
  readonly exited: Promise<ProgramExit>;
  /**
   * Resolves with the first line, past or to come, of either stream that matches.
   *
   * @param withinMs default 10 s
   * @throws {Error} where the program ends first, or the time does; with the last lines that it printed
   */
  waitForLine(matches: RegExp | ((line: string) => boolean), withinMs?: number): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL when the program is still there after `graceMs` (default 5 s). */
  stop(graceMs?: number): Promise<ProgramExit>;
}

/** Starts a Node program, with the Node of this process. */
export function startProgram(path: string, options: ProgramOptions = {}): Program {
  const child = spawn(process.execPath, [...(options.nodeArgs ?? []), path, ...(options.args ?? [])], {
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  if (child.pid === undefined) throw new Error(`${process.execPath} cannot be started`);
  killWithThisProcess(child);
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');

  const watchers = new Set<() => void>();
  const collect = (stream: NodeJS.ReadableStream, lines: string[]): readonly string[] => {
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      lines.push(line);
      for (const watcher of [...watchers]) watcher();
    });
    return lines;
  };
  const stdout = collect(child.stdout, []);
  const stderr = collect(child.stderr, []);
  let ended = false;
  const exited = new Promise<ProgramExit>((resolve) => {
    child.once('close', (code, signal) => {
      ended = true;
      for (const watcher of [...watchers]) watcher();
      resolve({ code, signal });
    });
  });

  const waitForLine = (matches: RegExp | ((line: string) => boolean), withinMs = 10_000): Promise<string> =>
    new Promise((resolve, reject) => {
      const test = typeof matches === 'function' ? matches : (line: string): boolean => matches.test(line);
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        watchers.delete(look);
        settle();
      };
      const fail = (reason: string): void => {
        const last = [...stdout.slice(-5), ...stderr.slice(-10)].join('\n');
        finish(() => {
          reject(new Error(`${path} ${reason} before it printed ${String(matches)}; its last lines:\n${last}`));
        });
      };
      const look = (): void => {
        const line = stdout.find(test) ?? stderr.find(test);
        if (line !== undefined) {
          finish(() => {
            resolve(line);
          });
        } else if (ended) fail('ended');
      };
      const timer = setTimeout(() => {
        fail(`ran for ${String(withinMs)} ms`);
      }, withinMs);
      watchers.add(look);
      look();
    });

  return {
    pid: child.pid,
    stdout,
    stderr,
    exited,
    waitForLine,
    signal(signal) {
      child.kill(signal);
    },
    async stop(graceMs = 5_000) {
      child.kill('SIGTERM');
      child.kill('SIGCONT');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };
}
