import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatProblems, loadConfiguration, natsPermissions } from '@token-broker/configuration';
import { startNats, startRedis, type NatsServer, type NatsUser, type RedisServer } from '@token-broker/testing';
import { connect, type NatsConnection } from 'nats';
import { stringify } from 'yaml';
import type { BenchContext } from '../harness/benchmark.js';
import { startWorker, type Methods, type Worker } from '../harness/worker.js';
import type { IdentityProviderMethods } from '../programs/identity-provider.js';
import { startBroker, type BrokerProcess } from './broker-process.js';
import { BARE_USERS, brokerSettings, PASSWORD, type Addresses, type Settings } from './settings.js';

export interface StackOptions {
  /** Default 1. */
  readonly brokers?: number;
  readonly configure?: (settings: Settings, at: Addresses) => Settings;
  /** Options of Node for the brokers. */
  readonly brokerNodeArgs?: readonly string[];
}

/** Real servers on loopback, a bare HTTP server for an identity provider, and brokers: each is a process of its own. */
export interface Stack {
  readonly nats: NatsServer;
  readonly redis: RedisServer;
  readonly idp: Worker<IdentityProviderMethods>;
  readonly tokenEndpoint: string;
  readonly brokers: readonly BrokerProcess[];
  readonly configurationPath: string;
  /** Starts a program of the benchmark, which ends with the stack. */
  worker<M extends Methods>(program: string | URL, nodeArgs?: readonly string[]): Promise<Worker<M>>;
  connectAs(user: string): Promise<NatsConnection>;
}

/** Starts a stack, does the work, and stops all that was started, the last one first. */
export async function withStack<T>(
  context: BenchContext,
  options: StackOptions,
  work: (stack: Stack) => Promise<T>,
): Promise<T> {
  const started: (() => Promise<unknown>)[] = [];
  try {
    context.progress('starting servers');
    return await work(await start(context, options, started));
  } finally {
    context.progress('stopping servers');
    for (const end of started.reverse()) await end();
  }
}

async function start(
  { profileDirectory }: BenchContext,
  { brokers: replicas = 1, configure, brokerNodeArgs = [] }: StackOptions,
  started: (() => Promise<unknown>)[],
): Promise<Stack> {
  const folder = await mkdtemp(join(tmpdir(), 'token-broker-bench-'));
  started.push(() => rm(folder, { recursive: true }));
  const profiling = (program: string): string[] =>
    profileDirectory === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`, `--cpu-prof-name=${program}-${started.length}.cpuprofile`];
  const worker = async <M extends Methods>(
    program: string | URL,
    nodeArgs: readonly string[] = [],
  ): Promise<Worker<M>> => {
    const running = await startWorker<M>(program, [
      ...(typeof program === 'string' ? profiling(program) : []),
      ...nodeArgs,
    ]);
    started.push(() => running.stop());
    return running;
  };

  const redis = await startRedis();
  started.push(() => redis.stop());
  const nats = await startNats();
  started.push(() => nats.stop());
  const idp = await worker<IdentityProviderMethods>('identity-provider');
  const tokenEndpoint = await idp.call('listen');
  const at = { nats: nats.url, redis: redis.url, tokenEndpoint };
  const settings = brokerSettings(at);
  const configurationPath = join(folder, 'broker.yaml');
  await writeFile(configurationPath, stringify(configure === undefined ? settings : configure(settings, at)), {
    mode: 0o600,
  });
  await nats.setUsers([...(await usersOf(configurationPath)), ...BARE_USERS]);
  const brokers = await Promise.all(
    Array.from({ length: replicas }, (_, index) =>
      startBroker(configurationPath, [...profiling(`broker-${String(index)}`), ...brokerNodeArgs]),
    ),
  );
  started.push(() => Promise.all(brokers.map(({ program }) => program.stop())));
  return {
    ...{ nats, redis, idp, tokenEndpoint, brokers, configurationPath, worker },
    async connectAs(user) {
      const connection = await connect({ servers: nats.url, user, pass: PASSWORD, inboxPrefix: `_INBOX.${user}` });
      started.push(() => connection.close());
      return connection;
    },
  };
}

/** What the NATS server lets each user do, by the brokers' own configuration. */
async function usersOf(configurationPath: string): Promise<NatsUser[]> {
  const loaded = await loadConfiguration(configurationPath, { env: {} });
  if (!loaded.ok) throw new Error(formatProblems(loaded.error.problems, loaded.error.file));
  return natsPermissions(loaded.value.configuration).map(({ user, publish, subscribe }) => ({
    user,
    password: PASSWORD,
    permissions: { publish: [...publish], subscribe: [...subscribe] },
  }));
}
