import { delay, type Clock } from '@token-broker/foundation';
import type { SeededRandom } from '@token-broker/testing';
import { startReplica, type Replica } from '../chaos/processes/replicas.js';

const KINDS = ['SIGKILL', 'SIGTERM', 'SIGSTOP'] as const;
/** Between two disturbances; several may last at the same time. */
const [LEAST_GAP_MS, MOST_GAP_MS] = [500, 2_500];
/** How long a stopped replica stays stopped: from less than a tick to longer than its locks and leases. */
const [LEAST_STOP_MS, MOST_STOP_MS] = [50, 4_000];
/** How long the place of a replica that is gone stays empty. */
const MOST_EMPTY_MS = 1_000;

export interface DisturbanceCounts {
  readonly SIGKILL: number;
  readonly SIGTERM: number;
  readonly SIGSTOP: number;
  /** Replicas that did not end with exit code 0 after SIGTERM. */
  readonly badExits: number;
}

/**
 * Replicas that are killed, ended and stopped at random, and started again. One of them is left alone at any time: a
 * deployment in which nobody is left has nobody who could answer.
 */
export class Disturbance {
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #configurationPath: string;
  readonly #replicas: Replica[];
  readonly #disturbed = new Set<number>();
  readonly #counts = { SIGKILL: 0, SIGTERM: 0, SIGSTOP: 0, badExits: 0 };
  readonly #underWay = new Set<Promise<void>>();
  #failure: unknown;

  constructor(clock: Clock, random: SeededRandom, configurationPath: string, replicas: readonly Replica[]) {
    this.#clock = clock;
    this.#random = random;
    this.#configurationPath = configurationPath;
    this.#replicas = [...replicas];
  }

  get counts(): DisturbanceCounts {
    return this.#counts;
  }

  get replicas(): readonly Replica[] {
    return this.#replicas;
  }

  /** Disturbs until `untilMs` of the clock's elapsed time, and resolves when every replica is back. */
  async run(untilMs: number): Promise<void> {
    while (this.#clock.elapsedMs() < untilMs && this.#failure === undefined) {
      await delay(this.#clock, this.#between(LEAST_GAP_MS, MOST_GAP_MS));
      const place = this.#random.integer(this.#replicas.length);
      const kind = KINDS[this.#random.integer(KINDS.length)] ?? 'SIGKILL';
      const pauseMs =
        kind === 'SIGSTOP' ? this.#between(LEAST_STOP_MS, MOST_STOP_MS) : this.#random.integer(MOST_EMPTY_MS);
      if (this.#disturbed.has(place) || this.#disturbed.size >= this.#replicas.length - 1) continue;
      this.#begin(place, kind, pauseMs);
    }
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw new Error('a replica could not be disturbed', { cause: this.#failure });
  }

  #begin(place: number, kind: (typeof KINDS)[number], pauseMs: number): void {
    this.#disturbed.add(place);
    this.#counts[kind]++;
    const work = this.#disturb(place, kind, pauseMs)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#disturbed.delete(place);
        this.#underWay.delete(work);
      });
    this.#underWay.add(work);
  }

  async #disturb(place: number, kind: (typeof KINDS)[number], pauseMs: number): Promise<void> {
    const replica = this.#replicas[place];
    if (replica === undefined) throw new RangeError(`there is no replica ${String(place)}`);
    if (kind === 'SIGSTOP') {
      await replica.halt();
      await delay(this.#clock, pauseMs);
      replica.wake();
      return;
    }
    replica.program.signal(kind);
    const exit = await replica.program.exited;
    if (kind === 'SIGTERM' && exit.code !== 0) this.#counts.badExits++;
    await delay(this.#clock, pauseMs);
    this.#replicas[place] = await startReplica(this.#configurationPath);
  }

  #between(leastMs: number, mostMs: number): number {
    return leastMs + this.#random.integer(mostMs - leastMs);
  }
}
