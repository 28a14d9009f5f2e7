import { delay, type Clock } from '@token-broker/foundation';
import type { Held } from '../tokens/held.js';
import type { Memory } from './memory.js';

/** How many tokens are looked at in one go. */
const LOOKED_AT_ONCE = 2_000;

/**
 * All that memory holds, a part at a time: between two of them, requests are answered. What is used, or comes and goes
 * meanwhile may be among them or not.
 */
export async function* heldInParts(memory: Memory, clock: Clock): AsyncGenerator<readonly Held[], void, void> {
  let part: Held[] = [];
  // What is used moves to the end, where it would be met again, and again.
  let left = memory.size;
  for (const [, held] of memory.entries()) {
    if (left-- === 0) break;
    part.push(held);
    if (part.length < LOOKED_AT_ONCE) continue;
    yield part;
    part = [];
    await delay(clock, 0);
  }
  yield part;
}
