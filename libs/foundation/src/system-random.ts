import { randomBytes } from 'node:crypto';
import type { Random } from './random.js';

/** The operating system's randomness. */
export const systemRandom: Random = {
  uniform: () => Math.random(),
  bytes: (length) => randomBytes(length),
};
