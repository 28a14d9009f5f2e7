/** A change of a connection, as a driver tells it. */
export interface SimulatedStatus {
  readonly type: 'disconnect' | 'reconnecting' | 'reconnect' | 'error';
  readonly data: string;
}

/** Statuses for one reader, until it stops or the connection is closed. */
export class StatusQueue implements AsyncIterable<SimulatedStatus> {
  readonly #onStop: () => void;
  readonly #waiting: SimulatedStatus[] = [];
  #isStopped = false;
  #wake: () => void = () => undefined;

  constructor(onStop: () => void) {
    this.#onStop = onStop;
  }

  push(status: SimulatedStatus): void {
    if (this.#isStopped) return;
    this.#waiting.push(status);
    this.#wake();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#onStop();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SimulatedStatus> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next !== undefined) yield next;
        else if (this.#isStopped) return;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      this.stop();
    }
  }
}
