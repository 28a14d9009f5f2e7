import type { Clock, Timer } from '@token-broker/foundation';
import type { NearCache } from './near-cache/near-cache.js';

/** Looks per tick. */
const LOOKS_PER_TICK = 4;

export interface SuspicionOptions {
  readonly clock: Clock;
  readonly cache: NearCache;
  readonly began: () => void;
  readonly ended: (suspectMs: number) => void;
}

/** Notices when what is held may have missed an invalidation, and when that is over. */
export class Suspicion {
  readonly #options: SuspicionOptions;
  #timer: Timer | undefined;
  #sinceMs: number | undefined;
  #endedMs = 0;

  constructor(options: SuspicionOptions) {
    this.#options = options;
  }

  get isSuspect(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** The time spent suspect, in all. */
  get totalMs(): number {
    return this.#endedMs + (this.#sinceMs === undefined ? 0 : this.#options.clock.elapsedMs() - this.#sinceMs);
  }

  start(): void {
    const { clock, cache } = this.#options;
    this.#timer = clock.startTimer(cache.timing.tickMs / LOOKS_PER_TICK, () => {
      this.look();
      if (this.#timer !== undefined) this.start();
    });
  }

  /** @param nowMs default: the clock's */
  look(nowMs: number = this.#options.clock.elapsedMs()): void {
    const { cache, began, ended } = this.#options;
    const suspect = cache.isSuspect(nowMs);
    if (suspect && this.#sinceMs === undefined) {
      this.#sinceMs = nowMs;
      began();
    } else if (!suspect && this.#sinceMs !== undefined) {
      const suspectMs = nowMs - this.#sinceMs;
      this.#endedMs += suspectMs;
      this.#sinceMs = undefined;
      ended(suspectMs);
    }
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
