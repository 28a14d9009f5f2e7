import { startServer, type ServerHandle, type ServerOptions } from './server-handle.js';
import type { ServerRecipe } from './server-instance.js';

/** How to start a Redis server. */
export interface RedisOptions extends ServerOptions {
  /** Whether every write is on disk before it is answered (append-only file). Default: nothing is ever written. */
  readonly persistence?: boolean;
  /** Where data is kept. It is not removed by `stop`. Default: a temporary directory, which is. */
  readonly dir?: string;
  /** The password of the default user. Default: none. */
  readonly password?: string;
  /** Further arguments, such as `['--maxmemory', '2mb']`; they win over the rest. */
  readonly args?: readonly string[];
}

/** A Redis server that was started by this process. */
export type RedisServer = ServerHandle;

/**
 * Starts a Redis server on a free port of 127.0.0.1 and waits until it takes connections.
 *
 * @throws {ServerUnavailableError} where there is none, and none can be got
 * @throws {ServerStartError} where it refuses its configuration
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { password, persistence = false } = options;
  const recipe: ServerRecipe = {
    containerPort: 6379,
    readyLine: /Ready to accept connections/,
    portLine: undefined,
    args: (configurationPath) => [configurationPath, ...(options.args ?? [])],
    configuration: ({ host, port, directory }) =>
      [
        `bind ${host}`,
        `port ${String(port)}`,
        'protected-mode no',
        `dir ${quoted(directory)}`,
        'save ""',
        ...(persistence ? ['appendonly yes', 'appendfsync always'] : ['appendonly no']),
        ...(password === undefined ? [] : [`requirepass ${quoted(password)}`]),
        '',
      ].join('\n'),
  };
  const userInfo = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  const { handle } = await startServer('redis-server', recipe, (address) => `redis://${userInfo}${address}`, options);
  return handle;
}

function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}"`;
}
