import { BoundedMap } from '@token-broker/foundation';
import type { Change } from '@token-broker/protocol';

/** Revoked slots and sources that are remembered per partition; the least recently raised is forgotten first. */
const MAX_FLOORS = 1_024;
/** So many are remembered for longer. */
const FEW_FLOORS = 16;
/** How long a floor is remembered, at least: much longer than any message lives. */
const FLOOR_LIFE_MS = 3_600_000;

interface Floor {
  readonly generation: number;
  readonly forgottenAtMs: number;
}

/** The revoked boundaries of one partition: what is at or below them is never taken, however late it arrives. */
export class Floors {
  readonly #slots = new BoundedMap<Floor>({ maxEntries: MAX_FLOORS, maxBytes: MAX_FLOORS }, () => 1);
  readonly #sources = new BoundedMap<Floor>({ maxEntries: MAX_FLOORS, maxBytes: MAX_FLOORS }, () => 1);
  #all = 0;

  raise(change: Pick<Change, 'slot' | 'sources' | 'floor'>, nowMs: number): void {
    if (change.slot !== undefined) raiseIn(this.#slots, change.slot, change.floor, nowMs);
    else if (change.sources !== undefined)
      for (const source of change.sources) raiseIn(this.#sources, source, change.floor, nowMs);
    else this.#all = Math.max(this.#all, change.floor);
  }

  /** The greatest floor that holds for a slot. */
  of(source: string, slot: string): number {
    return Math.max(this.#all, this.#sources.peek(source)?.generation ?? 0, this.#slots.peek(slot)?.generation ?? 0);
  }

  clear(): void {
    this.#slots.clear();
    this.#sources.clear();
    this.#all = 0;
  }
}

function raiseIn(floors: BoundedMap<Floor>, key: string, generation: number, nowMs: number): void {
  // A few are no burden, and a revocation is not to wait for the others.
  if (floors.size > FEW_FLOORS)
    for (const [oldest, floor] of floors.entries()) {
      if (floor.forgottenAtMs > nowMs) break;
      floors.delete(oldest);
    }
  const known = floors.peek(key)?.generation ?? 0;
  floors.set(key, { generation: Math.max(known, generation), forgottenAtMs: nowMs + FLOOR_LIFE_MS });
}
