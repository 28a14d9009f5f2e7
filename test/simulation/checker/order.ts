/** A position in the order of a slot's tokens. A greater epoch is greater whatever the generation. */
export interface Order {
  readonly epoch: number;
  readonly generation: number;
}

export function isAtOrBelow(one: Order, other: Order): boolean {
  return one.epoch < other.epoch || (one.epoch === other.epoch && one.generation <= other.generation);
}
