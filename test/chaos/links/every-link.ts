import { startFaultProxy, type FaultProxy, type SeededRandom } from '@token-broker/testing';
import { sourceSettings, type Settings, type Stack } from '../../integration/stack.js';
import { startStackOver } from './chosen-links.js';
import { withShortStaleness } from './near-cache.js';

/** A link, by name, with what can be done to it. */
export interface Link {
  readonly name: string;
  readonly proxy: FaultProxy;
}

/** A deployment in which every link goes through a proxy of its own. */
export interface LinkedDeployment {
  readonly stack: Stack;
  /** NATS and Redis of each broker, NATS of each client, and the identity provider. */
  readonly links: readonly Link[];
  /** Where each client finds NATS. */
  readonly clientUrls: readonly string[];
  stop(): Promise<void>;
}

const REPLICAS = 3;
const CLIENTS = 3;

/** Short enough for links that are away for a second or two. */
const REDIS_COMMAND_TIMEOUT_MS = 500;
const IDP_TIMEOUT_MS = 500;
const LOCK_TIME_MS = 800;

export async function startLinkedDeployment(): Promise<LinkedDeployment> {
  const links: Link[] = [];
  const clientUrls: string[] = [];
  const open = async (name: string, host: string, port: number): Promise<string> => {
    const proxy = await startFaultProxy({ host, port });
    links.push({ name, proxy });
    return `${proxy.host}:${String(proxy.port)}`;
  };
  const stack = await startStackOver(
    async (begun) => {
      const { nats, redis, idp } = begun;
      const { hostname, port, pathname } = new URL(idp.tokenEndpoint);
      const tokenEndpoint = `http://${await open('identity provider', hostname, Number(port))}${pathname}`;
      const source = sourceSettings(idp, {
        issuer: undefined,
        tokenEndpoint,
        timeout: `${String(IDP_TIMEOUT_MS)}ms`,
        lockTime: `${String(LOCK_TIME_MS)}ms`,
      });
      await begun.rewrite((settings) => ({ ...settings, sources: { 'payments-api': source, 'orders-api': source } }));
      for (let index = 1; index <= CLIENTS; index++)
        clientUrls.push(`nats://${await open(`NATS of client ${String(index)}`, nats.host, nats.port)}`);
      const brokerLinks = [];
      for (let index = 1; index <= REPLICAS; index++)
        brokerLinks.push({
          natsServers: [`nats://${await open(`NATS of broker ${String(index)}`, nats.host, nats.port)}`],
          redisUrl: `redis://${await open(`Redis of broker ${String(index)}`, redis.host, redis.port)}`,
        });
      return brokerLinks;
    },
    (settings) => ({
      ...withShortStaleness(settings),
      redis: { ...(settings['redis'] as Settings), commandTimeout: `${String(REDIS_COMMAND_TIMEOUT_MS)}ms` },
    }),
  );
  return {
    stack,
    links,
    clientUrls,
    async stop() {
      for (const { proxy } of links) proxy.mend();
      await stack.stop();
      for (const { proxy } of links) await proxy.stop();
    },
  };
}

/** Breaks a link in one of the ways in which links break, and says in which. */
export function breakLink({ proxy }: Link, random: SeededRandom): string {
  const ways: readonly (readonly [string, () => void])[] = [
    ['cut', () => proxy.cut()],
    ['half-open', () => proxy.halfOpen()],
    ['nothing to the server', () => (proxy.faults.toServer.discard = true)],
    ['nothing to the client', () => (proxy.faults.toClient.discard = true)],
    ['frozen', () => (proxy.faults.toServer.hold = proxy.faults.toClient.hold = true)],
  ];
  const [way, act] = pick(ways, random);
  act();
  return way;
}

function pick<T>(from: readonly T[], random: SeededRandom): T {
  const chosen = from[random.integer(from.length)];
  if (chosen === undefined) throw new Error('nothing to choose from');
  return chosen;
}

/** The same things in another order. */
export function shuffled<T>(things: readonly T[], random: SeededRandom): T[] {
  const left = [...things];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(random.integer(left.length), 1));
  return order;
}
