import type { Clock, Timer } from '@token-broker/foundation';

/** 2026-01-01T00:00:00Z: a wall time that is plainly not that of the machine. */
const DEFAULT_WALL_MS = Date.UTC(2026, 0, 1);

/** How many rounds of promise callbacks are run between two timers: enough for the longest chain of awaits in use. */
const SETTLE_ROUNDS = 64;

interface PendingTimer {
  readonly dueMs: number;
  readonly fire: () => void;
}

/** A clock that stands still until a test moves it. */
export class VirtualClock implements Clock {
  #elapsedMs = 0;
  #wallOffsetMs: number;
  readonly #timers = new Set<PendingTimer>();

  /** @param wallMs the wall time at which the clock starts, in ms since the Unix epoch */
  constructor(wallMs = DEFAULT_WALL_MS) {
    this.#wallOffsetMs = wallMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#elapsedMs;
  }

  elapsedMs(): number {
    return this.#elapsedMs;
  }

  /** How many timers wait. A test that ends with 0 has left nothing running. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** In how many ms the next timer is due, or undefined where none waits. */
  get nextTimerInMs(): number | undefined {
    const next = this.#next(Number.POSITIVE_INFINITY);
    return next === undefined ? undefined : Math.max(0, next.dueMs - this.#elapsedMs);
  }

  startTimer(delayMs: number, fire: () => void): Timer {
    const timer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), fire };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /**
   * Moves time on by `ms`. Timers fire in the order in which they are due, each at its own time, and those of one
   * moment in the order in which they were started; what they set off runs before the next one fires. Timers that are
   * started on the way fire too where they are due by then.
   */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#elapsedMs + ms;
    await this.settle();
    for (let timer = this.#next(untilMs); timer !== undefined; timer = this.#next(untilMs)) {
      this.#timers.delete(timer);
      this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs);
      timer.fire();
      await this.settle();
    }
    this.#elapsedMs = Math.max(this.#elapsedMs, untilMs);
  }

  /** Lets all promise callbacks run that are ready, without moving time. */
  async settle(): Promise<void> {
    for (let round = 0; round < SETTLE_ROUNDS; round += 1) await Promise.resolve();
  }

  /** Sets the wall clock on (or back, where negative), as an operator or NTP does; elapsed time does not notice. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  #next(untilMs: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > untilMs) continue;
      // The set keeps the order in which timers were started, so that the first of a moment stays.
      if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    }
    return next;
  }
}
