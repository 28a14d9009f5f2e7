/* eslint-disable no-restricted-imports -- what is measured is this process itself, and no port tells of it */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Runs `work`; tells beside its result how long the event loop of this process could do nothing else, at most. */
export async function whileWatched<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly blockedMs: number }> {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const value = await work();
  loop.disable();
  return { value, blockedMs: loop.max / 1e6 };
}
