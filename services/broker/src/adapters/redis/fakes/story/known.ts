import type { AsOf, InvalidationTarget, LeaseRequest, SlotAddress } from '../../../../app/ports/store.js';
import { EVERY_PARTITION } from './cast.js';

/** What brokers know of a partition. */
export interface Heard {
  floor: number;
  generation: number;
  epoch: number;
  /** Of the generation. */
  address: SlotAddress | undefined;
}

interface Reservation {
  readonly generation: number;
  readonly asOf: AsOf;
  readonly to: SlotAddress;
}

interface Revoked {
  readonly target: InvalidationTarget;
  readonly partition: number;
  readonly floor: number;
  readonly replaced: number;
}

const NOTHING: Heard = { floor: 0, generation: 0, epoch: 0, address: undefined };

/** What the brokers of a story have heard so far, right or outdated. */
export class Known {
  /** Numbers of one partition mean nothing to another. */
  readonly #heard: readonly Heard[] = EVERY_PARTITION.map(() => ({ ...NOTHING }));
  /** Of the policy. */
  versions: readonly number[] = [0];
  readonly revoked: Revoked[] = [];
  /** By attempt. */
  readonly reservations = new Map<string, Reservation>();
  /** Names of shared secrets that have been asked for. */
  readonly secrets = new Set<string>();

  get newestPolicy(): number {
    return Math.max(...this.versions);
  }

  heardOf(partition: number): Heard {
    return this.#heard[partition] ?? { ...NOTHING };
  }

  /** A lease of every partition. */
  leases(applied: () => number): LeaseRequest[] {
    return this.#heard.map(({ epoch }, partition) => ({ partition, epoch, applied: applied() }));
  }
}
