/**
 * What the simulation in `test/simulation` runs and replaces: the broker without its adapters to Redis and to identity
 * providers, the adapters to NATS, and the fakes. Not a part of the built package.
 */
export { createNatsBus } from './adapters/nats/nats-bus.js';
export type { NatsLink } from './adapters/nats/nats-connection.js';
export { createNatsService } from './adapters/nats/nats-service.js';
export { Broker } from './app/broker.js';
export { configurationOf, sourceOf } from './app/fakes/fake-cluster.js';
export { FakePartition, FakeRedis, type RedisData } from './app/fakes/fake-redis.js';
export {
  FakeRefreshTokenJournal,
  JOURNAL_SCRIPTS,
  type JournalScripts,
} from './app/fakes/fake-refresh-token-journal.js';
export { cutoffName, type Script } from './app/fakes/fake-scripts.js';
export { FakeStore, SCRIPTS, type Scripts, type Wire } from './app/fakes/fake-store.js';
export { BUDGET_SCRIPTS, FakeUpstreamBudgets, type BudgetScripts } from './app/fakes/fake-upstream-budgets.js';
export { FamilyEnds } from './app/revocation/family-ends.js';
export { GetToken } from './app/requests/get-token.js';
export { Governor } from './app/upstream/governor.js';
export { Memory } from './app/memory/memory.js';
export { OwedWrites } from './app/upstream/owed-writes.js';
export { PartitionView } from './app/memory/partition-view.js';
export type { Service, ServiceRequest } from './app/ports/bus.js';
export type { Audit } from './app/ports/audit.js';
export type { LockReply, Locks, ReleaseOutcome } from './app/ports/locks.js';
export type { IssuedToken, Provider, ProviderFailure, ProviderRequest } from './app/ports/provider.js';
export type { RefreshTokenJournal } from './app/ports/refresh-token-journal.js';
export { StoreError, type InvalidationTarget, type Store } from './app/ports/store.js';
export type { Log, LogFields, Metrics } from './app/ports/telemetry.js';
export { noTracing } from './app/ports/tracing.js';
export type { UpstreamBudgets } from './app/ports/upstream-budgets.js';
