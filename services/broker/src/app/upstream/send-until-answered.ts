import { delay, type Clock } from '@token-broker/foundation';
import { StoreError } from '../ports/store.js';

/** How often a command whose reply was lost is sent in all, and how much longer each pause before is than the one before. */
const TRIES = 4;
const RETRY_MS = 100;

/**
 * Sends a command of an attempt until the store says how it ended: sent again it is the same command, while giving up would
 * leave a reservation behind that keeps everybody out. Rejects with the last `StoreError`.
 */
export async function sendUntilAnswered<T>(clock: Clock, send: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof StoreError) || error.outcome === 'refused' || tries === TRIES) throw error;
      await delay(clock, RETRY_MS * tries);
    }
  }
}
