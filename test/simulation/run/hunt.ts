import type { Bug } from '../bugs/bug.js';
import type { Guarantee } from '../checker/violation.js';
import type { Crew } from './crew.js';

/** Within so many seeds a planted bug must be caught. */
const CAUGHT_WITHIN_SEEDS = 1_000;
/** Where the seeds of one round begin, apart from those of the round before. */
const ROUND_STRIDE = 100_000;

/** How a bug was caught, round by round. */
export interface Hunt {
  readonly bug: Bug;
  /** Seeds until it was caught, in each round; `undefined`: it was not. */
  readonly seeds: readonly (number | undefined)[];
  /** The guarantees that were broken. */
  readonly broke: readonly Guarantee[];
}

/** Runs seeds with a bug in them until it is caught, in several rounds. */
export async function hunt(crew: Crew, bug: Bug, from: number, rounds: number): Promise<Hunt> {
  const caught = await Promise.all(
    Array.from({ length: rounds }, async (_, round) => {
      const first = from + round * ROUND_STRIDE;
      let found: { readonly seeds: number; readonly guarantee: Guarantee } | undefined;
      const chunk = { from: first, count: CAUGHT_WITHIN_SEEDS, bug: bug.name, groups: undefined };
      await crew.run(chunk, ({ seed, violation }) => {
        if (violation !== undefined) found = { seeds: seed - first + 1, guarantee: violation.guarantee };
      });
      return found;
    }),
  );
  return {
    bug,
    seeds: caught.map((one) => one?.seeds),
    broke: [...new Set(caught.flatMap((one) => (one === undefined ? [] : [one.guarantee])))].sort(),
  };
}

export function isCaught({ seeds }: Hunt): boolean {
  return seeds.every((count) => count !== undefined);
}

/** The middle of the rounds; rounds that did not catch it count as the whole limit. */
export function medianSeeds({ seeds }: Hunt): number {
  const sorted = seeds.map((count) => count ?? CAUGHT_WITHIN_SEEDS).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? CAUGHT_WITHIN_SEEDS;
}
