import { ok, Redacted } from '@token-broker/foundation';
import type { z } from 'zod';
import { tlsSchema, toTls } from '../certificates.js';
import type { HostAndPort, RedisConfiguration, RedisTopology } from '../configuration.js';
import { duration, hostAndPort, integer, secret, text, withDefault } from '../scalars.js';
import { crossCheck, list, refuse, setting, settings, wrongKind, type Setting } from '../settings.js';

export interface RedisUrl extends HostAndPort {
  readonly tls: boolean;
  readonly database: number;
  readonly username?: string;
  readonly password?: Redacted;
}

function redisUrl(description: string): Setting<RedisUrl> {
  return setting({ type: 'string', writeOnly: true, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a URL such as "redis://127.0.0.1:6379/0"', input));
    const url = parseRedisUrl(input);
    return url === undefined
      ? refuse('not a Redis URL', 'write redis://[user:password@]host:port/database, or rediss:// for TLS')
      : ok(url);
  });
}

/** Undefined: no such URL. The text may hold a password, so nothing of it is repeated. */
function parseRedisUrl(written: string): RedisUrl | undefined {
  if (!URL.canParse(written)) return undefined;
  const url = new URL(written);
  const [, database] = /^\/?(\d{0,5})$/.exec(url.pathname) ?? [];
  const isRedis = url.protocol === 'redis:' || url.protocol === 'rediss:';
  if (!isRedis || url.hostname === '' || database === undefined || url.search !== '' || url.hash !== '')
    return undefined;
  try {
    return {
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? 6379 : Number(url.port),
      tls: url.protocol === 'rediss:',
      database: Number(database),
      ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === '' ? {} : { password: new Redacted(decodeURIComponent(url.password)) }),
    };
  } catch {
    return undefined;
  }
}

const database = withDefault(integer('The database’s number.', { min: 0, max: 99_999 }), 0);

export const redisSchema = crossCheck(
  settings('The connection to Redis: exactly one of `url`, `sentinel` and `cluster`.', {
    url: redisUrl('A single server: redis://[user:password@]host:port/database; rediss:// for TLS.').optional(),
    sentinel: crossCheck(
      settings('A master that Redis Sentinel watches.', {
        name: text('The master’s name in the sentinels’ configuration.'),
        nodes: list('The sentinels, host:port.', hostAndPort('A sentinel, host:port.', 26379)),
        password: secret('Password of the sentinels themselves.').optional(),
        database,
      }),
      requireNodes,
    ).optional(),
    cluster: crossCheck(
      settings('A Redis Cluster.', {
        nodes: list(
          'Some of the cluster’s nodes, host:port; the others are found.',
          hostAndPort('A node, host:port.', 6379),
        ),
      }),
      requireNodes,
    ).optional(),
    username: text('User of the access control list, where it is not in `url`.').optional(),
    password: secret('Password, where it is not in `url`.').optional(),
    tls: tlsSchema.optional(),
    commandTimeout: withDefault(
      duration('A command that has no reply by then fails.', { min: '10ms', max: '1h' }),
      '1s',
    ),
    lock: crossCheck(
      settings('Where the lock lives, if not on the server above alone.', {
        masters: list(
          'Independent Redis masters, an odd number, redis:// or rediss://; they take the username and password above.',
          redisUrl('A master: redis://host:port.'),
        ),
      }),
      ({ masters }, report) => {
        if (!Array.isArray(masters)) return;
        if (masters.length % 2 === 0) {
          report(
            ['masters'],
            `a majority needs an odd number of masters, not ${String(masters.length)}`,
            'three or five',
          );
        }
        checkMasters(masters, report);
      },
    ).optional(),
    durableReplicas: withDefault(
      integer('Replicas that must confirm a revocation before it counts as durable (WAIT).', { min: 0, max: 100 }),
      0,
    ),
  }),
  (written, report) => {
    const chosen = ['url', 'sentinel', 'cluster'].filter((kind) => written[kind] !== undefined);
    if (chosen.length === 0) report([], 'names no server', 'exactly one of: url, sentinel, cluster');
    if (chosen.length > 1)
      report(
        [String(chosen[1])],
        `cannot be combined with ${String(chosen[0])}`,
        'exactly one of: url, sentinel, cluster',
      );
    if (!isRedisUrl(written['url'])) return;
    const { tls, username, password } = written['url'];
    if (!tls && written['tls'] !== undefined) report(['tls'], 'needs a TLS connection', 'write rediss:// in url');
    if (username !== undefined && written['username'] !== undefined) report(['username'], 'is in url already');
    if (password !== undefined && written['password'] !== undefined) report(['password'], 'is in url already');
  },
);

type Check = Parameters<typeof crossCheck>[1];

function requireNodes(...[{ nodes }, report]: Parameters<Check>): void {
  if (Array.isArray(nodes) && nodes.length === 0) report(['nodes'], 'needs at least one host:port');
}

function checkMasters(masters: readonly unknown[], report: Parameters<Check>[1]): void {
  const seen = new Set<string>();
  for (const [index, master] of masters.entries()) {
    if (!isRedisUrl(master)) continue;
    const name = `${master.host}:${String(master.port)}`;
    if (seen.has(name)) report(['masters', index], 'is the same server as another master');
    seen.add(name);
    if (master.username !== undefined || master.password !== undefined || master.database !== 0) {
      report(
        ['masters', index],
        'is host and port only',
        'lock masters take the username and password of redis, and database 0',
      );
    }
  }
}

function isRedisUrl(value: unknown): value is RedisUrl {
  return typeof value === 'object' && value !== null && 'host' in value && 'database' in value;
}

type Written = z.output<typeof redisSchema>;

function toTopology({ url, sentinel, cluster }: Written): RedisTopology {
  if (sentinel !== undefined) {
    const { name, nodes, password } = sentinel;
    const access = password === undefined ? {} : { sentinelPassword: password };
    return { kind: 'sentinel', sentinels: Object.freeze(nodes), name, database: sentinel.database, ...access };
  }
  if (cluster !== undefined) return { kind: 'cluster', nodes: Object.freeze(cluster.nodes) };
  if (url === undefined) throw new Error('a Redis configuration without a server passed its check');
  return { kind: 'standalone', host: url.host, port: url.port, database: url.database };
}

export function toRedis(written: Written): RedisConfiguration {
  const username = written.username ?? written.url?.username;
  const password = written.password ?? written.url?.password;
  const tls = written.tls ?? (written.url?.tls === true ? {} : undefined);
  return Object.freeze({
    topology: Object.freeze(toTopology(written)),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: toTls(tls) }),
    commandTimeoutMs: written.commandTimeout,
    lockMasters: Object.freeze(
      (written.lock?.masters ?? []).map(({ host, port, tls }) => Object.freeze({ host, port, tls })),
    ),
    durableReplicas: written.durableReplicas,
  });
}
