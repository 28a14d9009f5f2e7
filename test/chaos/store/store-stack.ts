import { eventually, startFaultProxy, startRedis, type FaultProxy, type RedisServer } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { metricValue, startStack, type Settings, type Stack } from '../../integration/stack.js';
import { clock } from './timing.js';
import { startVirtualAddress, type Address } from './virtual-address.js';

/** The stack's tick: brokers read along so often. */
export const TICK_MS = 200;
/** A broker answers from memory for three ticks without having read along. */
export const LEASE_MS = 3 * TICK_MS;
/** `redis.commandTimeout` of the stack: a command that has no reply by then fails. */
export const COMMAND_TIMEOUT_MS = 500;
/** The greatest pause between two tries of a broker to reach Redis. */
const RECONNECT_MAX_MS = 1_000;
/** After Redis is back: the longest pause, the handshake, one tick to read along, and a loaded machine. */
export const BACK_WITHIN_MS = RECONNECT_MAX_MS + COMMAND_TIMEOUT_MS + TICK_MS + 1_500;
/** A near cache is suspect three ticks after the last heartbeat, or at the first of a new epoch, and then asks. */
export const NEAR_CACHE_NOTICES_WITHIN_MS = LEASE_MS + 1_000;

export interface StoreStackOptions {
  readonly brokers?: number;
  /** The Redis in use; ended with the stack. Default: one without persistence. */
  readonly redis?: RedisServer;
  readonly tokenLifeSeconds?: number;
  /** So long is what is held served while Redis is away. Default 60s: longer than any failover here. */
  readonly maxStaleness?: string;
  readonly configure?: (settings: Settings) => Settings;
}

/** A stack whose brokers reach Redis through a fault proxy, while tests look at Redis beside it. */
export interface StoreStack extends Omit<Stack, 'redis'> {
  readonly redis: RedisServer;
  readonly proxy: FaultProxy;
  /** A connection to Redis that no fault is done to. */
  readonly direct: Redis;
  /** From now on the brokers' address leads to another server, as a virtual address does after a failover. */
  leadTo(server: Address): void;
}

export async function startStoreStack(options: StoreStackOptions = {}): Promise<StoreStack> {
  const redis = options.redis ?? (await startRedis());
  const address = await startVirtualAddress(redis);
  const proxy = await startFaultProxy({ host: address.host, port: address.port });
  const direct = connectTo(redis);
  const stack = await startStack({
    brokers: options.brokers ?? 2,
    ...(options.tokenLifeSeconds === undefined ? {} : { tokenLifeSeconds: options.tokenLifeSeconds }),
    configure: (settings) => {
      const configured: Settings = {
        ...settings,
        redis: {
          url: `redis://${proxy.host}:${String(proxy.port)}`,
          commandTimeout: `${String(COMMAND_TIMEOUT_MS)}ms`,
        },
        cluster: { ...(settings['cluster'] as Settings), maxStaleness: options.maxStaleness ?? '60s' },
      };
      return options.configure?.(configured) ?? configured;
    },
  });
  return {
    ...stack,
    redis,
    proxy,
    direct,
    leadTo: (server) => {
      address.leadTo(server);
    },
    async stop() {
      direct.disconnect();
      await stack.stop();
      await Promise.all([proxy.stop(), address.stop(), redis.stop()]);
    },
  };
}

/** A connection of the test itself: it waits for a server that restarts. */
export function connectTo(server: Address & { readonly url?: string }): Redis {
  const { host, port, url = `redis://${host}:${String(port)}` } = server;
  const redis = new Redis(url, { retryStrategy: () => 50 });
  redis.on('error', () => {
    // The server is away because the test wants it so; the command that needs it says so.
  });
  return redis;
}

/** The sum over all replicas of what a series of `/metrics` says. */
export async function totalOf(
  stack: Pick<Stack, 'brokers' | 'metrics'>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const texts = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
  return texts.reduce((sum, text) => sum + metricValue(text, name, labels), 0);
}

/** Resolves when every replica says that it is ready, and has read along after this call. */
export async function whenAllReady(
  stack: Pick<Stack, 'brokers' | 'metrics'>,
  withinMs = BACK_WITHIN_MS,
): Promise<void> {
  const calledAtMs = clock.elapsedMs();
  await eventually(
    async () => {
      const replies = await Promise.all(
        stack.brokers.map(({ http }) => fetch(`http://${http.host}:${String(http.port)}/readyz`)),
      );
      const texts = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
      const sinceCallMs = clock.elapsedMs() - calledAtMs;
      return (
        replies.every(({ status }) => status === 200) &&
        texts.every((text) => metricValue(text, 'token_broker_lease_age_seconds') * 1_000 < sinceCallMs)
      );
    },
    { what: 'every replica to be ready', withinMs, everyMs: 25 },
  );
}

/** Replaces every replica by a fresh one, whose memory is empty. */
export async function replaceReplicas(stack: Pick<Stack, 'brokers' | 'addBroker'>): Promise<void> {
  const old = stack.brokers.splice(0);
  for (const broker of old) await broker.stop(1_000);
  for (const broker of old) {
    if (broker.broker !== '') await stack.addBroker();
  }
}
