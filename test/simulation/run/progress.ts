import type { Clock } from '@token-broker/foundation';

/** One line on a terminal that is written over; nothing where nobody looks. */
export class Progress {
  readonly #clock: Clock;
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  show(text: () => string): void {
    const nowMs = this.#clock.elapsedMs();
    if (!process.stderr.isTTY || nowMs - this.#shownAtMs < 200) return;
    this.#shownAtMs = nowMs;
    process.stderr.write(`\r\u001b[K${text()}`);
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}
