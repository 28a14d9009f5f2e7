import { createSystemClock } from '@token-broker/foundation';
import { RedisStore } from '../redis-store.js';
import type { RedisOfFile } from './redis-of-file.js';

const clock = createSystemClock();

/** The store of one broker on a real Redis. */
export function storeOn({ client }: RedisOfFile, partitions: number, broker = 'b1'): RedisStore {
  const options = { client, namespace: 'test', partitions, broker, clock };
  return new RedisStore({ ...options, durableReplicas: 0, commandTimeoutMs: 1_000, onError: () => undefined });
}
