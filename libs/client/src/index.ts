export { TokenBrokerError, type ErrorCode } from '@token-broker/protocol';
export type { Aead, Clock, Random, Timer } from '@token-broker/foundation';
export type { BrokerEventMap, TokenIdentity } from './announcer.js';
export type { GetOptions, SourceEvents, SourceHandle } from './handle.js';
export type { Unsubscribe } from './listeners.js';
export type { ClientLogger } from './logger.js';
export type {
  NatsCallback,
  NatsConnectionLike,
  NatsMessageLike,
  NatsStatusLike,
  NatsSubscriptionLike,
} from './nats-connection.js';
export { passwordOf, type OpenedConnection } from './password.js';
export type { ReportOutcome } from './rejection-reports.js';
export type { Token } from './token.js';
export { createTokenBroker, type SourceOptions, type TokenBroker, type TokenBrokerOptions } from './token-broker.js';
export type { ClientStats, TokenInUse } from './token-client.js';
export type { Tracing } from './traced-requests.js';
