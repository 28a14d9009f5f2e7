import { Cluster } from 'ioredis';
import type { RedisClient } from './scripts.js';

export interface Durability {
  /** Replicas of Redis that a write which must last is to reach; 0: nobody is asked. */
  readonly durableReplicas: number;
  /** Half of it is the time that they have for it. */
  readonly commandTimeoutMs: number;
}

/**
 * How many replicas have confirmed the latest write of this client. WAIT counts for the connection that wrote, so it must be
 * the same one (a fresh connection overstates).
 */
export async function confirmedReplicas(client: RedisClient, durability: Durability): Promise<number> {
  const { durableReplicas, commandTimeoutMs } = durability;
  // A Cluster's client sends WAIT to any node, and another's count proves nothing.
  if (durableReplicas === 0 || client instanceof Cluster) return 0;
  try {
    return await client.wait(durableReplicas, Math.floor(commandTimeoutMs / 2));
  } catch {
    return 0;
  }
}
