import { isIP } from 'node:net';
import { traitsOf, type Configuration, type ConfigurationProblem } from '@token-broker/configuration';
import { problem, warning, type Finding } from './finding.js';

/** What the loader refuses, and what it allows but seldom is meant. */
export function loaderFindings(
  file: string,
  problems: readonly ConfigurationProblem[],
  warnings: readonly ConfigurationProblem[],
): Finding[] {
  const what = ({ line, column, path, message }: ConfigurationProblem): string =>
    `${file}:${String(line)}:${String(column)} ${path === '' ? '' : `${path}: `}${message}`;
  return [
    ...problems.map((found) =>
      problem(
        what(found),
        'A broker does not start with it, and does not take it over on a reload.',
        found.hint ?? 'Mend it; docs/configuration.md is the reference.',
      ),
    ),
    ...warnings.map((found) =>
      warning(what(found), 'It is allowed, and seldom meant.', found.hint ?? 'Mend it, or leave it.'),
    ),
  ];
}

/** What is valid, and lets somebody in or listen. */
export function transportFindings({ nats, redis, sources }: Configuration): Finding[] {
  const clear = nats.servers.filter(
    (server) => nats.tls === undefined && !isLocal(server) && !/^(tls|wss):/i.test(server),
  );
  const { topology } = redis;
  const redisHosts =
    topology.kind === 'standalone' ? [topology] : topology.kind === 'sentinel' ? topology.sentinels : topology.nodes;
  const clearRedis = redis.tls === undefined ? redisHosts.filter(({ host }) => !isLocalHost(host)) : [];
  return [
    ...(nats.credentials.kind === 'none'
      ? [
          problem(
            'nats: the broker logs in as nobody',
            'A NATS server that asks nobody who he is enforces no permissions: everybody can ask in any caller’s name.',
            'Give the server the users of `tokenctl nats-permissions`, and the broker its user.',
          ),
        ]
      : []),
    ...(nats.credentials === nats.eventCredentials && nats.credentials.kind !== 'none'
      ? [
          warning(
            'nats.events: requests and events go over one login',
            'A reply could then be aimed at the subject of an event.',
            'Give events a user of their own; `tokenctl nats-permissions` prints it.',
          ),
        ]
      : []),
    ...(clear.length > 0
      ? [
          warning(
            `nats.servers: without TLS to ${clear.join(', ')}`,
            'Tokens are in replies in clear: whoever is on the way reads them.',
            'Use tls:// addresses, or nats.tls.',
          ),
        ]
      : []),
    ...(clearRedis.length > 0
      ? [
          warning(
            `redis: without TLS to ${clearRedis.map(({ host }) => host).join(', ')}`,
            'Tokens are sealed on the way, the password is not.',
            'Use rediss://, or redis.tls.',
          ),
        ]
      : []),
    ...[...sources.values()].flatMap((source) => {
      const { endpoint } = traitsOf(source).summary;
      if (!endpoint.startsWith('http:') || isLocal(endpoint)) return [];
      return [
        problem(
          `sources.${source.name}: plain HTTP to its identity provider`,
          'Secret and tokens cross the network in clear.',
          'Use https://, and remove allowInsecureHttp.',
        ),
      ];
    }),
  ];
}

function isLocal(address: string): boolean {
  const url = address.includes('://') ? address : `nats://${address}`;
  return URL.canParse(url) && isLocalHost(new URL(url).hostname);
}

function isLocalHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}
