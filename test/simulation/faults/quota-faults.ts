import type { FaultKind } from './fault-kind.js';

/** What asks more of a quota than it has. */
export const QUOTA_FAULTS: readonly FaultKind[] = [
  {
    // Everything is revoked again and again: what takes the place of it has the reserve.
    name: 'burst-of-revocations',
    group: 'operation',
    spoils: 'nothing',
    needs: ({ quota }) => quota !== undefined,
    leastMs: 4_000,
    begin: ({ world, size }) => {
      const bursts = [0, 1, 2, 3].map((n) =>
        world.loop.after(n * (200 + 1_000 * size), () => {
          void world.operator.revoke({ all: true }, false);
        }),
      );
      return () => {
        for (const burst of bursts) burst.cancel();
      };
    },
  },
  {
    // Who has few callers loses them: tokens are asked for with more life than they have.
    name: 'burst-of-demands',
    group: 'operation',
    spoils: 'nothing',
    needs: ({ quota }) => quota !== undefined,
    leastMs: 4_000,
    begin: ({ world, client, size }) => {
      const minTtlMs = world.shape.tokenLifeMs * (0.9 + 0.099 * size);
      const bursts = [0, 1, 2, 3, 4, 5].map((n) =>
        world.loop.after(n * 600, () => {
          for (const { slot, handle } of client.handles) void client.ask(slot, handle, { minTtlMs });
        }),
      );
      return () => {
        for (const burst of bursts) burst.cancel();
      };
    },
  },
];
