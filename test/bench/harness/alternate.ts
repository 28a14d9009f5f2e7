import type { BenchContext } from './benchmark.js';

export interface Sides<Ours, Baseline = Ours> {
  readonly ours: readonly Ours[];
  readonly baseline: readonly Baseline[];
}

/**
 * Runs both sides in turns (A B A B …), so that whatever the machine does meanwhile hits both; a warm-up of each comes
 * first and does not count.
 */
export async function alternate<Ours, Baseline = Ours>(
  { effort, progress }: Pick<BenchContext, 'effort' | 'progress'>,
  sides: { readonly ours: () => Promise<Ours>; readonly baseline: () => Promise<Baseline> },
): Promise<Sides<Ours, Baseline>> {
  const ours: Ours[] = [];
  const baseline: Baseline[] = [];
  const all = effort.warmUps + effort.runs;
  for (let run = 1; run <= all; run++) {
    progress(`run ${String(run)} of ${String(all)}`);
    const one = await sides.ours();
    const other = await sides.baseline();
    if (run <= effort.warmUps) continue;
    ours.push(one);
    baseline.push(other);
  }
  return { ours, baseline };
}
