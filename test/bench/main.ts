import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { BENCHMARKS } from './benchmarks/all.js';
import { PEERS } from './benchmarks/peers.js';
import type { BenchContext, Benchmark, Effort, Line } from './harness/benchmark.js';
import { installPeers } from './harness/install-peers.js';
import { jsonOf, judge, targetText } from './harness/judge.js';
import { machineText } from './harness/machine.js';
import { profilesText } from './harness/profile.js';
import { writeResults } from './harness/results.js';
import { figureText } from './harness/table.js';
import { assertBundled } from './stack/broker-process.js';

/** Runs of one comparison, unless the command line says: enough for a median, with `--quick` for a first look. */
const RUNS = { full: 7, quick: 3 };

interface Options {
  readonly json: boolean;
  readonly quick: boolean;
  readonly write: boolean;
  readonly peers: boolean;
  readonly runs?: number;
  readonly profile?: string;
}

const program = new Command('bench')
  .usage('[options] [name...]')
  .description('Measures the system against bare baselines, in turns, on real servers on this machine.')
  .argument('[name...]', 'benchmarks (default: all)')
  .option('--quick', 'few and short runs: within 3 minutes', false)
  .addOption(
    new Option('--runs <n>', `how many (default: ${String(RUNS.full)}; quick ${String(RUNS.quick)})`).argParser(
      atLeastOne,
    ),
  )
  .option('--json', 'one object a line', false)
  .option('--write', 'writes the table of docs/performance.md; of other benchmarks, keeps what was there', false)
  .option('--peers', 'other libraries with the same work instead, which are installed first', false)
  .option(
    '--profile <directory>',
    'every program that is measured writes where it spent its processor time; prints the largest parts',
  )
  .addHelpText('after', helpAfter)
  // No figure is a reason for another exit code than 0.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .showHelpAfterError('(--help lists options and benchmarks)')
  .parse();
const { quick, json, write, peers, profile, runs = quick ? RUNS.quick : RUNS.full } = program.opts<Options>();

const effort: Effort = { quick, runs, warmUps: quick ? 1 : 2, choose: (full, short) => (quick ? short : full) };

const all = peers ? PEERS : BENCHMARKS;
const chosen = program.args.length === 0 ? all : program.args.map(named);
if (peers) await installPeers(progress);
if (profile !== undefined) await mkdir(profile, { recursive: true });
// What is measured is what is shipped: a source condition in the environment would put the sources in its place.
if (!import.meta.resolve('@token-broker/client').includes('/dist/'))
  throw new Error('the packages are not the built ones');
assertBundled();

const lines: Line[] = [];
const failures: string[] = [];
for (const benchmark of chosen) {
  const comparisons = await benchmark.run(contextOf(benchmark)).catch((error: unknown) => {
    // The others may run all the same.
    failures.push(benchmark.name);
    progress('');
    process.stderr.write(`${benchmark.name} could not be run: ${error instanceof Error ? String(error.stack) : ''}\n`);
    return [];
  });
  for (const comparison of comparisons) {
    const line = judge(benchmark.name, comparison);
    lines.push(line);
    progress('');
    console.log(json ? jsonOf(line) : textOf(line));
  }
}
progress('');
if (profile !== undefined) process.stderr.write(`${await profilesText(profile)}\n`);
if (write) {
  const section = peers ? 'peers' : 'benchmarks';
  const paths = { results: pathOf(`test/bench/results/${section}.json`), document: pathOf('docs/performance.md') };
  await writeResults(paths, section, { machine: machineText(), lines }, all);
}
// What a library may have left open must not keep this process: everything that was started has been stopped.
process.exit(failures.length > 0 ? 1 : 0);

/** A path of the repository. */
function pathOf(path: string): string {
  return fileURLToPath(new URL(`../../../${path}`, import.meta.url));
}

function named(name: string): Benchmark {
  const benchmark = all.find((each) => each.name === name);
  return benchmark ?? program.error(`error: there is no benchmark "${name}"`);
}

function helpAfter(): string {
  const namesOf = (of: readonly Benchmark[]): string => of.map((each) => `  ${each.name}`).join('\n');
  return [
    `\nBenchmarks:\n${namesOf(BENCHMARKS)}\n\nWith --peers:\n${namesOf(PEERS)}`,
    '\nExit codes: 0 measured, whatever came out; 1 a benchmark could not be run; 2 a mistake in the command line.',
  ].join('\n');
}

function atLeastOne(text: string): number {
  const runs = Number(text);
  if (Number.isSafeInteger(runs) && runs > 0) return runs;
  throw new InvalidArgumentError('It is a whole number, 1 at least.');
}

function contextOf({ name }: Benchmark): BenchContext {
  return {
    effort,
    profileDirectory: profile === undefined ? undefined : join(profile, name),
    progress(text) {
      progress(`${name}: ${text}`);
    },
  };
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

function textOf(line: Line): string {
  const { name, variant, ratio, ours, baseline, unit, met, more, note } = line;
  const spread = ({ median, min, max }: Line['ours']): string =>
    `${figureText(median)} ${unit} (${figureText(min)} to ${figureText(max)})`;
  const verdict = met === undefined ? '' : `, target ${targetText(line)}: ${met ? 'met' : 'MISSED'}`;
  const figures = Object.entries(more).map(([key, figure]) => `${key} ${figureText(figure)}`);
  return [
    `${variant === undefined ? name : `${name}, ${variant}`}: ${spread(ours)} against ${spread(baseline)}, ratio ${figureText(ratio)}${verdict}`,
    ...(figures.length === 0 ? [] : [`  ${figures.join(', ')}`]),
    ...(note === undefined ? [] : [`  ${note}`]),
  ].join('\n');
}
