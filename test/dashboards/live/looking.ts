import { eventually, type Sample } from '@token-broker/testing';
import type { Cause } from './causes.js';
import type { Deployment } from './deployment.js';
import { filledIn, type Target } from './targets.js';

const SEEN_WITHIN_MS = 8_000;
const EVERY_MS = 100;
const ANY_SOURCE = '.*';

/** Asks a deployment's Prometheus what panels and rules ask. */
export interface Looking {
  /** Of these, the ones that have an answer to any of their queries now. */
  answered(shown: readonly string[]): Promise<string[]>;
  /** Waits until all that the cause shows has had data; resolves with what had none. */
  untilSeen(cause: Cause): Promise<string[]>;
}

export function createLooking({ prometheus }: Deployment, targets: ReadonlyMap<string, Target>): Looking {
  /** The queries of what a cause shows: of a target, with the source that is chosen. */
  const queriesOf = (shown: string): string[] => {
    const [name = '', source = ANY_SOURCE] = shown.split(' @');
    const target = targets.get(name);
    if (target === undefined) throw new Error(`there is no panel or rule ${name}`);
    return target.queries.map((query) => filledIn(query, source));
  };
  /** Those that are numbers: of nothing, a quantile is none. */
  const answersTo = async (query: string): Promise<Sample[]> =>
    (await prometheus.query(query)).filter(({ value }) => !Number.isNaN(value));
  const matching = async (
    shown: readonly string[],
    isMeant: (counts: readonly number[]) => boolean,
  ): Promise<string[]> => {
    const found = await Promise.all(
      shown.map(async (each) => {
        const answers = await Promise.all(queriesOf(each).map(answersTo));
        return isMeant(answers.map(({ length }) => length));
      }),
    );
    return shown.filter((_, index) => found[index]);
  };

  return {
    answered: (shown) => matching(shown, (counts) => counts.some((count) => count > 0)),
    async untilSeen({ shows, seenWithinMs = SEEN_WITHIN_MS }) {
      // What shows for a moment only need not be there at the same time as the rest.
      let missing: readonly string[] = shows;
      await eventually(
        async () => {
          missing = await matching(missing, (counts) => counts.includes(0));
          return missing.length === 0;
        },
        { what: 'the panels and rules to have data', withinMs: seenWithinMs, everyMs: EVERY_MS },
      ).catch((error: unknown) => {
        if (missing.length === 0) throw error;
      });
      return [...missing];
    },
  };
}
