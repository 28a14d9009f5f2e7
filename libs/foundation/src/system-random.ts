import { randomFillSync } from 'node:crypto';
import type { Random } from './random.js';

/** Drawn at once, as `crypto.randomUUID` does: a draw takes as long for 12 bytes as for thousands. */
const POOL_BYTES = 4_096;

const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/** The operating system's randomness. No byte is given out twice, and none stays behind where it was drawn. */
export const systemRandom: Random = {
  uniform: () => Math.random(),
  bytes(length) {
    if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
    if (used + length > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    const drawn = pool.slice(used, used + length);
    pool.fill(0, used, used + length);
    used += length;
    return drawn;
  },
};
