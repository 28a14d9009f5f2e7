import { within, type Aead, type Clock, type Random } from '@token-broker/foundation';
import { failure, TokenBrokerError, type Subjects } from '@token-broker/protocol';
import { Announcer, type BrokerEventMap } from './announcer.js';
import { BrokerEvents } from './broker-events.js';
import { watchConnection } from './connection-watch.js';
import { Fetcher } from './fetcher.js';
import { createHandle, type HandleBackend, type SourceHandle, type Time } from './handle.js';
import type { Unsubscribe } from './listeners.js';
import type { ClientLogger } from './logger.js';
import type { NatsConnectionLike } from './nats-connection.js';
import { applyChanges } from './near-cache/invalidations.js';
import { NearCache } from './near-cache/near-cache.js';
import { hearHeartbeat } from './near-cache/positions.js';
import { takeRefreshed } from './near-cache/refreshed.js';
import type { RequestParameters } from './near-cache/slot-state.js';
import { obtain } from './obtaining.js';
import { Refetcher } from './refetcher.js';
import { RejectionReports } from './rejection-reports.js';
import { Requester } from './requester.js';
import { Suspicion } from './suspicion.js';
import { SyncLoop } from './sync-loop.js';
import type { Tracing } from './traced-requests.js';

/** How long `close` waits for its farewell to leave the process. */
const FAREWELL_MS = 1_000;

export interface TokenClientOptions {
  readonly connection: NatsConnectionLike;
  readonly caller: string;
  readonly instance: string;
  readonly subjects: Subjects;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly requestTimeoutMs: number;
  readonly refetchOnRevoke: boolean;
  readonly clock: Clock;
  /** The same time, cheaper where it can be: for handles. */
  readonly time: Time;
  readonly random: Random;
  readonly aead: Aead;
  readonly logger: ClientLogger;
  readonly tracing: Tracing | undefined;
}

/** Figures since the client was made. */
export interface ClientStats {
  readonly hits: number;
  readonly misses: number;
  /** Requests for tokens that were sent. */
  readonly requests: number;
  /** Calls that waited for the request of another call. */
  readonly joined: number;
  /** Tokens that came with an event, without a request. */
  readonly pushes: number;
  readonly invalidations: number;
  readonly syncs: number;
  /** Whether something held may have missed an invalidation, and for how long that was so in all. */
  readonly suspect: boolean;
  readonly suspectMs: number;
  /** Slots, with or without a token. */
  readonly entries: number;
  readonly bytes: number;
}

/** A token that is held, and that was handed out. */
export interface TokenInUse {
  readonly source: string;
  readonly slot: string;
  /** Remaining life at this moment. */
  readonly expiresInMs: number;
  /** When it was last handed out, on the client's own clock. */
  readonly usedAtMs: number;
}

/** The parts of a client, wired. */
export class TokenClient {
  readonly #options: TokenClientOptions;
  readonly #announcer: Announcer;
  readonly #cache: NearCache;
  readonly #requester: Requester;
  readonly #fetcher: Fetcher;
  readonly #refetcher: Refetcher;
  readonly #events: BrokerEvents;
  readonly #sync: SyncLoop;
  readonly #suspicion: Suspicion;
  readonly #backend: HandleBackend;
  readonly #stopWatching: () => void;
  readonly #firstSync: Promise<void>;
  readonly #counters = { hits: 0, misses: 0 };
  #closed = false;

  constructor(options: TokenClientOptions) {
    this.#options = options;
    const { connection, clock, random, logger, requestTimeoutMs } = options;
    const announcer = new Announcer(logger);
    const cache = new NearCache({
      ...options,
      effects: {
        evicted(state) {
          events.slots.remove(state.source, state.slot);
          fetcher.evicted(state);
        },
        revoked(state, dead, sweeping) {
          announcer.revoked(state, dead);
          if (options.refetchOnRevoke && !sweeping) refetcher.refetch(state);
        },
        refreshed: (state, token) => {
          announcer.refreshed(state, token);
        },
        renamed: (state, token, before) => {
          announcer.renamed(state, token, before);
        },
        doubted(cause) {
          if (cause === 'gap') sync.gapped();
          else sync.suspected();
        },
      },
    });
    // The inbox comes first, and every request after it on the same connection.
    const requester = new Requester(options);
    const events = new BrokerEvents({
      ...options,
      heartbeat(heartbeat) {
        const nowMs = clock.elapsedMs();
        const ageMs = hearHeartbeat(cache, heartbeat, nowMs);
        if (ageMs !== undefined) announcer.heartbeat(ageMs);
        suspicion.look(nowMs);
      },
      invalidation({ changes }) {
        applyChanges(cache, changes, clock.elapsedMs());
      },
      refreshed(event) {
        takeRefreshed(cache, event, clock.elapsedMs());
      },
      unreadable() {
        sync.due();
      },
    });
    const fetcher = new Fetcher({
      ...options,
      requester,
      cache,
      listen({ attached, source, slot }) {
        if (attached) events.slots.add(source, slot);
      },
    });
    const refetcher = new Refetcher(clock, random, fetcher);
    const reports = new RejectionReports({ ...options, requester, cache });
    let answered: () => void = () => undefined;
    this.#firstSync = new Promise((resolve) => {
      answered = resolve;
    });
    const sync = new SyncLoop({
      ...options,
      requester,
      cache,
      synced() {
        answered();
        suspicion.look();
      },
    });
    const suspicion = new Suspicion({
      clock,
      cache,
      began() {
        sync.suspected();
        announcer.suspect(cache.timing.maxStalenessMs);
      },
      ended: (suspectMs) => {
        announcer.recovered(suspectMs);
      },
    });
    this.#announcer = announcer;
    this.#cache = cache;
    this.#requester = requester;
    this.#events = events;
    this.#fetcher = fetcher;
    this.#refetcher = refetcher;
    this.#sync = sync;
    this.#suspicion = suspicion;
    this.#backend = {
      time: options.time,
      counters: this.#counters,
      minLifetimeMs: () => cache.timing.minLifetimeMs,
      attached: ({ source, slot, parameters }) => cache.attach(source, slot, parameters),
      renew: (state) => {
        fetcher.renew(state);
      },
      obtain: (state, getOptions) => obtain({ clock, cache, fetcher, requestTimeoutMs }, state, getOptions),
      report: (state, token) => reports.report(state, token),
      on: (state, name, listener) => announcer.onSlot(state.slot, name, listener),
    };
    this.#stopWatching = watchConnection(connection, (status) => {
      requester.onStatus(status);
      if (status.type === 'reconnect') sync.due();
    });
    suspicion.start();
    sync.start();
  }

  handle(source: string, slot: string, parameters: RequestParameters): SourceHandle {
    return createHandle(this.#cache.attach(source, slot, parameters), this.#backend);
  }

  on<Name extends keyof BrokerEventMap>(name: Name, listener: (event: BrokerEventMap[Name]) => void): Unsubscribe {
    return this.#announcer.on(name, listener);
  }

  async ready(timeoutMs: number = this.#options.requestTimeoutMs): Promise<void> {
    const answered = await within(this.#options.clock, timeoutMs, this.#firstSync);
    if (!answered.inTime)
      throw new TokenBrokerError(
        failure('BROKER_UNAVAILABLE', `no broker has answered within ${String(timeoutMs)} ms`),
      );
  }

  stats(): ClientStats {
    return {
      ...this.#counters,
      ...this.#fetcher.counters,
      ...this.#cache.counters,
      ...this.#sync.counters,
      suspect: this.#suspicion.isSuspect,
      suspectMs: this.#suspicion.totalMs,
      entries: this.#cache.slotCount,
      bytes: this.#cache.bytes,
    };
  }

  inUse(): TokenInUse[] {
    const nowMs = this.#options.clock.elapsedMs();
    return [...this.#cache.slots()].flatMap((state) => {
      const { source, slot, lastUsedAtMs } = state;
      const entry = this.#cache.entryOf(state, nowMs);
      return entry === undefined || !Number.isFinite(lastUsedAtMs)
        ? []
        : [{ source, slot, expiresInMs: entry.token.expiresInMs, usedAtMs: lastUsedAtMs }];
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWatching();
    this.#suspicion.close();
    this.#refetcher.close();
    this.#fetcher.close();
    this.#sync.close();
    this.#requester.close();
    this.#cache.clear();
    this.#events.close();
    this.#announcer.close();
    const { connection, clock } = this.#options;
    if (connection.isClosed()) return;
    // A connection that is down cannot say farewell; the brokers will miss this near cache by themselves.
    await within(clock, FAREWELL_MS, connection.flush()).catch(() => undefined);
  }
}
