import { delay, within, type Clock } from '@token-broker/foundation';
import { StoreError } from '../ports/store.js';

/** The longest that an owed write is not sent again: journals wait twice as long for an owner whose time is over. */
const RESEND_MS = 500;
/** The first pauses are shorter: most troubles are. */
const RETRY_MS = 100;
/** So many sends are waited for by the one who owes; the write goes on without it. */
const SENDS_AWAITED = 4;

/**
 * Writes that must not be lost. Each is sent again and again, also after whoever asked for it was told that it failed,
 * until the store answers or the process ends. So they must be idempotent.
 */
export class OwedWrites {
  readonly #clock: Clock;
  readonly #owed = new Set<Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Resolves to the store's answer; rejects with the last error when none came for a while. `late` is told an answer that
   * came after that.
   *
   * @param worthMs so long the write is worth sending; what is awaited is sent all the same. Default: for ever
   */
  send<T>(write: () => Promise<T>, late: (answer: T) => void, worthMs = Number.POSITIVE_INFINITY): Promise<T> {
    const untilMs = this.#clock.elapsedMs() + worthMs;
    return new Promise((resolve, reject) => {
      const landing = this.#land(write, resolve, reject, late, untilMs);
      this.#owed.add(landing);
      void landing.then(() => this.#owed.delete(landing));
    });
  }

  /** Resolves when nothing is owed any more. */
  async settle(): Promise<void> {
    while (this.#owed.size > 0) await Promise.all(this.#owed);
  }

  async #land<T>(
    write: () => Promise<T>,
    resolve: (answer: T) => void,
    reject: (cause: unknown) => void,
    late: (answer: T) => void,
    untilMs: number,
  ): Promise<void> {
    const clock = this.#clock;
    let state: 'awaited' | 'owed' | 'over' = 'awaited';
    let cause: unknown = new StoreError('write', 'unknown', 'no answer');
    const answered = (answer: T): void => {
      if (state === 'awaited') resolve(answer);
      if (state === 'owed') late(answer);
      state = 'over';
    };
    const failed = (error: unknown): void => {
      cause = error;
    };
    for (let sends = 1; ; sends++) {
      const sentAtMs = clock.elapsedMs();
      // One that is slow may still be answered, also after the next has been sent.
      await within(clock, RESEND_MS, write().then(answered, failed));
      if (isOver(state)) return;
      if (sends === SENDS_AWAITED) {
        state = 'owed';
        reject(cause);
      }
      if (sends >= SENDS_AWAITED && clock.elapsedMs() >= untilMs) return;
      const pauseMs = Math.min(RESEND_MS, RETRY_MS * sends) - (clock.elapsedMs() - sentAtMs);
      if (pauseMs > 0) await delay(clock, pauseMs);
      if (isOver(state)) return;
    }
  }
}

/** The compiler does not see that callbacks change it. */
function isOver(state: string): boolean {
  return state === 'over';
}
