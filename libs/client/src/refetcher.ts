import type { Clock, Random, Timer } from '@token-broker/foundation';
import type { Fetcher } from './fetcher.js';
import type { SlotState } from './near-cache/slot-state.js';

/** A token that was used this recently has its successor fetched when it is revoked. */
const RECENT_USE_MS = 60_000;
/** Successors are fetched within this time, so that the near caches do not ask at the same moment. */
const SPREAD_MS = 50;

/** Fetches the successors of revoked tokens that are in use, before they are asked for. */
export class Refetcher {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #fetcher: Fetcher;
  readonly #timers = new Map<SlotState, Timer>();

  constructor(clock: Clock, random: Random, fetcher: Fetcher) {
    this.#clock = clock;
    this.#random = random;
    this.#fetcher = fetcher;
  }

  refetch(state: SlotState): void {
    if (this.#timers.has(state) || this.#clock.elapsedMs() - state.lastUsedAtMs > RECENT_USE_MS) return;
    const timer = this.#clock.startTimer(this.#random.uniform() * SPREAD_MS, () => {
      this.#timers.delete(state);
      if (!state.attached || state.entry !== undefined) return;
      // Whoever asks next gets the error, if there is one.
      this.#fetcher.fetch(state, { isBackground: true }).catch(() => undefined);
    });
    this.#timers.set(state, timer);
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
