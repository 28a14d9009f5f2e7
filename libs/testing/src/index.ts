export { eventually, type EventuallyOptions } from './eventually.js';
export type { NatsPermissions, NatsSubjects, NatsUser } from './servers/nats-configuration.js';
export { natsAuthorization } from './servers/nats-configuration.js';
export { startNats, type NatsOptions, type NatsServer } from './servers/nats-server.js';
export {
  startPrometheus,
  type Curve,
  type Prometheus,
  type PrometheusOptions,
  type Sample,
} from './servers/prometheus-server.js';
export { promtool, type PromtoolResult } from './servers/promtool.js';
export { startRedis, type RedisOptions, type RedisServer } from './servers/redis-server.js';
export { ensureServers, ServerUnavailableError } from './servers/server-binaries.js';
export type { ServerHandle, ServerOptions } from './servers/server-handle.js';
export { ServerStartError } from './servers/server-instance.js';
export type { Report } from './servers/server-place.js';
export type { ControlRequest } from './identity/control-endpoint.js';
export {
  startIdentityProvider,
  type IdentityProvider,
  type IdentityProviderOptions,
} from './identity/identity-provider.js';
export type { IdentityClient } from './identity/identity-client.js';
export type { ProviderOptions } from './identity/provider-configuration.js';
export {
  startScriptedIdentityProvider,
  type ScriptedIdentityProvider,
  type ScriptedReply,
  type ScriptedRequest,
} from './identity/scripted-identity-provider.js';
export { serveIdentityProvider } from './identity/serve-identity-provider.js';
export type { FailureReply, RecordedTokenRequest, TokenEndpointCounts } from './identity/token-endpoint-gate.js';
export { startProgram, type Program, type ProgramExit, type ProgramOptions } from './processes.js';
export { SeededRandom } from './seeded-random.js';
export { VirtualClock } from './virtual-clock.js';
export { startSentinel, type SentinelOptions } from './servers/redis-sentinel.js';
export { createCertificate, type TestCertificate } from './certificates.js';
export type { LinkFaults } from './fault-lane.js';
export { startFaultProxy, type FaultProxy, type FaultProxyOptions, type LinkDirection } from './fault-proxy.js';
export { EventLoop, type Scheduled } from './simulation/event-loop.js';
export { MachineClock } from './simulation/machine-clock.js';
export { SimulatedProcess, type ProcessState } from './simulation/simulated-process.js';
export { startNatsCluster, type NatsCluster, type NatsClusterOptions } from './servers/nats-cluster.js';
export { SimulatedNats, type SimulatedNatsProfile } from './simulation/simulated-nats.js';
export type { SimulatedConnectionOptions } from './simulation/driver-link.js';
export type { SimulatedConnection, SimulatedSubscription } from './simulation/simulated-connection.js';
export type { SimulatedMessage } from './simulation/simulated-message.js';
export { SimulatedNatsError } from './simulation/nats-error.js';
export type { SimulatedStatus } from './simulation/status-queue.js';
export type { MessageCounts, WireFaults } from './simulation/wire.js';
export { startRedisCluster, type RedisCluster, type RedisClusterOptions } from './servers/redis-cluster.js';
export { startRedisReplica, type RedisReplica, type RedisReplicaOptions } from './servers/redis-replica.js';
export { startPasswordDatabase, type DatabaseLogin, type PasswordDatabase } from './servers/password-database.js';
