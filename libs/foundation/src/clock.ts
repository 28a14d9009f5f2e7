/** A timer that was started by a {@link Clock}. Cancelling one that has fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time, as a port: the real code runs on the system's clock or on a virtual one.
 *
 * Two kinds of time are told apart. Wall time is for people and for other machines; it jumps. Elapsed time is for
 * lifetimes and deadlines: it never goes backwards, and it goes on while the machine is suspended.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump in either direction. */
  wallMs(): number;
  /**
   * Milliseconds since an arbitrary start; never decreases. Each step is the greater of the monotonic and the wall
   * clock's step, since the monotonic clock of Linux stands still during suspend.
   */
  elapsedMs(): number;
  /**
   * Calls `fire` once, `delayMs` or later from now; without a delay as soon as what is ready to run has run. A timer never
   * keeps the process alive.
   */
  startTimer(delayMs: number, fire: () => void): Timer;
}

/** Resolves after `delayMs` of the given clock; an aborted wait resolves at once. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.startTimer(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** The outcome of {@link within}: the value in time, or the word that time ran out. */
export type Timed<T> = { readonly inTime: true; readonly value: T } | { readonly inTime: false };

/** Waits for `work` at most `limitMs`. The work itself is not stopped: only this wait is abandoned. */
export function within<T>(clock: Clock, limitMs: number, work: Promise<T>): Promise<Timed<T>> {
  return new Promise((resolve, reject) => {
    const timer = clock.startTimer(Math.max(0, limitMs), () => {
      resolve({ inTime: false });
    });
    work.then(
      (value) => {
        timer.cancel();
        resolve({ inTime: true, value });
      },
      (error: unknown) => {
        timer.cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}
