/** What the runs of one side came to. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws {RangeError} where there are no figures */
export function spreadOf(figures: readonly number[]): Spread {
  const sorted = inOrder(figures);
  return { median: middleOf(sorted), min: at(sorted, 0), max: at(sorted, sorted.length - 1) };
}

export function medianOf(figures: readonly number[]): number {
  return middleOf(inOrder(figures));
}

/**
 * The least figure that at least this share of all does not exceed (nearest rank).
 *
 * @param share above 0, at most 1
 */
export function percentileOf(figures: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(figures).sort();
  return at(sorted, Math.max(0, Math.ceil(share * sorted.length) - 1));
}

function inOrder(figures: readonly number[]): number[] {
  return [...figures].sort((a, b) => a - b);
}

function middleOf(sorted: readonly number[]): number {
  const half = (sorted.length - 1) / 2;
  return (at(sorted, Math.floor(half)) + at(sorted, Math.ceil(half))) / 2;
}

function at(figures: ArrayLike<number>, index: number): number {
  const figure = figures[index];
  if (figure === undefined) throw new RangeError('no figures, no spread');
  return figure;
}
