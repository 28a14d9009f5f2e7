import { within, type Clock } from '@token-broker/foundation';

/** Collects who has confirmed one message, and wakes the one who waits when everybody expected has. */
export class Acknowledgements {
  readonly #clock: Clock;
  readonly #open = new Map<string, Collector>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins to collect for `id`; must be closed. Begin before the message is sent. */
  expect(id: string): Collector {
    const collector = new Collector(this.#clock, () => {
      if (this.#open.get(id) === collector) this.#open.delete(id);
    });
    this.#open.set(id, collector);
    return collector;
  }

  /** Whether anybody collects: what nobody waits for need not be understood. */
  get isCollecting(): boolean {
    return this.#open.size > 0;
  }

  confirm(id: string, who: string): void {
    this.#open.get(id)?.note(who);
  }
}

export class Collector {
  readonly #clock: Clock;
  readonly #onClose: () => void;
  readonly #startedAtMs: number;
  readonly #confirmed = new Map<string, number>();
  #wake: ((who: string) => void) | undefined;

  constructor(clock: Clock, onClose: () => void) {
    this.#clock = clock;
    this.#onClose = onClose;
    this.#startedAtMs = clock.elapsedMs();
  }

  /** Who has confirmed, and how long after the beginning. */
  get confirmed(): ReadonlyMap<string, number> {
    return this.#confirmed;
  }

  note(who: string): void {
    if (this.#confirmed.has(who)) return;
    this.#confirmed.set(who, this.#clock.elapsedMs() - this.#startedAtMs);
    this.#wake?.(who);
  }

  /** Waits until all of `expected` have confirmed, at most `limitMs`. `false`: somebody has not. */
  async waitFor(expected: readonly string[], limitMs: number): Promise<boolean> {
    // Looked at with each confirmation, of which there may be ten thousand.
    const missing = new Set(expected.filter((who) => !this.#confirmed.has(who)));
    if (missing.size === 0) return true;
    const complete = new Promise<void>((resolve) => {
      this.#wake = (who) => {
        missing.delete(who);
        if (missing.size === 0) resolve();
      };
    });
    await within(this.#clock, limitMs, complete);
    this.#wake = undefined;
    return missing.size === 0;
  }

  close(): void {
    this.#onClose();
  }
}
