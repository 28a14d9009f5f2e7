import { open, readFile, rm, stat } from 'node:fs/promises';
import { randomId, type Clock, type Random } from '@token-broker/foundation';
import { isMissing } from '../private-files.js';

/** A lock without a readable text for longer than this was left by a process that ended while it wrote. */
const WRITING_MS = 5_000;

/** This process, to the others of its machine. */
export interface OwnProcess {
  readonly id: number;
  readonly host: string;
  /** Whether a process of this machine is there. */
  isRunning(id: number): boolean;
}

/** What a lock needs of the world. */
export interface LockContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly process: OwnProcess;
}

/** The right to fetch one token. */
export interface FetchLock {
  /** `false` as soon as somebody took it away: the result is not to be stored then. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * Takes the lock unless a live process has it. It saves requests and is no more than that: two that fetch at once do no harm.
 *
 * @param holdMs how long the holder may take at most; beyond it others may take the lock from it
 * @returns `undefined` where somebody else has it
 * @throws {Error} where no lock can be written
 */
export async function takeFetchLock(
  path: string,
  holdMs: number,
  context: LockContext,
): Promise<FetchLock | undefined> {
  const { clock, random, process } = context;
  const text = [process.host, process.id, clock.wallMs() + holdMs, randomId(random)].join('\n');
  if (!(await created(path, text))) {
    if (!(await isAbandoned(path, context))) return undefined;
    // Where two find it abandoned at once, one may remove the other's new lock: that costs a request, and the one that
    // lost its lock stores nothing.
    await rm(path, { force: true });
    if (!(await created(path, text))) return undefined;
  }
  const isHeld = async (): Promise<boolean> => (await textOf(path)) === text;
  return {
    isHeld,
    async release() {
      if (await isHeld()) await rm(path, { force: true });
    },
  };
}

async function created(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function isAbandoned(path: string, { clock, process }: LockContext): Promise<boolean> {
  const text = await textOf(path);
  if (text === undefined) return true;
  const [, host, id, untilMs] = /^(.*)\n(\d+)\n(\d+)\n[\w-]{22}$/.exec(text) ?? [];
  if (host === undefined) {
    const age = await stat(path).catch(() => undefined);
    return age === undefined || clock.wallMs() - age.mtimeMs > WRITING_MS;
  }
  if (clock.wallMs() >= Number(untilMs)) return true;
  // A lock with our own number that we did not make is of a process before us: containers give out the same ones again.
  return host === process.host && (Number(id) === process.id || !process.isRunning(Number(id)));
}
