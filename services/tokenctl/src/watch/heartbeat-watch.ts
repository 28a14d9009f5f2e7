import type { Clock, Timer } from '@token-broker/foundation';
import type { Heartbeat } from '@token-broker/protocol';
import type { BrokerEvent } from './broker-event.js';

/** What brokers tick at where none has said it yet. */
const DEFAULT_TICK_MS = 1_000;
/** As near caches count: without a heartbeat for so many ticks they are suspect. */
const MISSING_AFTER_TICKS = 3;

/** Tells when heartbeats stop and come again, and when they speak of a new epoch. */
export class HeartbeatWatch {
  readonly #clock: Clock;
  readonly #tell: (event: BrokerEvent) => void;
  #epochs: readonly number[] | undefined;
  #tickMs = DEFAULT_TICK_MS;
  #lastAtMs: number;
  #isMissing = false;
  #timer: Timer | undefined;

  constructor(clock: Clock, tell: (event: BrokerEvent) => void) {
    this.#clock = clock;
    this.#tell = tell;
    this.#lastAtMs = clock.elapsedMs();
    this.#arm();
  }

  heard({ broker, epochs, timing }: Heartbeat): void {
    const isFirst = this.#epochs === undefined;
    const changed = epochs.flatMap((epoch, index) => (epoch > (this.#epochs?.[index] ?? 0) ? [index] : []));
    this.#tickMs = timing.tickMs;
    this.#lastAtMs = this.#clock.elapsedMs();
    if (isFirst || this.#isMissing) this.#tell({ event: 'heartbeat', broker });
    if (!isFirst && changed.length > 0) this.#tell({ event: 'new-epoch', partitions: changed });
    if (isFirst || changed.length > 0) this.#epochs = epochs;
    this.#isMissing = false;
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.startTimer(MISSING_AFTER_TICKS * this.#tickMs, () => {
      this.#isMissing = true;
      this.#tell({ event: 'heartbeat-missing', forMs: Math.round(this.#clock.elapsedMs() - this.#lastAtMs) });
      this.#arm();
    });
  }
}
