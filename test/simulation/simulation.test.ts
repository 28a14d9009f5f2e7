import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BUGS, bugOf } from './bugs/catalogue.js';
import type { Guarantee } from './checker/violation.js';
import { runScenario } from './run/run-scenario.js';
import { shrink } from './run/shrink.js';
import { scenarioOf } from './scenario-of-seed.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SEEDS = 10_000;
/** What the seeds may take on two cores that do the {@link bareWork} in {@link BARE_MS}. Slower ones may take as much longer. */
const SEEDS_WITHIN_MS = 180_000;
const BARE_MS = 2_500;
const BARE_CORES = 2;
const HANGS_AFTER_MS = 900_000;
const BUGS_WITHIN_MS = 300_000;

/** How long work of the kind that worlds make takes, on all cores at once. */
async function bareWork(): Promise<number> {
  const all = await Promise.all(
    Array.from({ length: availableParallelism() }, () => lastLineOf('test/simulation/run/bare-work.ts')),
  );
  return Math.max(...all.map(({ line }) => (line as { readonly tookMs: number }).tookMs));
}

/** Runs the program that `npm run simulate` runs; resolves to its summary. */
async function simulate(...options: string[]): Promise<{ readonly summary: unknown; readonly code: number | null }> {
  const { line, code } = await lastLineOf('test/simulation/main.ts', '--json', ...options);
  return { summary: line, code };
}

function lastLineOf(
  program: string,
  ...options: string[]
): Promise<{ readonly line: unknown; readonly code: number | null }> {
  const node = ['--import', 'tsx', '--conditions=token-broker:source', program, ...options];
  const child = spawn(process.execPath, node, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      try {
        resolve({ line: JSON.parse(output.trim().split('\n').at(-1) ?? ''), code });
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

describe('the simulation', () => {
  it(
    `finds no violation in ${SEEDS.toLocaleString('en')} worlds, and every fault and check was at work`,
    async () => {
      const before = await bareWork();
      const { summary, code } = await simulate('--seeds', String(SEEDS));
      const slowness = ((before + (await bareWork())) / 2 / BARE_MS) * (BARE_CORES / availableParallelism());
      console.log(JSON.stringify({ ...(summary as object), slowness }));
      expect(summary).toMatchObject({ seeds: SEEDS, violations: [], idle: [] });
      expect(code).toBe(0);
      expect((summary as { tookS: number }).tookS * 1_000).toBeLessThan(SEEDS_WITHIN_MS * Math.max(1, slowness));
    },
    HANGS_AFTER_MS,
  );

  it(
    'catches every planted bug within 1,000 seeds',
    async () => {
      const { summary } = await simulate('--bug', 'all', '--rounds', '1');
      expect(summary).toMatchObject({ missed: [] });
      const { bugs } = summary as { bugs: { bug: string; broke: Guarantee[] }[] };
      expect(bugs.map(({ bug }) => bug)).toEqual(BUGS.map(({ name }) => name));
      for (const { bug, broke } of bugs)
        expect({ bug, broke }).toEqual({ bug, broke: [expect.toBeOneOf([...bugOf(bug).breaks])] });
    },
    BUGS_WITHIN_MS,
  );

  it('tells the same story for the same seed', async () => {
    const [one, two] = [
      await runScenario(scenarioOf(7), { recorded: true }),
      await runScenario(scenarioOf(7), { recorded: true }),
    ];
    expect(one.timeline).toBe(two.timeline);
    expect(one.steps).toBe(two.steps);
    const other = await runScenario(scenarioOf(8), { recorded: true });
    expect(other.timeline).not.toBe(one.timeline);
  });

  it('shrinks a violation to a shorter way to the same guarantee, and tells it', async () => {
    const bug = bugOf('forget-the-claim');
    let seed = 1;
    while ((await runScenario(scenarioOf(seed), { bug })).violation === undefined) seed++;
    const scenario = scenarioOf(seed);
    const whole = await runScenario(scenario, { bug });
    const { scenario: shortest, outcome } = await shrink(scenario, bug);
    expect(outcome.violation?.guarantee).toBe(whole.violation?.guarantee);
    expect(shortest.entries.length).toBeLessThanOrEqual(whole.order.length);
    expect(outcome.timeline).toMatch(/reserved slot=/);
    // Nothing of it can be left out.
    for (const entry of shortest.entries) {
      const entries = shortest.entries.filter((other) => other !== entry);
      expect((await runScenario({ ...scenario, entries }, { bug })).violation?.guarantee).not.toBe(
        outcome.violation?.guarantee,
      );
    }
  }, 60_000);

  it('leaves nothing broken behind: a run after a bug is as one before it', async () => {
    for (const bug of BUGS) {
      const undo = bug.patch?.();
      undo?.();
    }
    const { violation } = await runScenario(scenarioOf(9));
    expect(violation).toBeUndefined();
  });
});

it('is told of in docs/reliability.md with every planted bug', async () => {
  const text = await readFile(new URL('../../docs/reliability.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z-]+)` +\| (.+?) +\| (.+?) +\| +(\d+) \| +(\d+) \|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(BUGS.map(({ name }) => name));
  for (const [, name = '', what, broke = ''] of rows) {
    expect(what).toBe(bugOf(name).what);
    for (const guarantee of broke.split(', ')) expect(bugOf(name).breaks).toContain(guarantee);
  }
});
