import type { RedisConfiguration, TlsConfiguration } from '@token-broker/configuration';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../../app/ports/telemetry.js';
import type { RedisClient } from './scripts.js';

const RECONNECT_MAX_MS = 1_000;
/** A connection over which nothing came for so many command timeouts, though something is awaited, is dead. */
const DEAD_AFTER_TIMEOUTS = 2;

/**
 * Connects to Redis as the configuration says: standalone, through Sentinel, or a Cluster. The client reconnects for ever;
 * a command fails at once while there is no connection, and never runs twice by itself.
 */
export function connectRedis(configuration: RedisConfiguration, name: string, log: Log): RedisClient {
  const demotion = createDemotionWatch();
  const options = { ...optionsOf(configuration, name), reconnectOnError: demotion.isNew };
  const client = createClient(configuration, options);
  client.on('ready', demotion.over);
  return watched(client, 'redis', log);
}

/** Connects to one of the independent masters of the lock, with the credentials of the main connection. */
export function connectLockMaster(
  configuration: RedisConfiguration,
  master: RedisConfiguration['lockMasters'][number],
  name: string,
  log: Log,
): RedisClient {
  const { tls, ...options } = optionsOf(configuration, name);
  const { host, port } = master;
  return watched(
    new Redis({ ...options, host, port, ...(master.tls ? { tls: tls ?? {} } : {}) }),
    `lock master ${host}`,
    log,
  );
}

/**
 * A master that has been demoted refuses every write: look for the new one instead of failing on the old one for ever. Once
 * for each connection, since many commands are refused before it has ended.
 */
function createDemotionWatch(): { readonly isNew: (error: Error) => boolean; readonly over: () => void } {
  let isNoticed = false;
  return {
    isNew(error) {
      if (isNoticed || !error.message.startsWith('READONLY')) return false;
      isNoticed = true;
      return true;
    },
    over() {
      isNoticed = false;
    },
  };
}

function watched(client: RedisClient, who: string, log: Log): RedisClient {
  client.on('error', (error: Error) => {
    log.warn(`${who}: connection error`, { reason: error.message.slice(0, 160) });
  });
  client.on('ready', () => {
    log.info(`${who}: connected`);
  });
  client.on('close', () => {
    log.warn(`${who}: disconnected`);
  });
  return client;
}

function createClient(
  configuration: RedisConfiguration,
  options: ReturnType<typeof optionsOf> & Pick<RedisOptions, 'reconnectOnError'>,
): RedisClient {
  const { topology } = configuration;
  switch (topology.kind) {
    case 'standalone':
      return new Redis({ ...options, host: topology.host, port: topology.port, db: topology.database });
    case 'sentinel':
      return new Redis({
        ...options,
        sentinels: topology.sentinels.map(({ host, port }) => ({ host, port })),
        name: topology.name,
        // The next sentinel is asked when one takes the connection and never answers.
        sentinelCommandTimeout: configuration.commandTimeoutMs,
        db: topology.database,
        ...(topology.sentinelPassword === undefined ? {} : { sentinelPassword: topology.sentinelPassword.reveal() }),
      });
    case 'cluster':
      return new Cluster(
        topology.nodes.map(({ host, port }) => ({ host, port })),
        { redisOptions: options, enableOfflineQueue: false, clusterRetryStrategy: reconnectAfterMs },
      );
  }
}

function optionsOf(configuration: RedisConfiguration, name: string) {
  return {
    connectionName: name,
    ...(configuration.username === undefined ? {} : { username: configuration.username }),
    ...(configuration.password === undefined ? {} : { password: configuration.password.reveal() }),
    ...(configuration.tls === undefined ? {} : { tls: tlsOf(configuration.tls) }),
    commandTimeout: configuration.commandTimeoutMs,
    connectTimeout: Math.max(2_000, configuration.commandTimeoutMs),
    // A host that vanished resets nothing: without this every command would time out until TCP gives up, for a quarter of an hour.
    socketTimeout: DEAD_AFTER_TIMEOUTS * configuration.commandTimeoutMs,
    // By default a command whose reply was lost is sent again: an increment would run twice. Ours are idempotent, but when
    // to send again is the protocol's decision.
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: null,
    retryStrategy: reconnectAfterMs,
  } satisfies RedisOptions;
}

function reconnectAfterMs(tries: number): number {
  return Math.min(RECONNECT_MAX_MS, 50 * 2 ** Math.min(tries, 6));
}

function tlsOf(tls: TlsConfiguration): NonNullable<RedisOptions['tls']> {
  return {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key.reveal() }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
  };
}

/** What the server itself, each master of a Cluster, must be like; each finding is one sentence with its remedy. */
export async function checkRedis(
  client: RedisClient,
): Promise<{ readonly problems: readonly string[]; readonly fsyncAlways: boolean }> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  const found = await Promise.all(nodes.map(checkNode));
  return {
    problems: [...new Set(found.flatMap(({ problems }) => problems))],
    fsyncAlways: found.length > 0 && found.every(({ fsyncAlways }) => fsyncAlways),
  };
}

async function checkNode(
  node: Redis,
): Promise<{ readonly problems: readonly string[]; readonly fsyncAlways: boolean }> {
  const problems: string[] = [];
  let fsyncAlways = false;
  try {
    const settings = new Map<string, string>();
    for (const name of ['maxmemory-policy', 'maxmemory', 'appendonly', 'appendfsync']) {
      const reply = await node.config('GET', name);
      settings.set(name, reply[1] ?? '');
    }
    const policy = settings.get('maxmemory-policy') ?? 'noeviction';
    if (policy !== 'noeviction' && settings.get('maxmemory') !== '0') {
      problems.push(
        `Redis evicts keys (maxmemory-policy ${policy}): floors could vanish and revoked tokens return. Set maxmemory-policy noeviction.`,
      );
    }
    fsyncAlways = settings.get('appendonly') === 'yes' && settings.get('appendfsync') === 'always';
  } catch {
    // CONFIG is often forbidden; then nothing is claimed about durability.
  }
  return { problems, fsyncAlways };
}
