import { createSystemClock } from '@token-broker/foundation';

export const clock = createSystemClock();

/** The outcome of `work`, and how long it took. */
export async function timed<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly tookMs: number }> {
  const startedMs = clock.elapsedMs();
  const value = await work();
  return { value, tookMs: clock.elapsedMs() - startedMs };
}
