import type { Clock } from '@token-broker/foundation';
import type { LeaseKeeper } from './cluster/lease-keeper.js';
import { holdingsOf } from './memory/holdings.js';
import type { Memory } from './memory/memory.js';
import type { Store } from './ports/store.js';
import type { Gauges } from './ports/telemetry.js';
import type { GetToken } from './requests/get-token.js';
import type { Sync } from './requests/sync.js';
import type { Sources } from './sources/sources.js';
import type { BudgetWatch } from './upstream/budget-watch.js';

export interface GaugePorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly memory: Memory;
  readonly sources: Sources;
  readonly leaseKeeper: LeaseKeeper;
  readonly getToken: GetToken;
  readonly sync: Sync;
  readonly budgetWatch: BudgetWatch;
  readonly demandMs: number;
  readonly natsConnected: () => boolean;
}

/** What metrics show at this moment. Waits a moment for Redis, and does without it. Never rejects. */
export async function gaugesNow(ports: GaugePorts): Promise<Gauges> {
  const { clock, store, memory, sources, leaseKeeper, getToken, sync, budgetWatch, demandMs, natsConnected } = ports;
  const [holdingsBySource] = await Promise.all([holdingsOf(memory, clock, demandMs), budgetWatch.look()]);
  return {
    memoryEntries: memory.size,
    memoryBytes: memory.bytes,
    flights: getToken.flights,
    leaseAgeMs: leaseKeeper.leaseAgeMs,
    natsConnected: natsConnected(),
    redisAvailable: store.isAvailable(),
    heartbeatAgeMs: leaseKeeper.heartbeatAgeMs,
    brokers: leaseKeeper.brokers.length,
    holdingsBySource,
    nearCachesSeen: sync.nearCachesSeen,
    nearCachesBySource: sync.nearCachesBySource,
    pausedBySource: new Map([...sources.current.sources.keys()].map((name) => [name, leaseKeeper.paused.has(name)])),
    budgets: budgetWatch.budgets,
  };
}
