import { eventually } from '../eventually.js';
import { freePort } from './free-port.js';
import type { NatsUser } from './nats-configuration.js';
import { startNats, type NatsServer } from './nats-server.js';
import { locateServer, ServerUnavailableError } from './server-binaries.js';

/** How to start a NATS cluster. */
export interface NatsClusterOptions {
  /** How many servers. Default 3. */
  readonly size?: number;
  /** Who may log in, and what they may do, on each server. Default: anyone, anything. */
  readonly users?: readonly NatsUser[];
}

/** NATS servers that were started by this process and that pass each other's messages on. */
export interface NatsCluster {
  /** Each can be killed and restarted by itself: a restarted one finds the others again. */
  readonly servers: readonly NatsServer[];
  readonly urls: readonly string[];
  /** Changes who may log in, on each server. All must run. */
  setUsers(users: readonly NatsUser[]): Promise<void>;
  /** Resolves when each of these servers has a route to each other one. Default: all of the cluster. */
  routed(servers?: readonly NatsServer[]): Promise<void>;
  /** Ends all servers. Stopping twice does nothing. */
  stop(): Promise<void>;
}

/** Another process may take a free port before the server does. */
const TRIES = 3;

/**
 * Starts NATS servers on free ports of 127.0.0.1 and waits until each has a route to each other one.
 *
 * @throws {ServerUnavailableError} where there is no nats-server to execute: containers do not reach each other's loopback
 * @throws {ServerStartError} where one refuses its configuration
 */
export async function startNatsCluster(options: NatsClusterOptions = {}): Promise<NatsCluster> {
  const place = await locateServer('nats-server');
  if (place.kind !== 'executable')
    throw new ServerUnavailableError(
      'a NATS cluster needs nats-server as an executable: install it so that it is on PATH',
    );
  for (let tries = 1; ; tries += 1) {
    try {
      return await startOnce(options);
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

async function startOnce({ size = 3, users }: NatsClusterOptions): Promise<NatsCluster> {
  const routePorts = await freePorts(size);
  const routes = routePorts.map((port) => `"nats-route://127.0.0.1:${String(port)}"`).join(', ');
  const started = await Promise.allSettled(
    routePorts.map((port, index) =>
      startNats({
        ...(users === undefined ? {} : { users }),
        configText: [
          `server_name: "nats-${String(index + 1)}"`,
          'http: "127.0.0.1:-1"',
          `cluster { name: "test", host: "127.0.0.1", port: ${String(port)}, routes: [${routes}] }`,
        ].join('\n'),
      }),
    ),
  );
  const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const failed = started.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const cluster: NatsCluster = {
    servers,
    urls: servers.map(({ url }) => url),
    async setUsers(newUsers) {
      for (const server of servers) await server.setUsers(newUsers);
    },
    async routed(among = servers) {
      for (const server of among)
        await eventually(async () => (await routesOf(server)).size >= among.length - 1, {
          what: 'the servers of the NATS cluster to find each other',
          withinMs: 10_000,
        });
    },
    stop,
  };
  try {
    await cluster.routed();
  } catch (error) {
    await stop();
    throw error;
  }
  return cluster;
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

/** The ids of the servers to which this one has a route; it may have several to each. */
async function routesOf(server: NatsServer): Promise<ReadonlySet<string>> {
  const port = /Starting http monitor on \S*:(\d+)/.exec(await server.log())?.[1];
  if (port === undefined) return new Set();
  const reply = await fetch(`http://127.0.0.1:${port}/routez`);
  const { routes } = (await reply.json()) as { readonly routes: readonly { readonly remote_id: string }[] };
  return new Set(routes.map((route) => route.remote_id));
}
