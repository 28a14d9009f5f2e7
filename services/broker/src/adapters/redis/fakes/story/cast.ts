import type { InvalidationTarget, SlotAddress, WholeTarget } from '../../../../app/ports/store.js';

/** A world so small that commands of a random story meet each other. */
export const PARTITIONS = 2;
export const EVERY_PARTITION = [0, 1];
const SLOTS = [
  { slot: 'AAAAAAAAAAAAAAAAAAAAAA', partition: 0 },
  { slot: 'AAAAAAAAAAAAAAAAAAAAAE', partition: 0 },
  { slot: 'AAAAAAAAAAAAAAAAAAAAAI', partition: 1 },
] as const;
export const SOURCES = ['s1', 's2'] as const;
const RECIPES = ['r1', 'r2'] as const;
const PROVIDER = 'oauth2';
/** A source whose recipe is another in a newer configuration. */
export const CHANGED = { kind: 'source', source: 's1' } as const;
export const WHOLE_TARGETS: readonly WholeTarget[] = [
  CHANGED,
  { kind: 'provider', provider: PROVIDER },
  { kind: 'all' },
];
export const TARGETS: readonly InvalidationTarget[] = [
  ...SLOTS.map(({ slot }) => ({ kind: 'slot', slot }) as const),
  ...WHOLE_TARGETS,
];
export const EVERY_ADDRESS: readonly SlotAddress[] = SLOTS.flatMap((slot) =>
  SOURCES.flatMap((source) => RECIPES.map((recipe) => ({ ...slot, source, provider: PROVIDER, recipe }))),
);
export const ATTEMPTS = ['a1', 'a2', 'a3', 'a4'] as const;

/** Longer than any story. */
export const LONG_MS = 60_000;
/** What lives for a short time is over after so long. */
export const SHORT_MS = 250;

/** Where a target lies; undefined: in every partition. */
export function partitionOf(target: InvalidationTarget): number | undefined {
  return target.kind === 'slot' ? SLOTS.find(({ slot }) => slot === target.slot)?.partition : undefined;
}

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
export const bytes = (of: string): Uint8Array => Buffer.from(of);
