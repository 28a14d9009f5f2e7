import type { Guarantee } from './violation.js';

/** Says what must hold, and counts that it was looked at. */
export type Expect = (guarantee: Guarantee, holds: boolean, what: () => string) => void;
