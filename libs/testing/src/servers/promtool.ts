import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { locatePrometheus } from './server-binaries.js';

const LIMIT_MS = 60_000;

/** How `promtool` ended, and what it printed. */
export interface PromtoolResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `promtool`, which every package of Prometheus puts beside it.
 *
 * @param input its standard input. Default: nothing
 * @throws {ServerUnavailableError} where there is no Prometheus, and none can be got
 * @throws {Error} where it cannot be executed, or takes longer than a minute
 */
export async function promtool(args: readonly string[], input = ''): Promise<PromtoolResult> {
  const { path, environment } = await locatePrometheus();
  return new Promise((resolve, reject) => {
    const child = execFile(
      join(dirname(path), 'promtool'),
      args,
      { timeout: LIMIT_MS, killSignal: 'SIGKILL', env: { ...process.env, ...environment } },
      (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : error.code;
        if (typeof exitCode === 'number') resolve({ exitCode, stdout, stderr });
        else reject(new Error(`promtool ${args.join(' ')}: ${error?.message ?? 'no exit code'}`, { cause: error }));
      },
    );
    // It may end without reading to the end.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
