import { bugOf } from '../bugs/catalogue.js';
import { scenarioOf } from '../scenario-of-seed.js';
import { told, type Chunk, type Told } from './messages.js';
import { runScenario } from './run-scenario.js';

/** A process of its own for every core: it is given chunks of seeds, and tells the outcome of each. */
process.on('message', (chunk: Chunk) => {
  void work(chunk).catch((error: unknown) => {
    // Whatever it is, the run cannot be trusted any more.
    console.error(error);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));

async function work({ from, count, bug, groups }: Chunk): Promise<void> {
  const options = groups === undefined ? {} : { groups: new Set(groups) };
  const planted = bug === undefined ? undefined : bugOf(bug);
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await runScenario(scenarioOf(seed, options), { bug: planted });
    process.send?.(told(outcome) satisfies Told);
    // Who hunts a bug needs no second one.
    if (bug !== undefined && outcome.violation !== undefined) break;
  }
  process.send?.('done');
}
