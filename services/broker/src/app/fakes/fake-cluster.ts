import {
  traitsOf,
  type CallerConfiguration,
  type Configuration,
  type OAuth2SourceConfiguration,
  type SourceConfiguration,
  type StaticSourceConfiguration,
} from '@token-broker/configuration';
import { createAesGcm, Redacted, type Clock, type Random } from '@token-broker/foundation';
import { createSubjects, encode, type Failure, type TokenReply } from '@token-broker/protocol';
import { Broker } from '../broker.js';
import type { Lender, Provider, ProviderCapabilities } from '../ports/provider.js';
import type { Service, ServiceHandler, ServiceRequest } from '../ports/bus.js';
import { FakeBus, FakeNats } from './fake-bus.js';
import { FakeLocks } from './fake-locks.js';
import { FakeIdentityProvider } from './fake-provider.js';
import { FakeRedis } from './fake-redis.js';
import { FakeRefreshTokenJournal } from './fake-refresh-token-journal.js';
import { FakeStore } from './fake-store.js';
import { FakeUpstreamBudgets } from './fake-upstream-budgets.js';
import { noTracing, type Tracing } from '../ports/tracing.js';
import { RecordedAudit, RecordedLog, RecordedMetrics } from './recorded-telemetry.js';

export const TICK_MS = 1_000;
const PARTITIONS = 4;

class FakeService implements Service {
  handler: ServiceHandler | undefined;

  start(handle: ServiceHandler): Promise<void> {
    this.handler = handle;
    return Promise.resolve();
  }

  drain(): Promise<void> {
    this.handler = undefined;
    return Promise.resolve();
  }

  isConnected(): boolean {
    return true;
  }
}

/** A real broker on what is fake around it. */
export interface Replica {
  readonly name: string;
  readonly broker: Broker;
  readonly store: FakeStore;
  readonly budgets: FakeUpstreamBudgets;
  readonly journal: FakeRefreshTokenJournal;
  readonly bus: FakeBus;
  readonly log: RecordedLog;
  readonly audit: RecordedAudit;
  readonly metrics: RecordedMetrics;
  /** What answers requests; `undefined`: it does not serve. */
  readonly handler: ServiceHandler | undefined;
  /** The configuration file of this replica. */
  file: Configuration | readonly string[];
  ask(request: Partial<ServiceRequest>, body?: object): Promise<Reply>;
  /** Asks for the token of `payments-api` as `orders`. */
  get(body?: object): Promise<Reply>;
}

export type Reply = Partial<TokenReply> & { readonly error?: Failure } & Readonly<Record<string, unknown>>;

/** Real brokers on one fake Redis, one fake NATS and one fake identity provider. */
export class FakeCluster {
  readonly clock: Clock;
  readonly redis: FakeRedis;
  readonly nats = new FakeNats();
  readonly locks: FakeLocks;
  readonly idp: FakeIdentityProvider;
  readonly replicas: Replica[] = [];
  /** What makes the provider of a source, by its name. All others are those of {@link idp}. */
  readonly providers = new Map<string, (source: SourceConfiguration, lend: Lender) => Provider>();
  /** What the provider was given that was made last. */
  lend: Lender | undefined;
  /** What Redis is not like that it has to be. */
  redisProblems: readonly string[] = [];
  /** Of the replicas that are made from now on. */
  tracing: Tracing = noTracing;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.clock = clock;
    this.#random = random;
    this.redis = new FakeRedis(clock, PARTITIONS);
    this.locks = new FakeLocks(clock);
    this.idp = new FakeIdentityProvider(clock);
  }

  /** A replica that has not begun: {@link Broker.start} begins. */
  replica(configuration: Configuration = configurationOf()): Replica {
    const name = `b${String(this.replicas.length + 1)}`;
    const [store, bus, service] = [new FakeStore(this.redis, name), new FakeBus(this.nats, name), new FakeService()];
    const budgets = new FakeUpstreamBudgets(this.redis);
    const journal = new FakeRefreshTokenJournal(this.redis);
    const [log, audit, metrics] = [new RecordedLog(), new RecordedAudit(), new RecordedMetrics()];
    const subjects = createSubjects();
    const broker = new Broker(
      {
        clock: this.clock,
        random: this.#random,
        aead: createAesGcm(this.#random),
        store,
        locks: this.locks,
        budgets,
        journal,
        bus,
        service,
        subjects,
        log,
        audit,
        metrics: metrics.metrics,
        tracing: this.tracing,
        traitsOf,
        createProvider: (source, lend) => {
          this.lend = lend;
          return this.providers.get(source.name)?.(source, lend) ?? this.idp.provider(capabilitiesOf(source));
        },
        readConfiguration: () => Promise.resolve(replica.file),
        fsyncAlways: () => true,
        redisProblems: () => Promise.resolve(this.redisProblems),
        broker: name,
        version: '0',
      },
      configuration,
    );
    const ask = async (request: Partial<ServiceRequest>, body?: object): Promise<Reply> => {
      const { verb = 'get', caller = 'orders', target = 'payments-api' } = request;
      const whole = { verb, caller, target, subject: subjects.get(caller, target), body: EMPTY, ...request };
      const reply = await service.handler?.(body === undefined ? whole : { ...whole, body: encode(body) });
      if (reply === undefined) throw new Error(`${name} does not serve`);
      return JSON.parse(Buffer.from(reply).toString('utf8')) as Reply;
    };
    const get = (body?: object): Promise<Reply> => ask({}, body);
    const replica: Replica = {
      name,
      broker,
      store,
      budgets,
      journal,
      bus,
      log,
      audit,
      metrics,
      get handler() {
        return service.handler;
      },
      file: configuration,
      ask,
      get,
    };
    this.replicas.push(replica);
    return replica;
  }

  /** A replica that serves. */
  async start(configuration?: Configuration): Promise<Replica> {
    const replica = this.replica(configuration);
    await replica.broker.start();
    return replica;
  }
}

const EMPTY = new Uint8Array();

/** The configuration that every replica of a test starts with, with changes. */
export function configurationOf(change: Partial<Configuration> = {}): Configuration {
  const callers: CallerConfiguration[] = [
    {
      name: 'orders',
      grants: new Map([['payments-api', { scopes: [], audiences: [] }]]),
      admin: false,
      clientIds: ['orders'],
    },
    { name: 'ops', grants: new Map([['*', { scopes: 'any', audiences: 'any' }]]), admin: true, clientIds: ['ops'] },
  ];
  return {
    namespace: 'test',
    nats: {
      servers: [],
      subjectPrefix: 'token-broker',
      credentials: { kind: 'none' },
      eventCredentials: { kind: 'none' },
    },
    redis: {
      topology: { kind: 'standalone', host: '127.0.0.1', port: 0, database: 0 },
      commandTimeoutMs: 1_000,
      lockMasters: [],
      durableReplicas: 0,
    },
    encryption: { keys: [{ id: 'k1', secret: new Redacted(new Uint8Array(32).fill(1)) }] },
    http: { listen: { host: '127.0.0.1', port: 0 } },
    log: { level: 'info' },
    audit: { to: 'stdout' },
    cluster: {
      partitions: PARTITIONS,
      tickMs: TICK_MS,
      minLifetimeMs: 5_000,
      maxStalenessMs: 60_000,
      demandMs: 600_000,
    },
    memory: { maxEntries: 1_000, maxBytes: 10_000_000 },
    sources: new Map([['payments-api', sourceOf()]]),
    callers: new Map(callers.map((caller) => [caller.name, caller])),
    ...change,
  };
}

/** What the fake can do for a source of this configuration. */
function capabilitiesOf(source: SourceConfiguration): Partial<ProviderCapabilities> {
  return source.provider === 'oauth2'
    ? { mayRotate: source.grant.kind === 'refresh_token' }
    : { canRevoke: false, callsUpstream: false, needsRefresher: false, takesParameters: false };
}

export function sourceOf(change: Partial<OAuth2SourceConfiguration> = {}): OAuth2SourceConfiguration {
  return {
    name: 'payments-api',
    provider: 'oauth2',
    grant: { kind: 'client_credentials' },
    endpoint: { kind: 'issuer', issuer: 'https://login.example.com' },
    allowInsecureHttp: false,
    clientId: 'payments',
    clientAuthentication: { kind: 'client_secret_basic', clientSecret: new Redacted('secret') },
    scopes: ['payments:read'],
    parameters: new Map(),
    timeoutMs: 10_000,
    lockTimeMs: 12_000,
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 31_536_000_000,
    acceptNarrowerScope: false,
    refresh: { ahead: { kind: 'fraction', fraction: 0.2 }, keepWarm: false },
    quota: [],
    ...change,
  };
}

/** A source of which nobody is called. */
export function staticSourceOf(name: string, username?: string): StaticSourceConfiguration {
  return {
    name,
    provider: 'static',
    value: new Redacted('value'),
    tokenType: 'password',
    ...(username === undefined ? {} : { username }),
    lifetimeMs: 86_400_000,
    scopes: [],
    timeoutMs: 1_000,
    lockTimeMs: 3_000,
    refresh: { ahead: { kind: 'fraction', fraction: 0.2 }, keepWarm: false },
    quota: [],
  };
}
