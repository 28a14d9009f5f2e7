import { createTokenBroker, type TokenBroker } from '@token-broker/client';
import { createSubjects } from '@token-broker/protocol';
import { connect, type NatsConnection } from 'nats';
import { medianOf } from '../harness/figures.js';
import { serveMethods } from '../harness/serve-methods.js';
import { CALLER, PASSWORD, SOURCE } from '../stack/settings.js';
import { callDirectly } from './direct-call.js';

/** A service that needs tokens nobody has yet: each is of a slot of its own. It asks a broker, or the identity provider itself. */

const subjects = createSubjects();
let connection: NatsConnection | undefined;
let client: TokenBroker | undefined;
let tokenEndpoint = '';
let slots = 0;

const newAudience = (): string => `https://api-${String(++slots)}.example.com`;

async function throughClient(): Promise<void> {
  await client?.source(SOURCE, { audience: newAudience() }).get();
}

async function throughRequest(): Promise<void> {
  const body = Buffer.from(JSON.stringify({ audience: newAudience() }));
  const reply = await connection?.request(subjects.get(CALLER, SOURCE), body, { timeout: 10_000 });
  if (reply?.string().includes('"accessToken"') !== true) throw new Error(reply?.string() ?? 'no reply');
}

const directly = (): Promise<void> => callDirectly(tokenEndpoint, newAudience());

async function timedMs(work: () => Promise<void>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}

const methods = {
  async open({ url, endpoint }: { url: string; endpoint: string }) {
    tokenEndpoint = endpoint;
    connection = await connect({ servers: url, user: CALLER, pass: PASSWORD, inboxPrefix: `_INBOX.${CALLER}` });
    client = createTokenBroker({ connection, caller: CALLER, maxEntries: 100_000 });
    await client.ready();
  },
  /** Medians, in milliseconds; the ways take turns with every call. */
  async calls(count: number) {
    const figures = { client: [] as number[], request: [] as number[], direct: [] as number[] };
    for (let i = 0; i < count; i++) {
      figures.client.push(await timedMs(throughClient));
      figures.direct.push(await timedMs(directly));
      figures.request.push(await timedMs(throughRequest));
    }
    const { client: clients, request: requests, direct } = figures;
    return { client: medianOf(clients), request: medianOf(requests), direct: medianOf(direct) };
  },
};
export type ColdCallerMethods = typeof methods;
serveMethods(methods);
