import type { Selector } from '@token-broker/protocol';
import { CALLER } from '../world/configuration.js';
import type { World } from '../world/world.js';
import type { FaultKind } from './fault-kind.js';

/** Which of the revocations wait for receipts, and which are of the rarer kinds. */
const WAITS_BELOW = 0.3;
const RARE_FROM = 0.85;
/** How far back `issued-before` reaches, at most. */
const ISSUED_BEFORE_MS = 10_000;

/** What operators do, in the midst of all this. */
export const OPERATIONS: readonly FaultKind[] = [
  {
    name: 'revoke-slot',
    group: 'operation',
    spoils: 'nothing',
    begin: ({ world, target, size }) => {
      const { slot = '' } = world.slots[target % world.slots.length] ?? {};
      void (size < RARE_FROM ? world.operator.revoke({ slot }, size < WAITS_BELOW) : world.operator.replace(slot));
      return undefined;
    },
  },
  {
    name: 'revoke-source',
    group: 'operation',
    spoils: 'nothing',
    begin: ({ world, target, size }) => {
      const { source = '' } = world.slots[target % world.slots.length] ?? {};
      // The caller may have every source: one order of many targets.
      void world.operator.revoke(size < RARE_FROM ? { source } : { caller: CALLER }, size < WAITS_BELOW);
      return undefined;
    },
  },
  {
    name: 'revoke-all',
    group: 'operation',
    spoils: 'nothing',
    begin: ({ world, size }) => {
      void world.operator.revoke(widest(world, size), size < WAITS_BELOW);
      return undefined;
    },
  },
];

/** Everything; or all of a provider; or what was issued before a moment of the last seconds, by the clock of Redis. */
function widest(world: World, size: number): Selector {
  if (size < RARE_FROM) return { all: true };
  const rarity = (size - RARE_FROM) / (1 - RARE_FROM);
  // Where the provider gives one token for two claims, nobody can tell when it was issued.
  if (rarity < 0.5 || world.shape.idpCaches) return { provider: 'oauth2' };
  return { issuedBeforeMs: Math.floor(world.redis.redis.nowMs - (rarity - 0.5) * 2 * ISSUED_BEFORE_MS) };
}
