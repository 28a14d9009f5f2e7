import {
  createAesGcm,
  randomId,
  Redacted,
  systemRandom,
  type Aead,
  type Clock,
  type Random,
} from '@token-broker/foundation';
import {
  createSubjects,
  failure,
  getRequestSchema,
  isIdentifier,
  slotOf,
  subjectHashOf,
  TokenBrokerError,
} from '@token-broker/protocol';
import type { BrokerEventMap } from './announcer.js';
import type { SourceHandle } from './handle.js';
import type { Unsubscribe } from './listeners.js';
import { silentLogger, type ClientLogger } from './logger.js';
import type { NatsConnectionLike } from './nats-connection.js';
import type { RequestParameters } from './near-cache/slot-state.js';
import { borrowTime, timeOf } from './process-time.js';
import type { Tracing } from './traced-requests.js';
import { TokenClient, type ClientStats, type TokenInUse } from './token-client.js';

const DEFAULT_MAX_ENTRIES = 10_000;
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
const DEFAULT_REQUEST_TIMEOUT_MS = 15_000;

export interface TokenBrokerOptions {
  /** A connection of `nats` 2.x or `@nats-io/transport-node` 3.x. It stays yours: `close()` does not close it. */
  readonly connection: NatsConnectionLike;
  /** Who asks: the name that the NATS credentials of the connection stand for. */
  readonly caller: string;
  /** The first token of every subject. Default `token-broker`. */
  readonly subjectPrefix?: string;
  /** Unique among the instances of the caller. Default: random. */
  readonly instance?: string;
  /** The near cache holds this many slots at most. Default 10,000. */
  readonly maxEntries?: number;
  /** And this many bytes. Default 64 MiB. */
  readonly maxBytes?: number;
  /** How long a request may take, in ms. Default 15 s. */
  readonly requestTimeoutMs?: number;
  /**
   * Fetches the successor of a revoked token at once, where the token was used within the last minute. Default `true`.
   * After a revocation of everything, tokens are fetched when they are needed.
   */
  readonly refetchOnRevoke?: boolean;
  /** Default: the machine's. Where tokens are asked for more than a thousand times a second, a worker thread reads it. */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly aead?: Aead;
  readonly logger?: ClientLogger;
  /** Follows requests into the brokers; see `@token-broker/client/tracing`. Default: nothing travels with them. */
  readonly tracing?: Tracing;
}

/** Which token of a source. What is left out is the source's own. */
export interface SourceOptions {
  /** Scopes: a list, or a text with spaces between them. Their order has no meaning. */
  readonly scope?: string | readonly string[];
  /** Compared exactly. */
  readonly audience?: string;
  /** Compared exactly (RFC 8707). */
  readonly resource?: string;
  /**
   * On whose behalf, where the source takes it: the subject token of an exchange (RFC 8693), or an assertion (RFC 7523). Each
   * has tokens of its own. It is sent with every request of this handle, and leaves the process in no other way.
   */
  readonly subjectToken?: string;
  /** Who acts for the subject (RFC 8693). Never without a subject token. */
  readonly actorToken?: string;
}

/** A client of the token broker: a near cache that brokers keep fresh, and empty when tokens are revoked. */
export interface TokenBroker {
  /** This near cache's name on the wire. */
  readonly instance: string;
  /**
   * The handle of a source. The same source and parameters share one token. Makes no I/O.
   *
   * @throws {TokenBrokerError} `BAD_REQUEST` when source or parameters are not well formed
   */
  source(name: string, options?: SourceOptions): SourceHandle;
  /**
   * Resolves when a broker has answered for the first time. Nobody has to wait for it: `get` may be called at once.
   *
   * @throws {TokenBrokerError} `BROKER_UNAVAILABLE` when none has within `timeoutMs` (default `requestTimeoutMs`)
   */
  ready(options?: { readonly timeoutMs?: number }): Promise<void>;
  on<Name extends keyof BrokerEventMap>(name: Name, listener: (event: BrokerEventMap[Name]) => void): Unsubscribe;
  stats(): ClientStats;
  /** The held tokens that were handed out at some time. Looks at every slot: for metrics, not for each request. */
  inUse(): readonly TokenInUse[];
  /** Forgets every token, ends all background work and rejects what waits. The connection stays open. */
  close(): Promise<void>;
}

/**
 * Makes a client. It subscribes and says hello at once, without being waited for.
 *
 * @throws {TokenBrokerError} `BAD_REQUEST` when `caller` or `instance` is not an identifier
 */
export function createTokenBroker(options: TokenBrokerOptions): TokenBroker {
  const random = options.random ?? systemRandom;
  const instance = options.instance ?? randomId(random);
  for (const [what, text] of Object.entries({ caller: options.caller, instance }))
    if (!isIdentifier(text)) throw badRequest(`${what} must match [A-Za-z0-9_-]{1,64}`);
  const { clock, time, giveBack } = options.clock === undefined ? borrowTime() : timeOf(options.clock);
  const client = new TokenClient({
    connection: options.connection,
    caller: options.caller,
    instance,
    subjects: createSubjects(options.subjectPrefix),
    maxEntries: options.maxEntries ?? DEFAULT_MAX_ENTRIES,
    maxBytes: options.maxBytes ?? DEFAULT_MAX_BYTES,
    requestTimeoutMs: options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
    refetchOnRevoke: options.refetchOnRevoke ?? true,
    clock,
    time,
    random,
    aead: options.aead ?? createAesGcm(random),
    logger: options.logger ?? silentLogger,
    tracing: options.tracing,
  });
  return {
    instance,
    source(name, sourceOptions = {}) {
      if (!isIdentifier(name)) throw badRequest('a source must match [A-Za-z0-9_-]{1,64}');
      const parsed = getRequestSchema.safeParse(sourceOptions);
      if (!parsed.success) {
        const [issue] = parsed.error.issues;
        throw badRequest(`${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'not well formed'}`);
      }
      const { scope, audience, resource, subjectToken, actorToken } = parsed.data;
      const target = {
        ...(audience === undefined ? {} : { audience }),
        ...(resource === undefined ? {} : { resource }),
      };
      const slot = slotOf(name, {
        ...target,
        ...(scope === undefined ? {} : { scopes: scope }),
        ...(subjectToken === undefined ? {} : { subjectHash: subjectHashOf(subjectToken, actorToken) }),
      });
      const parameters: RequestParameters = {
        ...target,
        ...(scope === undefined ? {} : { scope }),
        ...(subjectToken === undefined ? {} : { subjectToken: new Redacted(subjectToken) }),
        ...(actorToken === undefined ? {} : { actorToken: new Redacted(actorToken) }),
      };
      return client.handle(name, slot, parameters);
    },
    ready: (readyOptions) => client.ready(readyOptions?.timeoutMs),
    on: (name, listener) => client.on(name, listener),
    stats: () => client.stats(),
    inUse: () => client.inUse(),
    close: () => client.close().finally(giveBack),
  };
}

function badRequest(message: string): TokenBrokerError {
  return new TokenBrokerError(failure('BAD_REQUEST', message));
}
