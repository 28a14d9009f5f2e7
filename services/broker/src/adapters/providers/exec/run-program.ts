import { spawn } from 'node:child_process';

/** The most that a program may print: a credential, and no more. */
const MAX_OUTPUT_BYTES = 256 * 1024;
/** Of what it says on standard error, the beginning. */
const MAX_SAID_BYTES = 4 * 1024;

export interface ProgramRun {
  readonly command: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends it, and whatever it has started. */
  readonly signal: AbortSignal;
}

/** How a program ended. */
export type ProgramEnd =
  | { readonly kind: 'exited'; readonly code: number; readonly output: string; readonly said: string }
  | { readonly kind: 'killed'; readonly by: string; readonly said: string }
  /** It printed more than a credential can have, and was ended. */
  | { readonly kind: 'too-much' }
  | { readonly kind: 'not-started'; readonly why: string };

/**
 * Runs a program once: no shell, nothing on its standard input, `/` as its folder, and a process group of its own, so that
 * what it has started ends with it.
 */
export function runProgram({ command, args, env, signal }: ProgramRun): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    let isTooMuch = false;
    const output: Buffer[] = [];
    const said: Buffer[] = [];
    const bytes = { output: 0, said: 0 };
    const program = spawn(command, args, { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const kill = (): void => {
      if (program.pid === undefined) return;
      try {
        process.kill(-program.pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    };
    const end = (how: ProgramEnd): void => {
      signal.removeEventListener('abort', kill);
      resolve(how);
    };
    signal.addEventListener('abort', kill, { once: true });
    if (signal.aborted) kill();
    program.stdout.on('data', (chunk: Buffer) => {
      bytes.output += chunk.length;
      if (bytes.output <= MAX_OUTPUT_BYTES) output.push(chunk);
      else {
        isTooMuch = true;
        kill();
      }
    });
    program.stderr.on('data', (chunk: Buffer) => {
      if (bytes.said < MAX_SAID_BYTES) said.push(chunk.subarray(0, MAX_SAID_BYTES - bytes.said));
      bytes.said += chunk.length;
    });
    program.once('error', (error: NodeJS.ErrnoException) => {
      end({ kind: 'not-started', why: error.code ?? error.message });
    });
    // Not `exit`: what it printed last may still be on the way.
    program.once('close', (code, by) => {
      // A program of its own that is left behind, and has let go of the output, must not outlive the call either.
      kill();
      const text = Buffer.concat(said).toString();
      if (isTooMuch) end({ kind: 'too-much' });
      else if (code === null) end({ kind: 'killed', by: by ?? 'a signal', said: text });
      else end({ kind: 'exited', code, output: Buffer.concat(output).toString(), said: text });
    });
  });
}
