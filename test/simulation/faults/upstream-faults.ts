import type { Mood } from '../world/identity-provider.js';
import type { FaultKind } from './fault-kind.js';

/** After so many refusals of a client in a row, and the pauses between them, trouble is over. */
const DENIED_AFTERMATH_MS = 50_000;

function inMood(mood: Exclude<Mood, 'well'>): FaultKind {
  return {
    name: `idp-${mood}`,
    group: 'upstream',
    spoils: 'upstream',
    begin: ({ world }) => {
      world.idp.mood = mood;
      return () => {
        world.idp.mood = 'well';
      };
    },
  };
}

/** What identity providers do. */
export const UPSTREAM_FAULTS: readonly FaultKind[] = (
  ['slow', 'hung', 'busy', 'failing', 'resetting', 'malformed'] as const
).map(inMood);

export const LATER_UPSTREAM_FAULTS: readonly FaultKind[] = [
  inMood('distant'),
  { ...inMood('denying'), mostMs: 3_000, aftermathMs: DENIED_AFTERMATH_MS },
];
