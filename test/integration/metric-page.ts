import type { Stack } from './stack.js';

/** Every series by its name and its labels in order, as `name{a="1",b="2"}`, without the prefix of the broker's metrics. */
export type Samples = ReadonlyMap<string, number>;

const PREFIX = 'token_broker_';

/** The series of one page. Of a histogram, what counts is how often something was observed: its `_count`. */
export function samplesOf(page: string): Samples {
  const samples = new Map<string, number>();
  for (const line of page.split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    const [, name = '', labels = '', value] = match ?? [];
    if (!name.startsWith(PREFIX) || /_(bucket|sum)$/.test(name)) continue;
    const pairs = [...labels.matchAll(/\w+="(?:[^"\\]|\\.)*"/g)].map(([pair]) => pair).sort();
    samples.set(`${name.slice(PREFIX.length)}{${pairs.join(',')}}`, Number(value));
  }
  return samples;
}

/** The samples of all replicas, each series summed over them. */
export async function summed(stack: Stack): Promise<Samples> {
  const sums = new Map<string, number>();
  for (const index of stack.brokers.keys())
    for (const [series, value] of samplesOf(await stack.metrics(index)))
      sums.set(series, (sums.get(series) ?? 0) + value);
  return sums;
}

/** By how much each series has moved that has. A series that was not there counts from 0, as one does that is gone. */
export function moved(before: Samples, after: Samples, isNoise: (series: string) => boolean): Record<string, number> {
  const moves: Record<string, number> = {};
  for (const series of new Set([...before.keys(), ...after.keys()])) {
    const by = (after.get(series) ?? 0) - (before.get(series) ?? 0);
    if (by !== 0 && !isNoise(series)) moves[series] = by;
  }
  return moves;
}

/** The sum of a family's series that have all of these labels. */
export function sumOf(samples: Samples, family: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const [series, value] of samples) {
    if (!series.startsWith(`${family}{`)) continue;
    if (Object.entries(labels).every(([key, text]) => new RegExp(`[{,]${key}="${text}"[,}]`).test(series)))
      sum += value;
  }
  return sum;
}
