import { delay, within, type Aead, type Clock, type Random } from '@token-broker/foundation';
import type { Configuration, SourceConfiguration } from '@token-broker/configuration';
import { encode, failure, type Subjects } from '@token-broker/protocol';
import { Acknowledgements } from './cluster/acknowledgements.js';
import { Administration } from './requests/administration.js';
import { BudgetWatch } from './upstream/budget-watch.js';
import { ConfigurationInForce, type ReloadResult } from './configuration-in-force.js';
import { lenderOf } from './requests/lending.js';
import { listenToEvents } from './event-listener.js';
import { FamilyEnds } from './revocation/family-ends.js';
import { gaugesNow } from './gauges.js';
import { GetToken } from './requests/get-token.js';
import { Governor } from './upstream/governor.js';
import { Inquiries } from './cluster/inquiries.js';
import { Keyring } from './tokens/keyring.js';
import { LEASE_TICKS, LeaseKeeper } from './cluster/lease-keeper.js';
import { Memory } from './memory/memory.js';
import { Notices } from './cluster/notices.js';
import { OwnCalls } from './upstream/own-calls.js';
import type { Audit } from './ports/audit.js';
import type { Bus, Service, ServiceRequest } from './ports/bus.js';
import type { Locks } from './ports/locks.js';
import { StoreError, type Store } from './ports/store.js';
import type { Lender, Provider } from './ports/provider.js';
import type { RefreshTokenJournal } from './ports/refresh-token-journal.js';
import type { Gauges, Log, Metrics } from './ports/telemetry.js';
import type { Tracing } from './ports/tracing.js';
import type { UpstreamBudgets } from './ports/upstream-budgets.js';
import { Publisher } from './cluster/publisher.js';
import type { TraitsOf } from './sources/source-fingerprints.js';
import { readinessOf, type Readiness } from './cluster/readiness.js';
import { RecordCodec } from './tokens/record-codec.js';
import { Refresher } from './refresher.js';
import { RefreshTokens } from './upstream/refresh-tokens.js';
import { ReportRejected } from './requests/report-rejected.js';
import type { RevocationPorts } from './revocation/revocation.js';
import { replicaReport, type ReplicaReportPorts } from './requests/replica-report.js';
import { Routes } from './requests/routes.js';
import { Sources, type Source } from './sources/sources.js';
import { SubjectCheck } from './requests/subject-check.js';
import { Sync } from './requests/sync.js';
import { Tally } from './requests/tally.js';
import { WithoutRedis } from './requests/without-redis.js';

export interface BrokerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly aead: Aead;
  readonly store: Store;
  readonly locks: Locks;
  readonly budgets: UpstreamBudgets;
  readonly journal: RefreshTokenJournal;
  readonly bus: Bus;
  readonly service: Service;
  readonly subjects: Subjects;
  readonly log: Log;
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly traitsOf: TraitsOf;
  /** Makes a source's way to its upstream; `lend` is what it signs or asks with, where that is another source's. */
  readonly createProvider: (source: SourceConfiguration, lend: Lender) => Provider;
  /** Reads the configuration's source again; the problems of one that is broken, by line. */
  readonly readConfiguration: () => Promise<Configuration | readonly string[]>;
  readonly fsyncAlways: () => boolean;
  /** What the Redis server is not like that it has to be, now; a sentence each. */
  readonly redisProblems: () => Promise<readonly string[]>;
  readonly broker: string;
  readonly version: string;
}

/** Redis is tried again so often until the broker has begun. */
const BEGIN_RETRY_MS = 250;
/** When an operator may try again that came too early. */
const ELSEWHERE_MS = 1_000;

/** One broker replica: the use cases, wired to their ports. It knows neither NATS nor Redis. */
export class Broker {
  readonly #ports: BrokerPorts;
  readonly #configuration: ConfigurationInForce;
  readonly #leaseMs: number;
  readonly #governor: Governor;
  readonly #refreshTokens: RefreshTokens;
  readonly #sources: Sources;
  readonly #memory: Memory;
  readonly #getToken: GetToken;
  readonly #leaseKeeper: LeaseKeeper;
  readonly #refresher: Refresher;
  readonly #gauges: () => Promise<Gauges>;
  readonly #handlers: Readonly<
    Record<ServiceRequest['verb'], (request: ServiceRequest) => Uint8Array | Promise<Uint8Array>>
  >;
  #begun = false;
  #stopping = false;

  constructor(ports: BrokerPorts, configuration: Configuration) {
    this.#ports = ports;
    const { clock, random, aead, store, locks, bus, subjects, log, audit, tracing, broker, version } = ports;
    const { cluster, namespace } = configuration;
    const tally = new Tally(clock);
    const metrics = tally.listening(ports.metrics);
    const keyring = new Keyring(aead, configuration.encryption.keys);
    const codec = new RecordCodec(keyring, random, namespace);
    const sources = new Sources(cluster.partitions);
    const routes = new Routes(sources);
    const notices = new Notices(clock);
    const peers = new Acknowledgements(clock);
    const nearCaches = new Acknowledgements(clock);
    const publisher = new Publisher({ bus, subjects, aead, metrics }, broker);
    const leaseMs = LEASE_TICKS * cluster.tickMs;
    const { tickMs, maxStalenessMs, minLifetimeMs, demandMs } = cluster;
    const timing = { tickMs, maxStalenessMs, minLifetimeMs };
    const recipeKey = (): Uint8Array => this.#configuration.recipeKey;

    const memory = new Memory(cluster.partitions, configuration.memory, {
      onApplied: () => {
        metrics.invalidationApplied();
      },
      onInvalidated: (matches) => {
        this.#getToken.detach(matches);
      },
      onHeld: (held) => {
        this.#refresher.plan(held);
      },
      onBehind: () => {
        this.#leaseKeeper.hurry();
      },
    });
    const ownCalls = new OwnCalls({ clock, random, broker, brokers: () => this.#leaseKeeper.brokers });
    const governor = new Governor({ clock, random, budgets: ports.budgets, ownCalls, log, metrics });
    const refreshTokens = new RefreshTokens(
      { clock, random, journal: ports.journal, keyring, log, recipeKey },
      namespace,
    );
    const flight = {
      clock,
      random,
      store,
      locks,
      sources,
      memory,
      notices,
      publisher,
      codec,
      log,
      audit,
      metrics,
      tracing,
      timing,
      recipeKey,
      governor,
      refreshTokens,
      onFamilyOver: (source: Source, family: string): void => {
        familyEnds.over(source, family);
      },
    };
    const subjectCheck = new SubjectCheck({ clock, sources, log, audit });
    const getToken = new GetToken({
      ...flight,
      routes,
      subjectCheck,
      withoutRedis: new WithoutRedis({
        ...{ clock, random, memory, governor, timing, maxStalenessMs, log, metrics, tracing },
        isPaused: (source) => this.#leaseKeeper.paused.has(source),
      }),
      leaseMs,
      maxStalenessMs,
      readAlong: () => this.#leaseKeeper.readAlong(),
      isBehindPeers: () => this.#leaseKeeper.isBehindPeers,
    });
    const lend = lenderOf({ clock, sources, getToken });
    const leaseKeeper = new LeaseKeeper({
      clock,
      store,
      memory,
      publisher,
      log,
      metrics,
      timing,
      onPolicy: (policy, fingerprint) => {
        this.#configuration.notePolicy(policy, fingerprint);
        if (this.#begun) this.#refresher.fetchKeptWarm();
      },
    });
    const brokers = (): readonly string[] => leaseKeeper.brokers;
    const revocation: RevocationPorts = {
      clock,
      random,
      store,
      memory,
      publisher,
      sources,
      log,
      audit,
      metrics,
      broker,
      leaseMs,
      maxStalenessMs,
      durableReplicas: configuration.redis.durableReplicas,
      fsyncAlways: ports.fsyncAlways,
      peers,
      nearCaches,
    };
    const familyEnds = new FamilyEnds(revocation);
    const rejected = new ReportRejected({
      clock,
      random,
      store,
      memory,
      routes,
      subjectCheck,
      getToken,
      publisher,
      sources,
      log,
      metrics,
    });
    const sync = new Sync({ clock, store, memory, sources, leaseKeeper, getToken, metrics, log, timing });
    const budgetWatch = new BudgetWatch({ clock, sources, governor });
    // Requests are served over one connection and events published over another: half of it is not enough.
    const natsConnected = (): boolean => ports.service.isConnected() && bus.isConnected();
    const reporting: ReplicaReportPorts = {
      ...{ clock, store, memory, sources, tally, leaseKeeper, sync, broker, version, demandMs },
      startedAtMs: clock.elapsedMs(),
      natsConnected,
      readiness: () => this.readiness(),
      plannedAtMs: (held) => this.#refresher.plannedAtMs(held),
    };
    const inquiries = new Inquiries({
      ...{ clock, random, publisher, broker, brokers },
      report: (inquiry) => replicaReport(reporting, inquiry),
    });
    const administration = new Administration({
      ...revocation,
      ...reporting,
      ...{ codec, governor, budgetWatch, refreshTokens, inquiries, getToken, tracing },
      redisProblems: ports.redisProblems,
      renew: (slot, above, asked) => getToken.obtain(slot, above, 'revoked', { asked }),
      reload: () => this.reload(),
    });
    this.#governor = governor;
    this.#refreshTokens = refreshTokens;
    this.#sources = sources;
    this.#memory = memory;
    this.#getToken = getToken;
    this.#leaseKeeper = leaseKeeper;
    this.#refresher = new Refresher({
      clock,
      random,
      memory,
      sources,
      getToken,
      log,
      metrics,
      broker,
      brokers,
      demandMs,
    });
    this.#gauges = () =>
      gaugesNow({
        clock,
        store,
        memory,
        sources,
        leaseKeeper,
        getToken,
        sync,
        budgetWatch,
        demandMs,
        natsConnected,
      });
    this.#leaseMs = leaseMs;
    this.#configuration = new ConfigurationInForce(
      {
        aead,
        random,
        store,
        sources,
        keyring,
        revocation,
        kinds: {
          createProvider: (source) => ports.createProvider(source, lend),
          traitsOf: ports.traitsOf,
        },
        log,
        audit,
        metrics,
        readConfiguration: ports.readConfiguration,
        onApplied: () => {
          this.#refresher.fetchKeptWarm();
        },
      },
      configuration,
    );
    this.#handlers = {
      get: (request) => getToken.handle(request),
      rejected: (request) => rejected.handle(request),
      sync: (request) => sync.handle(request),
      admin: (request) => administration.handle(request),
    };
    listenToEvents({
      bus,
      subjects,
      memory,
      notices,
      sources,
      getToken,
      leaseKeeper,
      publisher,
      peers,
      nearCaches,
      inquiries,
      log,
      broker,
      onReload: () => void this.reload(),
    });
  }

  /** Begins to serve. Resolves when Redis has answered for the first time; until then it keeps trying. */
  async start(): Promise<void> {
    const { log, service, clock } = this.#ports;
    while (!this.#begun && !this.#stopping) {
      try {
        await this.#begin();
        this.#begun = true;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        log.warn('store: waiting for Redis', { reason: error.message });
        await delay(clock, BEGIN_RETRY_MS);
      }
    }
    if (this.#stopping) return;
    this.#leaseKeeper.start();
    await service.start((request) => this.#handlers[request.verb](request));
    this.#refresher.fetchKeptWarm();
    log.info('broker: serving', { sources: [...this.#sources.current.sources.keys()] });
  }

  /** Ends well: no new requests, those under way are answered, flights end with their commit, the leases go. */
  async stop(limitMs: number): Promise<void> {
    const { service, store, clock } = this.#ports;
    this.#stopping = true;
    const deadlineMs = clock.elapsedMs() + limitMs;
    this.#refresher.stop();
    await service.drain(limitMs);
    await within(clock, deadlineMs - clock.elapsedMs(), this.#settle());
    this.#leaseKeeper.stop();
    await store.leave().catch(() => undefined);
    for (const { provider } of this.#sources.current.sources.values()) await provider.close();
  }

  /** Flights end with their commit; a refresh token that came back must be in the journal, and each call in its budget. */
  async #settle(): Promise<void> {
    await this.#getToken.settle();
    await Promise.all([this.#refreshTokens.settle(), this.#governor.settled()]);
  }

  /** An operators' request that came by another way than NATS, whoever its caller was found to be. */
  async administer(request: Omit<ServiceRequest, 'verb'>): Promise<Uint8Array> {
    if (!this.#begun || this.#stopping) {
      const state = this.#stopping ? 'is shutting down' : 'has not read Redis yet';
      return encode({ v: 1, error: failure('BROKER_UNAVAILABLE', `this broker ${state}`, ELSEWHERE_MS) });
    }
    return this.#handlers.admin({ ...request, verb: 'admin' });
  }

  /** Reads the configuration again; a broken one changes nothing. Never rejects. */
  reload(): Promise<ReloadResult> {
    return this.#configuration.reload();
  }

  readiness(): Readiness {
    const state = this.#stopping ? 'draining' : this.#begun ? 'ok' : 'starting';
    return readinessOf({ ...this.#ports, memory: this.#memory, leaseMs: this.#leaseMs }, state);
  }

  /** What metrics show at this moment. Waits a moment for Redis, and does without it. Never rejects. */
  gauges(): Promise<Gauges> {
    return this.#gauges();
  }

  async #begin(): Promise<void> {
    await this.#configuration.begin();
    if (!(await this.#leaseKeeper.readAlong())) throw new StoreError('lease', 'unknown', 'Redis did not answer');
  }
}
