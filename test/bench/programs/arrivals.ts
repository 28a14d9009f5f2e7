import { machineNs } from '../harness/machine.js';

/** Notes when the last of so many things has arrived. It is told to expect them before they are caused. */
export class Arrivals {
  readonly #limitMs: number;
  #left = 0;
  #last: Promise<number> = Promise.resolve(Number.NaN);
  #resolve: (atNs: number) => void = () => undefined;

  /** @param limitMs how long is waited; default 30 s */
  constructor(limitMs = 30_000) {
    this.#limitMs = limitMs;
  }

  expect(count: number): void {
    this.#left = count;
    this.#last = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** One has arrived. One that nobody expects is of no interest. */
  readonly note = (): void => {
    if (--this.#left === 0) this.#resolve(machineNs());
  };

  /** When the last one arrived, on the machine's clock. @throws {Error} where some have not in time */
  async last(): Promise<number> {
    const inTime = new AbortController();
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${String(this.#left)} have not arrived within ${String(this.#limitMs)} ms`));
      }, this.#limitMs);
      inTime.signal.addEventListener('abort', () => {
        clearTimeout(timer);
      });
    });
    try {
      return await Promise.race([this.#last, late]);
    } finally {
      inTime.abort();
    }
  }
}
