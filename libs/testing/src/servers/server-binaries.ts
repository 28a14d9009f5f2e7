import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { dockerEngineAnswers } from './docker-engine.js';
import { findInstalled } from './executable-search.js';
import { runCommand } from './run-command.js';
import { fillCache, findCached } from './server-cache.js';
import type { Executable, Report, ServerName, ServerPlace } from './server-place.js';

/** What a server is called where it is not called by its own name. */
const OTHER_NAMES: Readonly<Record<ServerName, { readonly image: string; readonly brew: string }>> = {
  'nats-server': { image: 'nats:2.12-alpine', brew: 'nats-server' },
  'redis-server': { image: 'redis:7.4-alpine', brew: 'redis' },
  prometheus: { image: 'prom/prometheus:v3.5.0', brew: 'prometheus' },
};

/** The programs of Prometheus in its image: they are linked statically, and run outside of it as well. */
const PROMETHEUS_PROGRAMS = ['/bin/prometheus', '/bin/promtool'];

/** What `npm start` needs. */
const OF_THE_SYSTEM: readonly ServerName[] = ['nats-server', 'redis-server'];

/** No way led to a server; the message names the ways that were tried, and what a person can do. */
export class ServerUnavailableError extends Error {
  override name = 'ServerUnavailableError';
}

const known = new Map<ServerName, Promise<ServerPlace>>();

/**
 * Finds a server, or gets it: on PATH, in the cache, as a container where a Docker engine answers, by apt into the
 * cache, by Homebrew. The answer is kept for the life of this process.
 *
 * @throws {ServerUnavailableError} where none of the ways works
 */
export function locateServer(name: ServerName, report: Report = () => undefined): Promise<ServerPlace> {
  const underWay = known.get(name);
  if (underWay !== undefined) return underWay;
  const search = searchServer(name, report);
  known.set(name, search);
  search.catch(() => known.delete(name));
  return search;
}

/**
 * Finds Prometheus as {@link locateServer} does, always as an executable: one in a container would not reach what is
 * scraped on this machine's loopback.
 *
 * @throws {ServerUnavailableError} where none of the ways works
 */
export async function locatePrometheus(report?: Report): Promise<Executable> {
  const place = await locateServer('prometheus', report);
  if (place.kind === 'container') throw new Error('prometheus was located as a container');
  return place;
}

/**
 * Makes sure that these servers can be started here, and downloads what is missing. Says nothing where nothing is to
 * be done.
 *
 * @param names Default: NATS and Redis
 * @throws {ServerUnavailableError} where one can neither be found nor got
 */
export async function ensureServers(
  report: Report = () => undefined,
  names: readonly ServerName[] = OF_THE_SYSTEM,
): Promise<void> {
  await Promise.all(names.map((name) => locateServer(name, report)));
}

async function searchServer(name: ServerName, report: Report): Promise<ServerPlace> {
  const present = (await findInstalled(name)) ?? (await findCached(name));
  if (present !== undefined) return present;

  const failures: string[] = [];
  const attempt = async (
    way: string,
    get: () => Promise<ServerPlace | undefined>,
  ): Promise<ServerPlace | undefined> => {
    try {
      const place = await get();
      if (place === undefined) failures.push(`${way}: not here`);
      return place;
    } catch (error) {
      failures.push(`${way}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const place =
    (await attempt('a Docker engine', () => pullImage(name, report))) ??
    (await attempt('apt-get', async () =>
      (await isOnPath('apt-get')) && (await isOnPath('dpkg-deb')) ? fillCache(name, report) : undefined,
    )) ??
    (await attempt('Homebrew', () => installWithBrew(name, report)));
  if (place !== undefined) return place;
  throw new ServerUnavailableError(
    `${name} is not on PATH and could not be got (${failures.join('; ')}). ` +
      `Install ${name} so that it is on PATH, or start a Docker engine.`,
  );
}

async function pullImage(name: ServerName, report: Report): Promise<ServerPlace | undefined> {
  if (!(await dockerEngineAnswers())) return undefined;
  const { pullContainerImage } = await import('./container-server.js');
  const { image } = OTHER_NAMES[name];
  if (name === 'prometheus') {
    if (process.platform !== 'linux') return undefined;
    const { copyFromImage } = await import('./image-files.js');
    return fillCache(name, report, (_, directory) => copyFromImage(image, PROMETHEUS_PROGRAMS, directory, report));
  }
  await pullContainerImage(image, report);
  return { kind: 'container', image };
}

async function installWithBrew(name: ServerName, report: Report): Promise<ServerPlace | undefined> {
  if (!(await isOnPath('brew'))) return undefined;
  report(`${name}: installing with Homebrew`);
  await runCommand('brew', ['install', '--quiet', OTHER_NAMES[name].brew], {
    limitMs: 600_000,
    environment: { HOMEBREW_NO_AUTO_UPDATE: '1', HOMEBREW_NO_ANALYTICS: '1', NONINTERACTIVE: '1' },
  });
  return findInstalled(name);
}

async function isOnPath(command: string): Promise<boolean> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    if (
      directory !== '' &&
      (await access(join(directory, command)).then(
        () => true,
        () => false,
      ))
    )
      return true;
  }
  return false;
}
