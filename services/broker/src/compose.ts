import { hostname } from 'node:os';
import {
  createAesGcm,
  createSystemClock,
  delay,
  randomId,
  systemRandom,
  type Clock,
  type Redacted,
} from '@token-broker/foundation';
import {
  formatProblems,
  loadConfiguration,
  secretsOf,
  secretsOfDoor,
  traitsOf,
  type Configuration,
} from '@token-broker/configuration';
import { createSubjects } from '@token-broker/protocol';
import { createAdminDoor, type AdminDoor } from './adapters/http/admin-door.js';
import { createHttpServer, type HttpServer } from './adapters/http/http-server.js';
import { connectNats } from './adapters/nats/nats-connection.js';
import { createNatsBus } from './adapters/nats/nats-bus.js';
import { createNatsService } from './adapters/nats/nats-service.js';
import { createProvider } from './adapters/providers/provider-registry.js';
import { checkRedis, connectLockMaster, connectRedis } from './adapters/redis/redis-connection.js';
import { RedisRefreshTokenJournal } from './adapters/redis/redis-refresh-token-journal.js';
import { RedisStore } from './adapters/redis/redis-store.js';
import { RedisUpstreamBudgets } from './adapters/redis/redis-upstream-budgets.js';
import { RedlockLocks } from './adapters/redis/redlock-locks.js';
import type { RedisClient } from './adapters/redis/scripts.js';
import { createLog, type JsonLog } from './adapters/telemetry/log.js';
import { createMetrics } from './adapters/telemetry/metrics.js';
import { loadTracing } from './adapters/telemetry/open-telemetry.js';
import { Broker } from './app/broker.js';
import { composeAudit } from './compose/audit.js';
import { version } from './version.js';

/** A broker that runs in this process. */
export interface RunningBroker {
  /** This replica's name among its peers. */
  readonly broker: string;
  /** Where `/metrics`, `/livez` and `/readyz` are. */
  readonly http: HttpServer['address'];
  /** Where the operators' verbs are over HTTP; `undefined`: nowhere. */
  readonly admin: AdminDoor['address'] | undefined;
  /** Resolves when requests are served. Rejects when this broker must not go on. */
  readonly serving: Promise<void>;
  readonly log: JsonLog;
  reload(): Promise<void>;
  /** Drains and leaves; at most for `limitMs`. */
  stop(limitMs: number): Promise<void>;
}

/** How long the last records of the audit trail may take. */
const AUDIT_CLOSE_MS = 3_000;
/** How long the last spans may take. */
const SPANS_CLOSE_MS = 3_000;

/** This broker cannot run like this; the message says what to change. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart';
}

export interface StartOptions {
  /** The configuration's file, for reloads. */
  readonly path: string;
  /** Variables for `${env:…}`. */
  readonly env: NodeJS.ProcessEnv;
  /** Hears of the files that the configuration was made of, each time that it is read again; of those alone that were read, where it is broken. */
  readonly onFiles?: (files: readonly string[], isWhole: boolean) => void;
  /** Takes the log's lines. Default: standard output. */
  readonly writeLog?: (line: string) => void;
}

/** The only place where adapters and the application meet. Returns at once: servers may be away and come later. */
export async function startBroker(configuration: Configuration, options: StartOptions): Promise<RunningBroker> {
  const { path, env, writeLog } = options;
  const clock = createSystemClock();
  const random = systemRandom;
  const aead = createAesGcm(random);
  const broker = nameOf(randomId(random));
  const log = createLog({
    level: configuration.log.level,
    clock,
    name: 'token-broker',
    bindings: { broker },
    ...(writeLog === undefined ? {} : { write: writeLog }),
  });
  registerSecrets(log, configuration);
  const { nats, redis, namespace, cluster } = configuration;
  const subjects = createSubjects(nats.subjectPrefix);

  const { tracing, flush: flushSpans } = await loadTracing({ version, clock, log });
  const metrics = createMetrics(() => core.gauges(), { version });
  const client = connectRedis(redis, broker, log);
  const lockMasters = redis.lockMasters.map((master) => connectLockMaster(redis, master, broker, log));
  const masters: readonly RedisClient[] = lockMasters.length === 0 ? [client] : lockMasters;
  const { commandTimeoutMs, durableReplicas } = redis;
  const onError = (command: string): void => {
    metrics.storeFailed(command);
  };
  const store = new RedisStore({
    client,
    namespace,
    broker,
    partitions: cluster.partitions,
    clock,
    durableReplicas,
    commandTimeoutMs,
    onError,
  });
  const budgets = new RedisUpstreamBudgets({ client, namespace, onError });
  const journal = new RedisRefreshTokenJournal({ client, namespace, durableReplicas, commandTimeoutMs, onError });
  const locks = new RedlockLocks({ masters, namespace, clock, acquireTimeoutMs: commandTimeoutMs });
  const serving = connectNats(nats, nats.credentials, { name: 'broker', inboxPrefix: '_INBOX.broker', clock, log });
  const events = connectNats(nats, nats.eventCredentials, {
    name: 'broker-events',
    inboxPrefix: '_INBOX.broker-events',
    clock,
    log,
  });
  const { trail: audit, problem: auditProblem } = composeAudit(configuration.audit, {
    clock,
    random,
    broker,
    log,
    metrics,
    events,
  });
  const bus = createNatsBus({ connection: events, clock, log });
  const service = createNatsService({
    connection: serving,
    subjects,
    name: 'token-broker',
    version,
    queue: 'token-broker',
    clock,
    log,
    audit,
    metrics,
  });
  let fsyncAlways = false;

  const core = new Broker(
    {
      clock,
      random,
      aead,
      store,
      locks,
      budgets,
      journal,
      bus,
      service,
      subjects,
      log,
      audit,
      metrics,
      tracing,
      broker,
      version,
      fsyncAlways: () => fsyncAlways,
      redisProblems: async () => (await checkRedis(client)).problems,
      traitsOf,
      createProvider: (source, lend) => createProvider(source, { clock, log, lend }),
      readConfiguration: async () => {
        const loaded = await loadConfiguration(path, { env });
        options.onFiles?.(loaded.ok ? loaded.value.files : loaded.error.files, loaded.ok);
        if (!loaded.ok) return formatProblems(loaded.error.problems, loaded.error.file).split('\n');
        registerSecrets(log, loaded.value.configuration);
        const { admin } = loaded.value.configuration.http;
        if (admin !== undefined) door?.update(admin);
        return loaded.value.configuration;
      },
    },
    configuration,
  );
  const http = await createHttpServer({
    listen: configuration.http.listen,
    metrics,
    isLive: () => true,
    readiness: () => core.readiness(),
    log,
  });
  log.info('http: listening', { address: `${http.address.host}:${String(http.address.port)}` });
  const { admin } = configuration.http;
  const door =
    admin === undefined
      ? undefined
      : await createAdminDoor({
          configuration: admin,
          handle: (request) => core.administer(request),
          clock,
          log,
          audit,
          metrics,
        });
  if (door !== undefined)
    log.info('http: operators may come in', { address: `${door.address.host}:${String(door.address.port)}` });

  const begin = async (): Promise<void> => {
    const unwritable = await auditProblem();
    if (unwritable !== undefined) throw new CannotStart(unwritable);
    await whenReady(client, clock);
    const found = await checkRedis(client);
    if (found.problems.length > 0) throw new CannotStart(found.problems.join('\n'));
    fsyncAlways = found.fsyncAlways;
    await core.start();
  };

  return {
    broker,
    http: http.address,
    admin: door?.address,
    serving: begin(),
    log,
    reload: async () => {
      audit.reopen();
      await core.reload();
    },
    stop: async (limitMs) => {
      // What operators are waiting for is answered first: after that nothing can be revoked here.
      const deadlineMs = clock.elapsedMs() + limitMs;
      await door?.close(limitMs / 2);
      await core.stop(Math.max(limitMs / 2, deadlineMs - clock.elapsedMs()));
      await Promise.all([audit.close(AUDIT_CLOSE_MS), flushSpans(SPANS_CLOSE_MS)]);
      await Promise.all([serving.close(), events.close(), http.close()]);
      for (const connection of [client, ...lockMasters]) connection.disconnect();
      log.info('broker: stopped');
      log.flush();
    },
  };
}

/** Resolves when Redis has been reached; the connection itself goes on trying, and says so in the log. */
async function whenReady(client: RedisClient, clock: Clock): Promise<void> {
  while (client.status !== 'ready') {
    const ended = new AbortController();
    client.once('ready', () => {
      ended.abort();
    });
    await delay(clock, 1_000, ended.signal);
  }
}

/** Host and a random part: unique, and people can tell where it runs. */
function nameOf(random: string): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9_-]/g, '-')
    .slice(0, 40);
  return `${host}-${random.slice(0, 8)}`;
}

function registerSecrets(log: JsonLog, configuration: Configuration): void {
  const register = (secret: Redacted | undefined): void => {
    if (secret !== undefined) log.registerSecret(secret);
  };
  for (const source of configuration.sources.values()) secretsOf(source).forEach(register);
  for (const { secret } of configuration.encryption.keys) {
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      log.registerSecret(Buffer.from(secret.reveal()).toString(encoding));
  }
  register(configuration.redis.password);
  const { admin } = configuration.http;
  if (admin !== undefined) secretsOfDoor(admin).forEach(register);
  for (const credentials of [configuration.nats.credentials, configuration.nats.eventCredentials]) {
    if (credentials.kind === 'user') register(credentials.password);
    if (credentials.kind === 'token') register(credentials.token);
    if (credentials.kind === 'nkey') register(credentials.seed);
    if (credentials.kind === 'creds') register(credentials.creds);
  }
}
