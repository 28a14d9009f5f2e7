/** `1 token`, `2 tokens`, `0 near caches`. */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${String(count)} ${count === 1 ? singular : plural}`;
}

/** A generation is the time of its birth in microseconds: as people write it, in UTC. */
export function generationTime(generation: number): string {
  return Number.isNaN(new Date(generation / 1_000).getTime()) ? String(generation) : timeOf(generation / 1_000);
}

/** A moment as people write it, in UTC. */
export function timeOf(wallMs: number): string {
  const at = new Date(wallMs);
  return Number.isNaN(at.getTime()) ? String(wallMs) : at.toISOString().replace('T', ' ').replace('Z', '');
}

/** The value that `share` (0 to 1) of the sorted figures do not exceed (nearest rank). */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
