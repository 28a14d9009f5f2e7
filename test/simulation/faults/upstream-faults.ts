import type { Mood } from '../world/identity-provider.js';
import type { FaultKind } from './fault-kind.js';

const MOODS: readonly Exclude<Mood, 'well'>[] = ['slow', 'hung', 'busy', 'failing', 'resetting', 'malformed'];

/** What identity providers do. */
export const UPSTREAM_FAULTS: readonly FaultKind[] = MOODS.map((mood) => ({
  name: `idp-${mood}`,
  group: 'upstream',
  spoils: 'upstream',
  begin: ({ world }) => {
    world.idp.mood = mood;
    return () => {
      world.idp.mood = 'well';
    };
  },
}));
