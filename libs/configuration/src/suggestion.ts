import { distance } from 'fastest-levenshtein';

/** `did you mean "clientId"?`, or undefined where nothing known is near enough to have been meant. */
export function suggestion(written: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(written.length / 3)) + 1;
  for (const candidate of known) {
    const [a, b] = [written.toLowerCase(), candidate.toLowerCase()];
    // A word cut short or drawn out ("warning" for "warn") is near, whatever its distance.
    const isPrefix = Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a));
    const apart = isPrefix ? Math.min(1, distance(a, b)) : distance(a, b);
    if (apart < bestDistance) {
      best = candidate;
      bestDistance = apart;
    }
  }
  return best === undefined ? undefined : `did you mean "${best}"?`;
}

/** A suggestion, or else the list of what there is (when it is short enough to help). */
export function suggestionOrList(written: string, known: readonly string[]): string | undefined {
  const near = suggestion(written, known);
  if (near !== undefined) return near;
  if (known.length === 0) return undefined;
  return known.length <= 16 ? `known: ${known.join(', ')}` : undefined;
}
