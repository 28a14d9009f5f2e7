import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BENCHMARKS } from '../benchmarks/all.js';
import { PEERS } from '../benchmarks/peers.js';
import type { Benchmark, Line } from './benchmark.js';
import { judge } from './judge.js';
import { mergedLines, readResults, writeResults } from './results.js';
import { tableOf } from './table.js';

const pathOf = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const benchmark = (name: string): Benchmark => ({ name, ours: '', baseline: '', run: () => Promise.resolve([]) });
const line = (name: string, ours: number): Line => judge(name, { ours: [ours], baseline: [1], unit: 'ms' });

describe('results', () => {
  it('of what was measured again take the place of the older ones, in the order of the benchmarks', () => {
    const older = [line('b', 1), line('a', 1), line('gone', 1)];
    const merged = mergedLines(older, [line('b', 2), line('b', 3)], [benchmark('a'), benchmark('b')]);
    expect(merged.map(({ name, ratio }) => [name, ratio])).toEqual([
      ['a', 1],
      ['b', 2],
      ['b', 3],
    ]);
  });

  it('are written also where there were none, beside the table that is made of them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bench-results-'));
    const paths = { results: join(folder, 'results', 'some.json'), document: join(folder, 'document.md') };
    await writeFile(
      paths.document,
      'before\n\n<!-- begin: some (written by `npm run bench -- --write`) -->\n\n<!-- end: some -->\n\nafter\n',
    );
    const results = { machine: 'a machine', lines: [line('a', 1)] };
    await writeResults(paths, 'some', results, [benchmark('a')]);
    expect(await readResults(paths.results)).toEqual(results);
    expect(await readFile(paths.document, 'utf8')).toContain(tableOf(results, [benchmark('a')]));
    await rm(folder, { recursive: true });
  });

  it.each([
    ['benchmarks', BENCHMARKS],
    ['peers', PEERS],
  ])(
    'are what the table of %s in docs/performance.md says: it is never written by hand',
    async (section, benchmarks) => {
      const results = await readResults(pathOf(`test/bench/results/${section}.json`));
      const document = await readFile(pathOf('docs/performance.md'), 'utf8');
      const [, between = ''] = document.split(new RegExp(`<!-- (?:begin|end): ${section}\\b[^>]*-->`));
      expect(between.trim()).toBe(results === undefined ? '' : tableOf(results, benchmarks));
    },
  );
});
