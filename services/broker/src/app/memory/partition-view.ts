import { Cutoffs } from './cutoffs.js';
import type { LogEntry } from '../ports/store.js';

/** Invalidations of a partition that are kept to answer near caches that missed them. */
const LOG_KEPT = 2_048;

/**
 * How far this broker has read along in one partition. `applied` is the sequence up to which every invalidation has been
 * applied; `heard` the greatest that anybody spoke of. An answer of the store that is behind `heard` is too old to use.
 */
export class PartitionView {
  epoch = 0;
  applied = 0;
  heard = 0;
  /** The greatest floor of the invalidations that were applied in this epoch. */
  greatestFloor = 0;
  /** Elapsed time at which the lease that holds was asked for; `undefined`: none yet. */
  leasedAtMs: number | undefined = undefined;
  /** Redis time of that lease. */
  leasedRedisMs = 0;
  readonly cutoffs = new Cutoffs();
  #log: LogEntry[] = [];
  /** The sequence after which `#log` is complete. */
  #logFrom = 0;

  /** Everything known of this partition is of the past. */
  begin(epoch: number, vseq: number): void {
    this.epoch = epoch;
    this.cutoffs.begin(epoch);
    this.applied = vseq;
    this.heard = vseq;
    this.greatestFloor = 0;
    // A lease is of its epoch: a revocation in the new one does not know of it.
    this.leasedAtMs = undefined;
    this.#log = [];
    this.#logFrom = vseq;
  }

  /** Notes the invalidation `entry`; `true` when it was the next one in order. */
  note(entry: LogEntry): boolean {
    this.heard = Math.max(this.heard, entry.vseq);
    this.greatestFloor = Math.max(this.greatestFloor, entry.floor);
    if (entry.target.kind !== 'slot') this.cutoffs.note(entry.target, entry);
    if (entry.vseq !== this.applied + 1) return false;
    this.applied = entry.vseq;
    this.#log.push(entry);
    if (this.#log.length > LOG_KEPT) {
      const cut = this.#log.splice(0, LOG_KEPT / 2);
      this.#logFrom = cut.at(-1)?.vseq ?? this.#logFrom;
    }
    return true;
  }

  /** What was invalidated after `vseq` of `epoch`; `undefined` when that cannot be told from memory. */
  since(epoch: number, vseq: number): readonly LogEntry[] | undefined {
    if (epoch !== this.epoch || vseq < this.#logFrom || vseq > this.applied) return undefined;
    return this.#log.filter((entry) => entry.vseq > vseq);
  }

  hasLease(elapsedMs: number, leaseMs: number): boolean {
    return this.leasedAtMs !== undefined && elapsedMs - this.leasedAtMs < leaseMs;
  }
}
