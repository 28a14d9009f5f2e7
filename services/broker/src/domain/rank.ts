import { createHash } from 'node:crypto';

/**
 * The place of a broker among its peers for one slot, 0 being the first (rendezvous hashing, Thaler and Ravishankar 1996):
 * all brokers agree on it without a word, and one that goes moves only its own slots.
 */
export function rankOf(slot: string, broker: string, brokers: readonly string[]): number {
  const mine = weight(slot, broker);
  return brokers.filter((other) => other !== broker && weight(slot, other) > mine).length;
}

function weight(slot: string, broker: string): number {
  return createHash('sha256').update(`${slot}\n${broker}`).digest().readUIntBE(0, 6);
}
