import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
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

/**
 * Measures the system against bare baselines, in turns, on real servers on this machine:
 *
 *   npm run bench -- [NAME…] [--quick] [--json] [--write] [--peers] [--profile DIRECTORY]
 *
 * NAME: benchmarks; default all. `--quick`: few and short runs. `--json`: one object a line. `--write`: writes
 * what was measured into the table of docs/performance.md; of other benchmarks, it keeps what was there. `--peers`: other libraries instead, which are installed first. `--profile`: every program that was measured writes where it spent its processor time, and the
 * largest parts are printed. Progress goes to standard error where that is a terminal. Exit code 2: no such benchmark; 1: one
 * could not be run. No figure is a reason for another exit code than 0.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
});
const { quick, json, write, peers, profile } = values;

const effort: Effort = {
  quick,
  runs: quick ? 3 : 7,
  warmUps: quick ? 1 : 2,
  choose: (full, short) => (quick ? short : full),
};

const all = peers ? PEERS : BENCHMARKS;
const chosen = positionals.length === 0 ? all : positionals.map(named);
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
  if (benchmark !== undefined) return benchmark;
  process.stderr.write(`no benchmark ${name}; there are ${all.map((each) => each.name).join(', ')}\n`);
  process.exit(2);
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
