import { availableParallelism } from 'node:os';
import { createSystemClock } from '@token-broker/foundation';
import { Command, InvalidArgumentError, Option } from 'commander';
import { BUGS, bugOf } from './bugs/catalogue.js';
import type { FaultGroup } from './faults/catalogue.js';
import { Crew } from './run/crew.js';
import { hunt, isCaught, medianSeeds, type Hunt } from './run/hunt.js';
import { Progress } from './run/progress.js';
import { counted, describeFound, describeHunts, describeTotals, describeViolation } from './run/report.js';
import { shrink } from './run/shrink.js';
import { Totals } from './run/totals.js';
import { scenarioOf } from './scenario-of-seed.js';

const GROUPS = ['links', 'store', 'locks', 'upstream', 'processes', 'clocks'] as const satisfies readonly FaultGroup[];
/** Seeds that a worker is given at once. */
const CHUNK = 25;
/** Violations that are shrunk and told in full. */
const TOLD_IN_FULL = 3;

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly bug?: string;
  readonly faults?: readonly FaultGroup[];
  readonly rounds: number;
  readonly workers: number;
  readonly json?: boolean;
}

const clock = createSystemClock();

const program = new Command('simulate')
  .description('Runs the real broker and client code in simulated worlds, one for each seed, and checks every step.')
  .addOption(new Option('--seeds <n>', 'how many').default(1_000).argParser(wholeNumber))
  .addOption(new Option('--from <seed>', 'the first one').default(1).argParser(wholeNumber))
  .addOption(
    new Option('--bug <name>', 'plants this bug, or each in turn, and runs until it is caught').choices([
      'all',
      ...BUGS.map(({ name }) => name),
    ]),
  )
  .addOption(new Option('--faults <groups>', `only these, of ${GROUPS.join(', ')}`).argParser(groupsOf))
  .addOption(new Option('--rounds <n>', 'with --bug: how often each is hunted').default(5).argParser(wholeNumber))
  .addOption(new Option('--workers <n>', 'processes').default(availableParallelism()).argParser(wholeNumber))
  .option('--json', 'the summary as one line of JSON')
  .action(async (options: Options) => {
    const crew = await Crew.gather(options.workers);
    process.exitCode = options.bug === undefined ? await simulate(crew, options) : await huntFor(crew, options);
    crew.close();
  });
await program.parseAsync();

async function simulate(crew: Crew, { seeds, from, faults, json }: Options): Promise<number> {
  const startedAtMs = clock.elapsedMs();
  const progress = new Progress(clock);
  const totals = new Totals();
  const chunks: Promise<void>[] = [];
  for (let first = from; first < from + seeds; first += CHUNK) {
    const count = Math.min(CHUNK, from + seeds - first);
    chunks.push(
      crew.run({ from: first, count, bug: undefined, groups: faults }, (outcome) => {
        totals.add(outcome);
        // At once: a long run may be ended before its end.
        if (outcome.violation !== undefined) progress.note(describeFound(outcome.seed, outcome.violation, faults));
        progress.show(
          () =>
            `${counted(totals.seeds, 'seeds')} of ${counted(seeds, 'run')}, ${counted(totals.violations.length, 'violations')}`,
        );
      }),
    );
  }
  await Promise.all(chunks);
  const tookS = (clock.elapsedMs() - startedAtMs) / 1_000;
  progress.end();
  const groups = faults === undefined ? undefined : new Set(faults);
  const idle = totals.idle(groups);
  const failed = [...totals.violations].sort((a, b) => a.seed - b.seed);
  if (json !== true) {
    console.log(describeTotals(totals));
    for (const { seed } of failed.slice(0, TOLD_IN_FULL))
      console.log(
        `\n${describeViolation(await shrink(scenarioOf(seed, groups === undefined ? {} : { groups }), undefined), undefined)}`,
      );
    if (failed.length > TOLD_IN_FULL)
      console.log(
        `\nfurther seeds with violations: ${failed
          .slice(TOLD_IN_FULL)
          .map(({ seed }) => String(seed))
          .join(', ')}`,
      );
    for (const name of idle) console.log(`${name}: never had anything to do`);
  }
  const summary = {
    seeds: totals.seeds,
    from,
    violations: failed.map(({ seed, violation }) => ({ seed, ...violation })),
    idle,
    seedsPerSecond: Number((totals.seeds / tookS).toFixed(1)),
    tookS: Number(tookS.toFixed(1)),
    faults: Object.fromEntries(totals.struck),
    checks: Object.fromEntries(totals.exercised),
  };
  console.log(
    json === true
      ? JSON.stringify(summary)
      : `${counted(totals.seeds, 'seeds')} from ${String(from)}, ${counted(failed.length, 'violations')}, ${String(summary.seedsPerSecond)} seeds/s, ${String(summary.tookS)} s`,
  );
  return failed.length + idle.length === 0 ? 0 : 1;
}

async function huntFor(crew: Crew, { bug = 'all', from, rounds, json }: Options): Promise<number> {
  const startedAtMs = clock.elapsedMs();
  const progress = new Progress(clock);
  const hunts: Hunt[] = [];
  const wanted = bug === 'all' ? BUGS : [bugOf(bug)];
  const running = wanted.map(async (one) => {
    const done = await hunt(crew, one, from, rounds);
    hunts.push(done);
    const told = done.seeds.map((seeds) => (seeds === undefined ? 'not caught' : String(seeds))).join(', ');
    if (json !== true) progress.note(`${one.name}: ${told} (${done.broke.join(', ')})`);
    progress.show(() => `${counted(hunts.length, 'of')} ${counted(wanted.length, 'bugs')} hunted`);
  });
  await Promise.all(running);
  progress.end();
  hunts.sort((a, b) => BUGS.indexOf(a.bug) - BUGS.indexOf(b.bug));
  const missed = hunts.filter((one) => !isCaught(one));
  const tookS = Number(((clock.elapsedMs() - startedAtMs) / 1_000).toFixed(1));
  if (json === true) {
    const caught = hunts.map((one) => ({
      bug: one.bug.name,
      broke: one.broke,
      seeds: one.seeds,
      median: medianSeeds(one),
    }));
    console.log(JSON.stringify({ bugs: caught, missed: missed.map((one) => one.bug.name), tookS }));
  } else {
    console.log(describeHunts(hunts));
    for (const one of hunts.length === 1 ? hunts : []) await tell(one, from);
    console.log(
      `${counted(hunts.length - missed.length, 'of')} ${counted(hunts.length, 'planted bugs caught in every round')}, ${String(tookS)} s`,
    );
  }
  return missed.length === 0 ? 0 : 1;
}

/** The story of one bug that was caught. */
async function tell({ bug, seeds: [first] }: Hunt, from: number): Promise<void> {
  if (first === undefined) return;
  console.log(`\n${describeViolation(await shrink(scenarioOf(from + first - 1), bug), bug.name)}\n`);
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('It must be a whole number above 0.');
  return number;
}

function groupsOf(text: string): readonly FaultGroup[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !GROUPS.some((group) => group === name));
  if (unknown.length > 0)
    throw new InvalidArgumentError(`There is no "${unknown.join('", "')}"; there are ${GROUPS.join(', ')}.`);
  return GROUPS.filter((group) => names.includes(group));
}
