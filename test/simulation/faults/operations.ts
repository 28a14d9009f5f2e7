import type { FaultKind } from './fault-kind.js';

/** What operators do, in the midst of all this. */
export const OPERATIONS: readonly FaultKind[] = [
  {
    name: 'revoke-slot',
    group: 'operation',
    spoils: 'nothing',
    begin: ({ world, target, size }) => {
      const { slot = '' } = world.slots[target % world.slots.length] ?? {};
      void world.operator.revoke({ slot }, size < 0.3);
      return undefined;
    },
  },
  {
    name: 'revoke-source',
    group: 'operation',
    spoils: 'nothing',
    begin: ({ world, target, size }) => {
      const { source = '' } = world.slots[target % world.slots.length] ?? {};
      void world.operator.revoke({ source }, size < 0.3);
      return undefined;
    },
  },
  {
    name: 'revoke-all',
    group: 'operation',
    spoils: 'nothing',
    begin: ({ world, size }) => {
      void world.operator.revoke({ all: true }, size < 0.3);
      return undefined;
    },
  },
];
