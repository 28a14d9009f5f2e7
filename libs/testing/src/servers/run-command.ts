import { execFile } from 'node:child_process';

/** A command that ended with another code than 0, was not found, or took longer than its limit. */
class CommandError extends Error {
  override name = 'CommandError';
}

/**
 * Runs a command to its end and returns its standard output.
 *
 * @throws {CommandError} with the last lines of what the command printed
 */
export function runCommand(
  file: string,
  args: readonly string[],
  options: { readonly limitMs: number; readonly environment?: Readonly<Record<string, string>>; readonly cwd?: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      {
        timeout: options.limitMs,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, ...options.environment },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      },
      (error, stdout, stderr) => {
        if (error === null) {
          resolve(stdout);
          return;
        }
        const reason =
          error.killed === true ? `took longer than ${String(options.limitMs)} ms` : lastLines(stderr) || error.message;
        reject(new CommandError(`${file} ${args.slice(-3).join(' ')}: ${reason}`));
      },
    ).stdin?.end();
  });
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join('; ');
}
