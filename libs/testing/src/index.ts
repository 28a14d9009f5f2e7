export { eventually, type EventuallyOptions } from './eventually.js';
export type { NatsPermissions, NatsSubjects, NatsUser } from './servers/nats-configuration.js';
export { natsAuthorization } from './servers/nats-configuration.js';
export { startNats, type NatsOptions, type NatsServer } from './servers/nats-server.js';
export { startRedis, type RedisOptions, type RedisServer } from './servers/redis-server.js';
export { ensureServers, ServerUnavailableError } from './servers/server-binaries.js';
export type { ServerHandle, ServerOptions } from './servers/server-handle.js';
export { ServerStartError } from './servers/server-instance.js';
export type { Report } from './servers/server-place.js';
