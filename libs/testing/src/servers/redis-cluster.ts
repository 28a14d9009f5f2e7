import { eventually } from '../eventually.js';
import { freePort } from './free-port.js';
import { redisCommand } from './redis-command.js';
import { startRedis, type RedisServer } from './redis-server.js';

/** All hash slots of a Cluster. */
const HASH_SLOTS = 16_384;
/** Another process may take a free port before the server does. */
const TRIES = 3;

/** How to start a Redis Cluster. */
export interface RedisClusterOptions {
  /** Default 3, which is the least. */
  readonly masters?: number;
  /** Replicas of each master. Default 0. */
  readonly replicas?: number;
  /** Silence after which a node counts as failed. Default 1 s. */
  readonly nodeTimeoutMs?: number;
}

/** A Redis Cluster (7.0 or later) that was started by this process. */
export interface RedisCluster {
  /** Those that were masters at the start, in the order of their hash slots. */
  readonly masters: readonly RedisServer[];
  /** The replicas of each master, in the order of the masters. */
  readonly replicas: readonly (readonly RedisServer[])[];
  /** Resolves when each of these nodes says that the whole cluster serves. Default: all nodes. */
  serving(nodes?: readonly RedisServer[]): Promise<void>;
  /** Resolves when all of these nodes know another master for a key than the one that was lost. */
  takenOver(key: string, lost: RedisServer, nodes: readonly RedisServer[]): Promise<RedisServer>;
  /** The node that serves a key now, as one of the cluster says. */
  masterOf(key: string, asked?: RedisServer): Promise<RedisServer>;
  /** Ends all nodes. Stopping twice does nothing. */
  stop(): Promise<void>;
}

/** Starts a Redis Cluster on free ports of 127.0.0.1 and waits until it serves, with its replicas in step. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startOnce(options);
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

interface Node {
  readonly server: RedisServer;
  readonly busPort: number;
  readonly id: string;
}

async function startOnce(options: RedisClusterOptions): Promise<RedisCluster> {
  const { masters: masterCount = 3, replicas: replicaCount = 0, nodeTimeoutMs = 1_000 } = options;
  const size = masterCount * (1 + replicaCount);
  const started = await Promise.allSettled(Array.from({ length: size }, () => startNode(nodeTimeoutMs)));
  const nodes = started.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const servers = nodes.map(({ server }) => server);
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const masters = nodes.slice(0, masterCount);
  const replicas = masters.map((_, index) =>
    nodes.slice(masterCount + index * replicaCount, masterCount + (index + 1) * replicaCount),
  );
  const cluster: RedisCluster = {
    masters: masters.map(({ server }) => server),
    replicas: replicas.map((of) => of.map(({ server }) => server)),
    async serving(of = servers) {
      await eventually(
        async () => {
          const told = await Promise.all(of.map((server) => redisCommand(server, 'CLUSTER', 'INFO')));
          return told.every((text) => text.includes('cluster_state:ok'));
        },
        { what: 'the cluster to serve', withinMs: 20_000, everyMs: 25 },
      );
    },
    async takenOver(key, lost, of) {
      await cluster.serving(of);
      const master = await eventually(
        async () => {
          const [first, ...others] = await Promise.all(of.map((server) => cluster.masterOf(key, server)));
          return first !== lost && others.every((other) => other === first) ? first : undefined;
        },
        { what: 'another master', withinMs: 20_000, everyMs: 25 },
      );
      // Who has taken over may count the cluster as down for a moment still.
      await cluster.serving(of);
      return master;
    },
    async masterOf(key, asked = servers[0]) {
      if (asked === undefined) throw new Error('the cluster has no node');
      const hashSlot = Number(await redisCommand(asked, 'CLUSTER', 'KEYSLOT', key));
      const port = portServing(await redisCommand(asked, 'CLUSTER', 'NODES'), hashSlot);
      const server = servers.find((candidate) => candidate.port === port);
      if (server === undefined) throw new Error(`nobody serves the hash slot ${String(hashSlot)}`);
      return server;
    },
    stop,
  };
  try {
    const failure = started.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
    await join(nodes, masters);
    await cluster.serving();
    await follow(masters, replicas);
    return cluster;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startNode(nodeTimeoutMs: number): Promise<Node> {
  // By default the bus is at the port plus 10,000, which for many a free port is beyond the last.
  const busPort = await freePort();
  const server = await startRedis({
    args: [
      ...['--cluster-enabled', 'yes'],
      ...['--cluster-port', String(busPort)],
      ...['--cluster-node-timeout', String(nodeTimeoutMs)],
      ...['--repl-diskless-sync-delay', '0'],
    ],
  });
  return { server, busPort, id: await redisCommand(server, 'CLUSTER', 'MYID') };
}

/** Gives each master its share of the hash slots, and makes all nodes known to each other. */
async function join(nodes: readonly Node[], masters: readonly Node[]): Promise<void> {
  const shareOf = (index: number): number => Math.floor((HASH_SLOTS * index) / masters.length);
  for (const [index, { server }] of masters.entries()) {
    const [from, to] = [shareOf(index), shareOf(index + 1) - 1];
    await redisCommand(server, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    // Without an epoch of its own each, masters would first settle whose share counts.
    await redisCommand(server, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }
  const [first, ...others] = nodes;
  if (first === undefined) return;
  for (const { server } of others) {
    const { host, port } = first.server;
    await redisCommand(server, 'CLUSTER', 'MEET', host, String(port), String(first.busPort));
  }
  await eventually(
    async () => {
      const told = await Promise.all(nodes.map(({ server }) => redisCommand(server, 'CLUSTER', 'NODES')));
      return told.every((text) => nodes.every(({ id }) => text.includes(id)) && !/handshake|fail/.test(text));
    },
    { what: 'all nodes to know each other', withinMs: 20_000, everyMs: 25 },
  );
}

async function follow(masters: readonly Node[], replicas: readonly (readonly Node[])[]): Promise<void> {
  const pairs = masters.flatMap((master, index) => (replicas[index] ?? []).map((replica) => ({ master, replica })));
  for (const { master, replica } of pairs) await redisCommand(replica.server, 'CLUSTER', 'REPLICATE', master.id);
  await eventually(
    async () => {
      const links = await Promise.all(pairs.map(({ replica }) => redisCommand(replica.server, 'INFO', 'replication')));
      const views = await Promise.all(masters.map(({ server }) => redisCommand(server, 'CLUSTER', 'NODES')));
      return (
        links.every((text) => text.includes('master_link_status:up')) &&
        views.every((text) => (text.match(/\bslave\b/g) ?? []).length === pairs.length)
      );
    },
    { what: 'the replicas to be in step', withinMs: 20_000, everyMs: 25 },
  );
}

/** Of the lines of `CLUSTER NODES`: the port of the master that has this hash slot. */
function portServing(nodes: string, hashSlot: number): number | undefined {
  for (const line of nodes.split('\n')) {
    const [, address = '', flags = '', , , , , , ...ranges] = line.trim().split(' ');
    if (!flags.includes('master') || flags.includes('fail')) continue;
    const isHere = ranges.some((range) => {
      const [from, to = from] = range.split('-').map(Number);
      return from !== undefined && to !== undefined && from <= hashSlot && hashSlot <= to;
    });
    if (isHere) return Number(/:(\d+)@/.exec(address)?.[1]);
  }
  return undefined;
}
