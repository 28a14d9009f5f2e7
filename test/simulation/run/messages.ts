import type { FaultGroup } from '../faults/catalogue.js';
import type { Outcome } from './run-scenario.js';

/** Seeds for a worker to run, one after the other. */
export interface Chunk {
  readonly from: number;
  readonly count: number;
  readonly bug: string | undefined;
  readonly groups: readonly FaultGroup[] | undefined;
}

/** An outcome as it crosses to the parent: maps as lists, and no story. */
export type Told = Omit<Outcome, 'struck' | 'refusals' | 'timeline' | 'order'> & {
  readonly struck: readonly (readonly [string, number])[];
  readonly refusals: readonly (readonly [string, number])[];
};

export function told({ timeline: _timeline, order: _order, ...outcome }: Outcome): Told {
  return { ...outcome, struck: [...outcome.struck], refusals: [...outcome.refusals] };
}
