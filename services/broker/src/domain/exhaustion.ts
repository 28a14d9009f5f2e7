/** How many calls counted at a moment. */
export interface UsageSample {
  readonly atMs: number;
  readonly used: number;
}

/** Further back than this, what happened says little of what will. */
const LOOK_BACK_MS = 600_000;
const MAX_SAMPLES = 64;
/** Samples that span less than this part of what could be looked back at tell no rate: one call is none yet. */
const LEAST_PART = 0.1;

/** The samples with one more. What is too old to tell of the present goes, but for the newest two. */
export function withSample(samples: readonly UsageSample[], sample: UsageSample, windowMs: number): UsageSample[] {
  const spanMs = Math.min(LOOK_BACK_MS, windowMs);
  const all = [...samples, sample];
  const recent = all.filter(({ atMs }, index) => index >= all.length - 2 || sample.atMs - atMs <= spanMs);
  if (recent.length <= MAX_SAMPLES) return recent;
  // Thinned in the middle: the span stays, and so does what is newest.
  const spacingMs = spanMs / (MAX_SAMPLES / 2);
  const thinned: UsageSample[] = [];
  for (const [index, each] of recent.entries()) {
    const last = thinned.at(-1);
    if (last === undefined || index >= recent.length - 2 || each.atMs - last.atMs >= spacingMs) thinned.push(each);
  }
  return thinned;
}

/**
 * When nothing remains, at the rate at which the used part has grown over the samples; 0 where nothing does now.
 * `undefined`: it has not grown, or by less than what uses up the rest before the window has let go of it.
 */
export function exhaustedInMs(
  samples: readonly UsageSample[],
  remaining: number,
  windowMs: number,
): number | undefined {
  if (remaining <= 0) return 0;
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const spanMs = last.atMs - first.atMs;
  const grown = last.used - first.used;
  if (spanMs < LEAST_PART * Math.min(LOOK_BACK_MS, windowMs) || grown <= 0) return undefined;
  const inMs = (remaining * spanMs) / grown;
  return inMs <= windowMs ? inMs : undefined;
}
