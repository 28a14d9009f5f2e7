import type { FaultKind } from './fault-kind.js';

/** What happens to the locks: they are for efficiency, so that nothing may depend on them. */
export const LOCK_FAULTS: readonly FaultKind[] = [
  {
    name: 'lock-forgotten',
    group: 'locks',
    spoils: 'nothing',
    begin: ({ world }) => {
      world.locks.forget();
      return undefined;
    },
  },
  {
    name: 'lock-split',
    group: 'locks',
    spoils: 'nothing',
    begin: ({ world }) => {
      world.locks.split = true;
      return () => {
        world.locks.split = false;
      };
    },
  },
  {
    name: 'lock-masters-away',
    group: 'locks',
    spoils: 'nothing',
    // Longer than callers wait.
    leastMs: 11_000,
    begin: ({ world }) => {
      world.locks.away = true;
      return () => {
        world.locks.away = false;
      };
    },
  },
];
