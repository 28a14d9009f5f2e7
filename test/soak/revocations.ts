import { TokenBrokerError } from '@token-broker/client';
import type { Operator } from '@token-broker/client/operator';
import { delay, type Clock } from '@token-broker/foundation';
import type { SeededRandom } from '@token-broker/testing';
import type { Redis } from 'ioredis';

const [LEAST_GAP_MS, MOST_GAP_MS] = [3_000, 7_000];

/** A revocation that has returned. */
export interface Returned {
  readonly source: string;
  /** Wall time. */
  readonly returnedAtMs: number;
  /** Generations of the source at or below it are dead. */
  readonly floor: number;
  readonly complete: boolean;
}

/** Revokes one source after the other at random; asks again where the replica that was asked is gone. */
export async function revokeAtRandom(
  parts: { readonly clock: Clock; readonly random: SeededRandom; readonly operator: Operator; readonly redis: Redis },
  sources: readonly string[],
  untilMs: number,
): Promise<Returned[]> {
  const { clock, random, operator, redis } = parts;
  const returned: Returned[] = [];
  for (;;) {
    await delay(clock, LEAST_GAP_MS + random.integer(MOST_GAP_MS - LEAST_GAP_MS));
    if (clock.elapsedMs() >= untilMs) return returned;
    const source = sources[random.integer(sources.length)] ?? '';
    try {
      const { complete } = await operator.revoke({ selector: { source }, reason: 'soak' });
      const returnedAtMs = clock.wallMs();
      returned.push({ source, returnedAtMs, complete, floor: await cutoffOf(redis, source) });
    } catch (error) {
      // The broker that was asked has been killed, or is stopped: nothing was promised, and nothing is claimed.
      if (!(error instanceof TokenBrokerError)) throw error;
    }
  }
}

/** The least cutoff of the source in any partition: what the revocation has promised wherever a slot of it may be. */
async function cutoffOf(redis: Redis, source: string): Promise<number> {
  const metas = (await redis.keys('*:meta')).sort();
  const cutoffs = await Promise.all(metas.map((meta) => redis.hget(meta, `cutoff:source:${source}`)));
  return Math.min(...cutoffs.map(Number));
}
