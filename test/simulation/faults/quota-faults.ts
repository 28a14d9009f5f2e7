import type { ClientHost } from '../world/client-host.js';
import type { World } from '../world/world.js';
import type { FaultKind } from './fault-kind.js';

/** So much of its life no token has left. */
const NEARLY_WHOLE = 0.999;

/** Asks for all slots, with more of their life than tokens have left. */
function demand(client: ClientHost, world: World): void {
  if (client.process.state !== 'running') return;
  const minTtlMs = NEARLY_WHOLE * world.shape.tokenLifeMs;
  for (const { slot, handle } of client.handles) void client.ask(slot, handle, { minTtlMs });
}

/** What asks more of a quota than it has. */
export const QUOTA_FAULTS: readonly FaultKind[] = [
  {
    // Everything is revoked again and again: what takes the place of it has the reserve.
    name: 'burst-of-revocations',
    group: 'operation',
    // What is being fetched is discarded again and again.
    spoils: 'everything',
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
    name: 'burst-of-demands',
    group: 'operation',
    spoils: 'nothing',
    needs: ({ quota }) => quota !== undefined,
    leastMs: 6_000,
    begin: ({ client, world, size }) => {
      const bursts = [0, 1, 2, 3].map((n) =>
        world.loop.after(n * (300 + 600 * size), () => {
          demand(client, world);
        }),
      );
      return () => {
        for (const burst of bursts) burst.cancel();
      };
    },
  },
  {
    // Replies to permits are lost, and they are asked for again, while much is wanted.
    name: 'permits-in-doubt',
    group: 'store',
    isLikely: true,
    spoils: 'everything',
    needs: ({ quota }) => quota !== undefined,
    leastMs: 9_000,
    begin: ({ world, size }) => {
      const links = world.brokers.map(({ process }) => world.redis.linkOf(process));
      for (const { lost } of links) lost.set('permit', 1 + Math.floor(1.5 * size));
      const bursts = Array.from({ length: 12 }, (_, n) =>
        world.loop.after(n * 600, () => {
          for (const client of world.clients) demand(client, world);
        }),
      );
      return () => {
        for (const burst of bursts) burst.cancel();
        for (const { lost } of links) lost.delete('permit');
      };
    },
  },
];
