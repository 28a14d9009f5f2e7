import { delay } from '@token-broker/foundation';
import type { Surroundings } from './surroundings.js';

/** Resolves when the person at the terminal wants it to end, or when `afterMs` are over. */
export async function untilEnd(
  surroundings: Pick<Surroundings, 'clock' | 'interrupted'>,
  afterMs: number | undefined,
): Promise<void> {
  if (afterMs === undefined) await surroundings.interrupted();
  else await isInterruptedWithin(surroundings, afterMs);
}

/** Waits for `afterMs`. `true`: the person at the terminal wants it to end before. */
export async function isInterruptedWithin(
  surroundings: Pick<Surroundings, 'clock' | 'interrupted'>,
  afterMs: number,
): Promise<boolean> {
  const over = new AbortController();
  const isInterrupted = await Promise.race([
    surroundings.interrupted().then(() => true),
    delay(surroundings.clock, afterMs, over.signal).then(() => false),
  ]);
  over.abort();
  return isInterrupted;
}
