import type { Violation } from '../checker/violation.js';
import type { FaultGroup } from '../faults/catalogue.js';
import type { Hunt } from './hunt.js';
import { medianSeeds } from './hunt.js';
import type { Shrunk } from './shrink.js';
import type { Totals } from './totals.js';

/** Lines of the story that are shown of each process. */
const LINES_SHOWN = 60;

export const counted = (count: number, what: string): string => `${count.toLocaleString('en')} ${what}`;

/** How often each fault was injected and each guarantee was put to the test. */
export function describeTotals(totals: Totals): string {
  const table = (title: string, counts: ReadonlyMap<string, number>): string[] => [
    `${title}:`,
    ...[...counts]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, count]) => `  ${name.padEnd(36)} ${count.toLocaleString('en').padStart(12)}`),
  ];
  const { complete, incomplete, failed } = totals.revocations;
  return [
    ...table('faults injected, and operations', totals.struck),
    ...table('checks made', totals.exercised),
    ...table('callers refused', totals.refusals),
    ...table('revocations', new Map(Object.entries({ complete, incomplete, failed }))),
    `${counted(totals.steps, 'steps')}, ${counted(Math.round(totals.simulatedMs / 3_600_000), 'simulated hours')}, ${counted(totals.idpCalls, 'calls of identity providers')}`,
  ].join('\n');
}

/** A violation in one line, for whoever does not wait for the end of the run: what it was, and how to see it again. */
export function describeFound(seed: number, violation: Violation, faults: readonly FaultGroup[] | undefined): string {
  const { guarantee, what, atMs } = violation;
  const only = faults === undefined ? '' : ` --faults ${faults.join(',')}`;
  const again = `npm run simulate -- --from ${String(seed)} --seeds 1${only}`;
  return `VIOLATION of ${guarantee} with seed ${String(seed)} at ${atMs.toFixed(1)} ms: ${what} (again: ${again})`;
}

/** A violation for people: the seed, the shortest way to it, and the story of each process. */
export function describeViolation({ scenario, outcome, from }: Shrunk, bug: string | undefined): string {
  const { violation, timeline } = outcome;
  const planted = bug === undefined ? '' : ` --bug ${bug}`;
  const entries = scenario.entries.map(({ kind, trigger, forMs }) => {
    const when =
      'atMs' in trigger ? `at ${String(trigger.atMs)} ms` : `at ${trigger.point} number ${String(trigger.nth)}`;
    return `  ${kind} ${when}, for ${forMs.toFixed(0)} ms`;
  });
  return [
    `VIOLATION of ${violation?.guarantee ?? '?'} with seed ${String(scenario.seed)} at ${violation?.atMs.toFixed(1) ?? '?'} ms`,
    violation?.what ?? '',
    `the world: ${JSON.stringify(scenario.shape)}`,
    `the shortest way to it (${String(scenario.entries.length)} of ${String(from)} entries):`,
    ...entries,
    'its last lines:',
    (timeline ?? '').split('\n').slice(-LINES_SHOWN).join('\n'),
    `again: npm run simulate -- --from ${String(scenario.seed)} --seeds 1${planted}`,
  ].join('\n');
}

/** The table of planted bugs, as it is kept in `docs/reliability.md`. */
export function describeHunts(hunts: readonly Hunt[]): string {
  const rows = hunts.map((hunt) => {
    const { bug, broke, seeds } = hunt;
    const worst = Math.max(...seeds.map((count) => count ?? Number.POSITIVE_INFINITY));
    return `| \`${bug.name}\` | ${bug.what} | ${broke.join(', ')} | ${String(medianSeeds(hunt))} | ${Number.isFinite(worst) ? String(worst) : 'not caught'} |`;
  });
  return [
    '| bug | the rule that is broken | caught by | median seeds | most |',
    '| --- | --- | --- | ---: | ---: |',
    ...rows,
  ].join('\n');
}
