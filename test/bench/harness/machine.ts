import { readdir, readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';

/** Nanoseconds of the machine's monotonic clock: the same in every process, so that two of them can tell a duration. */
export function machineNs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}

/** Processor time that a process has used so far, in milliseconds; not a number where the system does not tell. */
export async function processorMsOf(pid: number): Promise<number> {
  const tasks = `/proc/${String(pid)}/task`;
  const threads = await readdir(tasks).catch(() => []);
  // A thread may end while its peers are read.
  const texts = await Promise.all(threads.map((id) => readFile(`${tasks}/${id}/schedstat`, 'utf8').catch(() => '0')));
  const nanoseconds = texts.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0);
  return threads.length === 0 ? Number.NaN : nanoseconds / 1e6;
}

/** What the figures were measured on. */
export function machineText(): string {
  const processors = cpus();
  const model = processors[0]?.model.trim() ?? 'unknown processor';
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  return `${String(processors.length)} × ${model}, ${String(gibibytes)} GiB, ${process.platform}, Node ${process.versions.node}`;
}
