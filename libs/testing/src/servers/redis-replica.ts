import { eventually } from '../eventually.js';
import { redisCommand } from './redis-command.js';
import { startRedis, type RedisServer } from './redis-server.js';
import type { ServerOptions } from './server-handle.js';

/** How to start a replica of a Redis server. */
export interface RedisReplicaOptions extends ServerOptions {
  /** The master, or a proxy in front of it: what is done to that link decides what the replica knows. */
  readonly of: { readonly host: string; readonly port: number };
  /** Further arguments; they win over the rest. */
  readonly args?: readonly string[];
}

/** A Redis server that follows another, and that can take its place. */
export interface RedisReplica {
  readonly server: RedisServer;
  /** Resolves when it has all that its master has. */
  synchronised(): Promise<void>;
  /** Makes it a master of its own, with what it has. */
  promote(): Promise<void>;
  /** Ends the server. Stopping twice does nothing. */
  stop(): Promise<void>;
}

/** Starts a replica on a free port of 127.0.0.1, and waits until it has all that its master has. */
export async function startRedisReplica(options: RedisReplicaOptions): Promise<RedisReplica> {
  const { of, args = [], ...rest } = options;
  // By default a master waits for more replicas before it sends its data.
  await redisCommand(of, 'CONFIG', 'SET', 'repl-diskless-sync-delay', '0');
  const server = await startRedis({ ...rest, args: ['--replicaof', of.host, String(of.port), ...args] });
  const replica: RedisReplica = {
    server,
    stop: () => server.stop(),
    async synchronised() {
      await eventually(
        async () => {
          const [master, own] = [await replicationOf(of), await replicationOf(server)];
          return (
            own['master_link_status'] === 'up' &&
            Number(own['slave_repl_offset']) >= Number(master['master_repl_offset'])
          );
        },
        { what: 'the replica to have all that its master has', withinMs: 15_000 },
      );
    },
    async promote() {
      await redisCommand(server, 'REPLICAOF', 'NO', 'ONE');
    },
  };
  try {
    await replica.synchronised();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return replica;
}

async function replicationOf(server: {
  readonly host: string;
  readonly port: number;
}): Promise<Readonly<Record<string, string>>> {
  const info = await redisCommand(server, 'INFO', 'replication');
  return Object.fromEntries(
    info.split('\r\n').flatMap((line) => {
      const [name, value] = line.split(':', 2);
      return name === undefined || value === undefined ? [] : [[name, value]];
    }),
  );
}
