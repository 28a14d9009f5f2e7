import type { Clock, Timer } from '@token-broker/foundation';
import type { Cohort } from './cohort.js';
import type { SlotState } from './slot-state.js';

/** Slots that are looked at before the event loop gets its turn: each takes 2 to 3 µs. */
export const SWEPT_AT_ONCE = 1_000;
/** Among a million of them each is far away in memory, and takes longer: how long it may take, and after how many it is looked. */
const SWEPT_FOR_MS = 2;
const TIMED_EVERY = 50;

/**
 * Comes to every slot of the cohorts whose tokens a revocation has ended, a part at a time: a million of them would block the
 * loop for seconds. Those of a near cache with some hundred slots are all in the first part, which is done at once.
 */
export class Sweep {
  readonly #clock: Clock;
  readonly #atOnce: number;
  readonly #settle: (state: SlotState, nowMs: number) => void;
  /** Where it stands in each of them. What joins meanwhile is looked at too, and found alive. */
  readonly #pending = new Map<Cohort<SlotState>, Iterator<SlotState>>();
  #timer: Timer | undefined;

  constructor(clock: Clock, atOnce: number, settle: (state: SlotState, nowMs: number) => void) {
    this.#clock = clock;
    this.#atOnce = atOnce;
    this.#settle = settle;
  }

  /** The cohort is to be gone through from its first slot; {@link start} begins with it. */
  add(cohort: Cohort<SlotState>): void {
    this.#pending.set(cohort, cohort.members.values());
  }

  start(nowMs: number): void {
    if (this.#timer === undefined) this.#sweepOn(nowMs);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#pending.clear();
  }

  #sweepOn(nowMs: number): void {
    let seen = 0;
    const untilMs = nowMs + SWEPT_FOR_MS;
    for (const [cohort, members] of this.#pending) {
      for (let next = members.next(); next.done !== true; next = members.next()) {
        this.#settle(next.value, nowMs);
        seen += 1;
        const isLate = seen % TIMED_EVERY === 0 && this.#clock.elapsedMs() >= untilMs;
        if (seen < this.#atOnce && !isLate) continue;
        this.#timer = this.#clock.startTimer(0, () => {
          this.#timer = undefined;
          this.#sweepOn(this.#clock.elapsedMs());
        });
        return;
      }
      this.#pending.delete(cohort);
    }
  }
}
