import type { Clock } from '@token-broker/foundation';

/** How often the line is written: over itself on a terminal, and now and then where somebody reads it later. */
const ON_A_TERMINAL_MS = 200;
const IN_A_LOG_MS = 15_000;

/** One line on standard error that says how far the work has come. */
export class Progress {
  readonly #clock: Clock;
  readonly #isTerminal = process.stderr.isTTY;
  #shownAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#shownAtMs = clock.elapsedMs();
  }

  show(text: () => string): void {
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - this.#shownAtMs < (this.#isTerminal ? ON_A_TERMINAL_MS : IN_A_LOG_MS)) return;
    this.#shownAtMs = nowMs;
    process.stderr.write(this.#isTerminal ? `\r\u001b[K${text()}` : `${text()}\n`);
  }

  /** A line that stays. */
  note(text: string): void {
    this.end();
    process.stderr.write(`${text}\n`);
  }

  end(): void {
    if (this.#isTerminal) process.stderr.write('\r\u001b[K');
  }
}
