import { createTokenBroker, type TokenBroker } from '@token-broker/client';
import { createSubjects } from '@token-broker/protocol';
import { connect, type NatsConnection } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { CALLER, PASSWORD, SOURCE } from '../stack/settings.js';
import { callDirectly } from './direct-call.js';

/** One of several services in which many callers need the same token at the same moment. */

const subjects = createSubjects();
let connection: NatsConnection | undefined;
let client: TokenBroker | undefined;
let tokenEndpoint = '';

/** How long the slowest of so many callers waits, in milliseconds. */
async function slowestMs(callers: number, work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  const waited = Array.from({ length: callers }, () => work().then(() => performance.now() - startedAtMs));
  return Math.max(...(await Promise.all(waited)));
}

interface Burst {
  readonly callers: number;
  readonly audience: string;
}

const methods = {
  async open({ url, endpoint }: { url: string; endpoint: string }) {
    tokenEndpoint = endpoint;
    connection = await connect({ servers: url, user: CALLER, pass: PASSWORD, inboxPrefix: `_INBOX.${CALLER}` });
    client = createTokenBroker({ connection, caller: CALLER });
    await client.ready();
  },
  /** Callers that share a near cache: as services do it. */
  nearCache({ callers, audience }: Burst) {
    const handle = client?.source(SOURCE, { audience });
    return slowestMs(callers, async () => handle?.get());
  },
  /** Each caller is a request of its own, which brokers have to join. */
  requests({ callers, audience }: Burst) {
    const body = Buffer.from(JSON.stringify({ audience }));
    return slowestMs(callers, async () => {
      const reply = await connection?.request(subjects.get(CALLER, SOURCE), body, { timeout: 20_000 });
      if (reply?.string().includes('"accessToken"') !== true) throw new Error(reply?.string() ?? 'no reply');
    });
  },
  direct: (audience: string) => slowestMs(1, () => callDirectly(tokenEndpoint, audience)),
};
export type CrowdMethods = typeof methods;
serveMethods(methods);
