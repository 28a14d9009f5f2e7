import { within, type Clock } from '@token-broker/foundation';
import type { FlightNotice } from '@token-broker/protocol';

/**
 * Wakes those who wait for another replica's flight. A listener is opened before the lock is tried, so that a notice that
 * arrives between "held" and the wait is not missed.
 */
export class Notices {
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<(notice: FlightNotice) => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  announce(notice: FlightNotice): void {
    for (const wake of this.#listeners.get(notice.slot) ?? []) wake(notice);
  }

  listen(slot: string): NoticeListener {
    const listeners = this.#listeners.get(slot) ?? new Set();
    this.#listeners.set(slot, listeners);
    let arrived: FlightNotice | undefined;
    let latest: Committed | undefined;
    let wake: ((notice: FlightNotice) => void) | undefined;
    const listener = (notice: FlightNotice): void => {
      arrived = notice;
      if (notice.outcome === 'committed' && isLater(notice, latest)) latest = notice;
      wake?.(notice);
    };
    listeners.add(listener);
    return {
      next: async (limitMs) => {
        if (arrived === undefined) {
          const coming = new Promise<FlightNotice>((resolve) => {
            wake = resolve;
          });
          await within(this.#clock, limitMs, coming);
          wake = undefined;
        }
        const notice = arrived;
        arrived = undefined;
        return notice;
      },
      heardOfLater: (than) => latest !== undefined && isLater(latest, than),
      close: () => {
        listeners.delete(listener);
        if (listeners.size === 0 && this.#listeners.get(slot) === listeners) this.#listeners.delete(slot);
      },
    };
  }
}

export interface NoticeListener {
  /** The next notice, or `undefined` after `limitMs`. */
  next(limitMs: number): Promise<FlightNotice | undefined>;
  /** Whether a token that is later than this one was committed, by what has been heard since this was opened. */
  heardOfLater(than: Pick<Committed, 'epoch' | 'generation'>): boolean;
  close(): void;
}

type Committed = Extract<FlightNotice, { outcome: 'committed' }>;

function isLater(
  one: Pick<Committed, 'epoch' | 'generation'>,
  other: Pick<Committed, 'epoch' | 'generation'> | undefined,
): boolean {
  if (other === undefined || one.epoch > other.epoch) return true;
  return one.epoch === other.epoch && one.generation > other.generation;
}
