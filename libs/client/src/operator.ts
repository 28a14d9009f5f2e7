import { createSystemClock, randomId, systemRandom, type Clock, type Random } from '@token-broker/foundation';
import {
  createSubjects,
  describeReplySchema,
  encode,
  failure,
  isIdentifier,
  listReplySchema,
  pauseReplySchema,
  refreshReplySchema,
  reloadReplySchema,
  revokeReplySchema,
  setRefreshTokenReplySchema,
  statusReplySchema,
  TokenBrokerError,
  type DescribeReply,
  type DescribeRequest,
  type ListReply,
  type ListRequest,
  type PauseReply,
  type PauseRequest,
  type RefreshReply,
  type RefreshRequest,
  type ReloadReply,
  type ReloadRequest,
  type RevokeReply,
  type RevokeRequest,
  type SetRefreshTokenReply,
  type SetRefreshTokenRequest,
  type StatusReply,
} from '@token-broker/protocol';
import type { z } from 'zod';
import { watchConnection } from './connection-watch.js';
import type { NatsConnectionLike } from './nats-connection.js';
import { readReply } from './read-reply.js';
import { Requester } from './requester.js';
import { followed, type Tracing } from './traced-requests.js';

const DEFAULT_REQUEST_TIMEOUT_MS = 15_000;
/** How long brokers wait for identity providers where a revocation does not say. */
const DEFAULT_AT_PROVIDER_MS = 30_000;

export interface OperatorOptions {
  /** A connection of `nats` 2.x or `@nats-io/transport-node` 3.x. It stays yours: `close()` does not close it. */
  readonly connection: NatsConnectionLike;
  /** Who asks. The brokers' configuration must name it an administrator. */
  readonly caller: string;
  /** The first token of every subject. Default `token-broker`. */
  readonly subjectPrefix?: string;
  /** Unique among the instances of the caller. Default: random. */
  readonly instance?: string;
  /** How long a request may take, in ms, beyond what it asks the broker to wait. Default 15 s. */
  readonly requestTimeoutMs?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Follows requests into the brokers; see `@token-broker/client/tracing`. Default: nothing travels with them. */
  readonly tracing?: Tracing;
}

/** What is revoked, how, and why: the reason is written to the audit trail. A dry run needs none. */
export type RevocationOrder = Omit<RevokeRequest, 'v' | 'dryRun' | 'reason'> &
  ({ readonly dryRun: true; readonly reason?: string } | { readonly dryRun?: false; readonly reason: string });

/**
 * The operators' verbs. Each throws a {@link TokenBrokerError} with the broker's code, or `BROKER_UNAVAILABLE`,
 * `DEADLINE`, `FORBIDDEN`, `CLOSED`.
 */
export interface Operator {
  /**
   * Revokes. A reply says what is true: read `complete`, `durable`, `broadcast` and `audited`. After a `DEADLINE` the
   * revocation may have happened; revoking again is safe.
   */
  revoke(request: RevocationOrder): Promise<RevokeReply>;
  /**
   * Keeps the brokers from fetching tokens of a source. What is held goes on; whoever needs another token is refused with
   * `PAUSED`. When it has resolved, no fetch is begun any more; one that was under way goes on to its end.
   */
  pause(request: Omit<PauseRequest, 'v'>): Promise<PauseReply>;
  /** Lets the brokers fetch tokens of a source again. */
  resume(request: Omit<PauseRequest, 'v'>): Promise<PauseReply>;
  list(request?: Omit<ListRequest, 'v'>): Promise<ListReply>;
  /** What the broker that answers knows, and what each of the others says of itself. */
  status(): Promise<StatusReply>;
  /** All that is known of a source or a slot, but for its tokens. */
  describe(request: Omit<DescribeRequest, 'v'>): Promise<DescribeReply>;
  /**
   * Asks for newer tokens now, as the renewal ahead of expiry would: those that are held go on being good, and callers who wait
   * come first.
   */
  refresh(request: Omit<RefreshRequest, 'v'>): Promise<RefreshReply>;
  reload(request?: Omit<ReloadRequest, 'v'>): Promise<ReloadReply>;
  /**
   * Puts a refresh token there, for a source whose grant spends one. It takes effect at once, on every replica. One that was
   * spent before is refused as `BAD_REQUEST`.
   */
  setRefreshToken(request: Omit<SetRefreshTokenRequest, 'v'>): Promise<SetRefreshTokenReply>;
  close(): void;
}

/** @throws {TokenBrokerError} `BAD_REQUEST` when `caller` or `instance` is not an identifier */
export function createOperator(options: OperatorOptions): Operator {
  const { connection, caller } = options;
  const instance = options.instance ?? randomId(options.random ?? systemRandom);
  const timeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
  for (const [what, text] of Object.entries({ caller, instance }))
    if (!isIdentifier(text)) throw new TokenBrokerError(failure('BAD_REQUEST', `${what} is not an identifier`));
  const subjects = createSubjects(options.subjectPrefix);
  const requester = new Requester({ connection, caller, instance, clock: options.clock ?? createSystemClock() });
  const stopWatching = watchConnection(connection, (status) => {
    requester.onStatus(status);
  });
  const { tracing } = options;
  return createOperatorOver({
    send(verb, body, extraMs) {
      const [subject, waitMs] = [subjects.admin(caller, verb), timeoutMs + extraMs];
      if (tracing === undefined) return requester.request(subject, body, waitMs);
      const request = tracing.begin({ operation: verb, isBackground: false });
      return followed(request, (headers) => requester.request(subject, body, waitMs, headers));
    },
    close() {
      stopWatching();
      requester.close();
    },
  });
}

/** A way to the brokers. */
export interface OperatorTransport {
  /**
   * Sends the body of a verb and resolves with the bytes of the reply, whether it is a success or a failure.
   *
   * @param extraMs what the broker may take beyond the time that a request usually has
   */
  send(verb: string, body: Uint8Array, extraMs: number): Promise<Uint8Array>;
  close(): void;
}

/** The operators' verbs over another way than NATS, such as a broker's HTTP door. */
export function createOperatorOver(transport: OperatorTransport): Operator {
  const ask = async <S extends z.ZodType>(verb: string, body: object, schema: S, extraMs = 0): Promise<z.output<S>> => {
    return readReply(schema, await transport.send(verb, encode({ v: 1, ...body }), extraMs));
  };
  return {
    revoke: (request) => ask('revoke', request, revokeReplySchema, waitOf(request)),
    pause: (request) => ask('pause', request, pauseReplySchema),
    resume: (request) => ask('resume', request, pauseReplySchema),
    list: (request = {}) => ask('list', request, listReplySchema),
    status: () => ask('status', {}, statusReplySchema),
    describe: (request) => ask('describe', request, describeReplySchema),
    refresh: (request) => ask('refresh', request, refreshReplySchema, request.timeoutMs),
    reload: (request = {}) => ask('reload', request, reloadReplySchema),
    setRefreshToken: (request) => ask('refresh-token', request, setRefreshTokenReplySchema),
    close() {
      transport.close();
    },
  };
}

/** What a broker may wait for successors, then for near caches, and after that for identity providers. */
function waitOf({ wait, atProvider, graceful, timeoutMs = 0 }: RevocationOrder): number {
  const providerMs = timeoutMs === 0 ? DEFAULT_AT_PROVIDER_MS : timeoutMs;
  const calls = (atProvider === true ? 1 : 0) + (graceful === true ? 1 : 0);
  return (wait === true ? timeoutMs : 0) + calls * providerMs;
}
