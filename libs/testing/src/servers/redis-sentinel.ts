import { startServer, type ServerHandle, type ServerOptions } from './server-handle.js';
import type { ServerRecipe } from './server-instance.js';

/** How to start a Sentinel. */
export interface SentinelOptions extends ServerOptions {
  /** The name under which clients ask for the master. */
  readonly name: string;
  readonly master: { readonly host: string; readonly port: number };
  /** Sentinels that must agree before a failover. Default 1. */
  readonly quorum?: number;
  /** Silence after which a server counts as down. Default 1 s. */
  readonly downAfterMs?: number;
}

/** Starts a Redis Sentinel on a free port of 127.0.0.1 that watches one master. It keeps its state in its own directory. */
export async function startSentinel(options: SentinelOptions): Promise<ServerHandle> {
  const { name, master, quorum = 1, downAfterMs = 1_000 } = options;
  const recipe: ServerRecipe = {
    containerPort: 26_379,
    readyLine: /Sentinel ID is/,
    portLine: undefined,
    args: (configurationPath) => [configurationPath, '--sentinel'],
    configuration: ({ host, port }) =>
      [
        `bind ${host}`,
        `port ${String(port)}`,
        'protected-mode no',
        `sentinel monitor ${name} ${master.host} ${String(master.port)} ${String(quorum)}`,
        `sentinel down-after-milliseconds ${name} ${String(downAfterMs)}`,
        `sentinel failover-timeout ${name} 5000`,
        '',
      ].join('\n'),
  };
  const { handle } = await startServer('redis-server', recipe, (address) => `redis://${address}`, options);
  return handle;
}
