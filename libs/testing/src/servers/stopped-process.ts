import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { eventually } from '../eventually.js';

const run = promisify(execFile);

/**
 * Resolves when a process that was sent SIGSTOP has really stopped: the signal is taken by each thread in its own time, and
 * until then a server goes on answering.
 */
export async function whenStopped(pid: number): Promise<void> {
  await eventually(() => isStopped(pid), { what: `process ${String(pid)} to stop`, withinMs: 2_000, everyMs: 1 });
}

async function isStopped(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-o', 'stat=', '-p', String(pid)]).catch(() => ({ stdout: 'T' }));
    return stdout.trim().startsWith('T');
  }
  const threads = await readdir(`/proc/${String(pid)}/task`).catch(() => []);
  const states = await Promise.all(threads.map((thread) => stateOf(`/proc/${String(pid)}/task/${thread}/stat`)));
  // One that has ended meanwhile is as silent as one that has stopped.
  return states.every((state) => state === undefined || 'TtXZ'.includes(state));
}

/** The letter after the name, which stands in parentheses and may hold anything: `proc(5)`. */
async function stateOf(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /.*\) (\S)/s.exec(text)?.[1];
}
