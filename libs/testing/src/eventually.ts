import { setTimeout as sleep } from 'node:timers/promises';

/** How long and how often to look. */
export interface EventuallyOptions {
  /** What is waited for, as a noun phrase; the error names it. */
  readonly what: string;
  /** How long to go on. Default 5 s. */
  readonly withinMs?: number;
  /** The pause between two looks. Default 10 ms. */
  readonly everyMs?: number;
}

/** A value of `T` that is none of the falsy ones. */
type Truthy<T> = Exclude<T, false | 0 | 0n | '' | null | undefined>;

/**
 * Looks again and again until `probe` returns something truthy without throwing, and returns that. For what happens in
 * another process: the only place where a test waits by real time.
 *
 * @throws {Error} which says what was waited for, and how the last look failed
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { what, withinMs = 5_000, everyMs = 10 }: EventuallyOptions,
): Promise<Truthy<T>> {
  const startedMs = performance.now();
  for (;;) {
    let failure: unknown;
    try {
      const value = await probe();
      if (value) return value as Truthy<T>;
      failure = `the probe returned ${String(value)}`;
    } catch (error) {
      failure = error;
    }
    if (performance.now() - startedMs >= withinMs) {
      const reason = failure instanceof Error ? failure.message : String(failure);
      throw new Error(`waited ${String(withinMs)} ms in vain for ${what}: ${reason}`, { cause: failure });
    }
    await sleep(everyMs);
  }
}
