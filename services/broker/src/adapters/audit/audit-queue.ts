import { delay, type Clock } from '@token-broker/foundation';
import type { AuditDestination, AuditLine } from '../../app/ports/audit.js';

/** Records that wait for their destination; beyond it they are dropped. */
const MAX_WAITING = 10_000;
/** Room that is kept for those that somebody waits for: a flood of refusals must not push out a revocation. */
const KEPT_FOR_DURABLE = 1_000;
const MAX_BATCH = 200;
/** The pause after a failure. A record that somebody waits for ends it. */
const RETRY_MS = 1_000;

/** `written`: safe. `late`: not yet, and tried again. `dropped`: it will never be written. */
export type Delivery = 'written' | 'late' | 'dropped';

interface Waiting {
  readonly line: AuditLine;
  readonly durable: boolean;
  readonly told: (delivery: Delivery) => void;
}

export interface AuditQueueOptions {
  readonly destination: AuditDestination;
  readonly clock: Clock;
  /** A batch could not be delivered, or could again after that. */
  readonly onState: (failure: Error | undefined) => void;
}

/** Brings records to one destination, in their order, many at once, and again after a failure. */
export class AuditQueue {
  readonly #options: AuditQueueOptions;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #hurry: AbortController | undefined;
  #isFailing = false;
  #isClosing = false;

  constructor(options: AuditQueueOptions) {
    this.#options = options;
  }

  get name(): AuditDestination['name'] {
    return this.#options.destination.name;
  }

  /** Never rejects. Resolves when its batch has been tried; with `durable`, `written` means that it survives a crash. */
  append(line: AuditLine, durable: boolean): Promise<Delivery> {
    if (this.#waiting.length >= MAX_WAITING + (durable ? KEPT_FOR_DURABLE : 0)) return Promise.resolve('dropped');
    return new Promise((told) => {
      this.#waiting.push({ line, durable, told });
      if (durable) this.#hurry?.abort();
      this.#running ??= this.#run();
    });
  }

  reopen(): void {
    this.#options.destination.reopen?.();
  }

  /** Tries what waits once more, and leaves. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#hurry?.abort();
    await this.#running;
    await this.#options.destination.close();
  }

  async #run(): Promise<void> {
    const { destination, clock, onState } = this.#options;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      try {
        await destination.deliver(
          batch.map(({ line }) => line),
          batch.some(({ durable }) => durable),
        );
      } catch (error) {
        if (!this.#isFailing) onState(error instanceof Error ? error : new Error('no reason was given'));
        this.#isFailing = true;
        // They stay, but nobody waits for a disk that is full.
        for (const { told } of this.#waiting) told('late');
        if (this.#isClosing) break;
        this.#hurry = new AbortController();
        await delay(clock, RETRY_MS, this.#hurry.signal);
        this.#hurry = undefined;
        continue;
      }
      this.#waiting = this.#waiting.slice(batch.length);
      if (this.#isFailing) onState(undefined);
      this.#isFailing = false;
      for (const { told } of batch) told('written');
    }
    // At once: what is appended from now on begins another run.
    this.#running = undefined;
  }
}
