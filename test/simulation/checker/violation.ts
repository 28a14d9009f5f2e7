/**
 * What every run is checked against: the guarantees of the design; that families of refresh tokens end everywhere, and do not
 * end by what brokers do (`families`); that an upstream's `quota` holds, its `pause`s are kept, and calls give way by their
 * `classes`; that a call ends in its time (`deadline`); that nobody is refused while nothing is wrong between him and a token
 * (`availability`); that the world heals (`convergence`); and that the code does not break by itself (`fault`).
 */
export const GUARANTEES = [
  'G1',
  'G2',
  'G3',
  'G4',
  'G6',
  'G7',
  'families',
  'quota',
  'pause',
  'classes',
  'deadline',
  'availability',
  'convergence',
  'fault',
] as const;

export type Guarantee = (typeof GUARANTEES)[number];

/** A guarantee that did not hold. */
export interface Violation {
  readonly guarantee: Guarantee;
  readonly what: string;
  readonly atMs: number;
}
