import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Benchmark, Line, Results } from './benchmark.js';
import { replaceBetweenMarkers, tableOf } from './table.js';

/** The lines of the benchmarks that were measured now take the place of older ones; all in the order of the benchmarks. */
export function mergedLines(
  older: readonly Line[],
  newer: readonly Line[],
  benchmarks: readonly Benchmark[],
): readonly Line[] {
  return benchmarks.flatMap(({ name }) => {
    const ofName = (lines: readonly Line[]): Line[] => lines.filter((line) => line.name === name);
    const measured = ofName(newer);
    return measured.length > 0 ? measured : ofName(older);
  });
}

/**
 * Writes results into their file, and the table made of them between the markers of a document.
 *
 * @param section names both the file and the markers
 */
export async function writeResults(
  paths: { readonly results: string; readonly document: string },
  section: string,
  { machine, lines }: Results,
  benchmarks: readonly Benchmark[],
): Promise<void> {
  const older = await readResults(paths.results);
  const results = { machine, lines: mergedLines(older?.lines ?? [], lines, benchmarks) };
  const document = await readFile(paths.document, 'utf8');
  await mkdir(dirname(paths.results), { recursive: true });
  await writeFile(paths.results, `${JSON.stringify(results, undefined, 2)}\n`);
  await writeFile(paths.document, replaceBetweenMarkers(document, section, tableOf(results, benchmarks)));
}

/** `undefined` where nothing was measured yet. */
export async function readResults(path: string): Promise<Results | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Results;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
