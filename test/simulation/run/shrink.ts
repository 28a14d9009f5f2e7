import type { Bug } from '../bugs/bug.js';
import type { Scenario } from '../scenario.js';
import { runScenario, type Outcome } from './run-scenario.js';

/** The shortest way to a violation that was found, and what came of it. */
export interface Shrunk {
  readonly scenario: Scenario;
  readonly outcome: Outcome;
  /** Entries that the seed gave. */
  readonly from: number;
}

/** Runs that shrinking may take. */
const MAX_RUNS = 200;

/**
 * Looks for less that still breaks the same guarantee: first the shortest prefix of what struck, in the order in which it
 * did, then without each entry that is not needed. What is drawn for one part of the world does not depend on the others,
 * so that a run without a later fault begins as the run with it.
 */
export async function shrink(scenario: Scenario, bug: Bug | undefined): Promise<Shrunk> {
  let runs = 0;
  const run = (entries: Scenario['entries']): Promise<Outcome> => {
    runs++;
    return runScenario({ ...scenario, entries }, { bug });
  };
  const first = await run(scenario.entries);
  const wanted = first.violation?.guarantee;
  let entries = first.order;
  let best = first;
  const fails = async (fewer: Scenario['entries']): Promise<boolean> => {
    const outcome = await run(fewer);
    if (outcome.violation?.guarantee !== wanted) return false;
    best = outcome;
    return true;
  };
  for (let length = 0; length < first.order.length && runs < MAX_RUNS; length++) {
    const prefix = first.order.slice(0, length);
    if (!(await fails(prefix))) continue;
    entries = prefix;
    break;
  }
  for (let index = entries.length - 1; index >= 0 && runs < MAX_RUNS; index--) {
    const without = entries.filter((_, at) => at !== index);
    if (await fails(without)) entries = without;
  }
  const shortest = { ...scenario, entries };
  const outcome = best.violation === undefined ? best : await runScenario(shortest, { bug, recorded: true });
  return { scenario: shortest, outcome, from: scenario.entries.length };
}
