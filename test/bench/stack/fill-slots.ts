import type { BenchContext } from '../harness/benchmark.js';
import type { SlotFillerMethods } from '../programs/slot-filler.js';
import type { Stack } from './stack.js';

const IN_FLIGHT = 64;
/** Between two words of progress. */
const AT_ONCE = 2_000;

/**
 * Asks for so many slots of one source, each in so many rounds: the first fetches them, the next ones spread them over the
 * replicas.
 */
export async function fillSlots(context: BenchContext, stack: Stack, slots: number, rounds = 1): Promise<void> {
  const filler = await stack.worker<SlotFillerMethods>('slot-filler');
  await filler.call('open', stack.nats.url);
  for (let round = 0; round < rounds; round++)
    for (let from = 0; from < slots; from += AT_ONCE) {
      context.progress(`fetching slots: ${String(from)} of ${String(slots)}`);
      await filler.call('ask', { from, count: Math.min(AT_ONCE, slots - from), inFlight: IN_FLIGHT });
    }
}
