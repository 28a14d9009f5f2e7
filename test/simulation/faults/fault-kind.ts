import type { SimulatedProcess } from '@token-broker/testing';
import type { Shape } from '../scenario.js';
import type { BrokerHost } from '../world/broker-host.js';
import type { ClientHost } from '../world/client-host.js';
import type { Spoils } from '../world/trouble.js';
import type { World } from '../world/world.js';

/** By what may be left out of a run: `--faults`. `operation`: what people do, and no fault. */
export type FaultGroup = 'links' | 'store' | 'locks' | 'upstream' | 'processes' | 'clocks' | 'operation';

/** What a fault hits. */
export interface Aim {
  readonly world: World;
  /** The broker at the point that was struck, or else the one that was drawn. */
  readonly broker: BrokerHost;
  readonly client: ClientHost;
  /** Drawn: for choices that a fault has to make. */
  readonly target: number;
  /** How much, in [0, 1). */
  readonly size: number;
}

/** One kind of thing that goes wrong. */
export interface FaultKind {
  readonly name: string;
  readonly group: FaultGroup;
  readonly spoils: Spoils;
  /** Whether it can happen in a world of this shape. Default: in all. */
  readonly needs?: (shape: Shape) => boolean;
  /** Few worlds can have it: there it is drawn more often. */
  readonly isLikely?: boolean;
  /** It lasts so long at least. */
  readonly leastMs?: number;
  /** It lasts no longer than this. */
  readonly mostMs?: number;
  /** How long after its end its consequences may last. Default: as long as those of its kind. */
  readonly aftermathMs?: number;
  /** Begins; returns what ends it, where it lasts. */
  readonly begin: (aim: Aim) => (() => void) | undefined;
}

export function isAt(host: { readonly process: SimulatedProcess }, process: SimulatedProcess | undefined): boolean {
  return host.process === process;
}
