import type { Floor, FloorRaised } from './observation.js';
import { isAtOrBelow, type Order } from './order.js';

/** Since when a token may not be answered with any more. */
export interface Death {
  readonly executedAtMs: number;
  readonly returnedAtMs: number;
}

interface Raised extends Floor {
  readonly atMs: number;
}

interface Boundary extends Order, Death {}

/** The revocations of a run: what Redis executed, and what of it was reported as complete. */
export class Revocations {
  /** By revocation and partition: the last time that its script ran. */
  readonly #raised = new Map<string, Map<number, Raised>>();
  /** By slot: the greatest boundary that Redis was ever given, whether or not it was reported. */
  readonly #greatest = new Map<string, Order>();
  /** By slot: the boundaries that were reported as complete, with rising order. */
  readonly #boundaries = new Map<string, Boundary[]>();

  raised(floor: FloorRaised, atMs: number): void {
    for (const slot of floor.slots) {
      const boundary = { epoch: floor.epoch, generation: floor.floor };
      const greatest = this.#greatest.get(slot);
      if (greatest === undefined || isAtOrBelow(greatest, boundary)) this.#greatest.set(slot, boundary);
    }
    const byPartition = this.#raised.get(floor.id) ?? new Map<number, Raised>();
    this.#raised.set(floor.id, byPartition);
    const known = byPartition.get(floor.partition);
    // Run again with the same id, a script changes nothing: the first time counts, unless the epoch is another.
    if (known?.epoch === floor.epoch && known.floor === floor.floor) return;
    const { partition, epoch } = floor;
    byPartition.set(partition, { partition, epoch, floor: floor.floor, atMs });
  }

  /** Whether a revocation that was executed forbids it, also one that has not returned. */
  isForbidden(slot: string, order: Order): boolean {
    const greatest = this.#greatest.get(slot);
    return greatest !== undefined && isAtOrBelow(order, greatest);
  }

  floorOf(id: string, partition: number): Floor | undefined {
    return this.#raised.get(id)?.get(partition);
  }

  returned(
    id: string,
    covers: readonly { readonly slot: string; readonly partition: number }[],
    returnedAtMs: number,
  ): void {
    for (const { slot, partition } of covers) {
      const raised = this.#raised.get(id)?.get(partition);
      if (raised === undefined) continue;
      const boundary = { epoch: raised.epoch, generation: raised.floor, executedAtMs: raised.atMs, returnedAtMs };
      const boundaries = this.#boundaries.get(slot) ?? [];
      this.#boundaries.set(slot, boundaries);
      const greatest = boundaries.at(-1);
      // Of two that return in the other order, the later one says nothing that the greater one does not.
      if (greatest === undefined || !isAtOrBelow(boundary, greatest)) boundaries.push(boundary);
    }
  }

  /** The first boundary that a token is at or below. */
  deathOf(slot: string, order: Order): Death | undefined {
    const boundaries = this.#boundaries.get(slot);
    if (boundaries === undefined) return undefined;
    let [low, high] = [0, boundaries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const boundary = boundaries[middle];
      if (boundary !== undefined && isAtOrBelow(order, boundary)) high = middle;
      else low = middle + 1;
    }
    return boundaries[low];
  }
}
