import { createTokenBroker } from '@token-broker/client';
import { startFaultProxy } from '@token-broker/testing';
import { connect } from 'nats';
import { alternate } from '../harness/alternate.js';
import type { BenchContext, Benchmark, Comparison } from '../harness/benchmark.js';
import { startWorker } from '../harness/worker.js';
import type { BareResponderMethods } from '../programs/bare-responder.js';
import { startBroker } from '../stack/broker-process.js';
import { BARE_SUBJECTS, CALLER, PASSWORD, SOURCE } from '../stack/settings.js';
import { withStack, type Stack } from '../stack/stack.js';

/** Of the link to NATS, one way: so long that all else is nothing beside it, and round trips can be counted. */
const ONE_WAY_MS = 25;
const ROUND_TRIP_MS = 2 * ONE_WAY_MS;

/** How soon a broker serves, and how soon a service has its first token. */
export const startup: Benchmark = {
  name: 'startup',
  ours: 'the start of a broker’s process until it is ready; a service’s `connect` until its first token, in round trips of the link',
  baseline: 'the start of a process until it has connected with bare `nats`; a bare `connect`, in round trips',
  run: (context) =>
    withStack(context, {}, async (stack) => [await processes(context, stack), await firstToken(context, stack)]),
};

async function processes(context: BenchContext, { nats, configurationPath }: Stack): Promise<Comparison> {
  const sides = await alternate(context, {
    ours: () =>
      timedMs(
        () => startBroker(configurationPath),
        ({ program }) => program.stop(),
      ),
    baseline: () =>
      timedMs(
        async () => {
          const worker = await startWorker<BareResponderMethods>('bare-responder');
          await worker.call('serve', { url: nats.url, subject: `${BARE_SUBJECTS}.start`, reply: new Uint8Array() });
          return worker;
        },
        (worker) => worker.stop(),
      ),
  });
  return { variant: 'process to ready', ...sides, unit: 'ms', target: { atMost: 300, of: 'more' } };
}

async function firstToken(context: BenchContext, { nats }: Stack): Promise<Comparison> {
  const proxy = await startFaultProxy({ host: nats.host, port: nats.port });
  proxy.faults.toServer.delayMs = ONE_WAY_MS;
  proxy.faults.toClient.delayMs = ONE_WAY_MS;
  const options = {
    servers: `nats://${proxy.host}:${String(proxy.port)}`,
    user: CALLER,
    pass: PASSWORD,
    inboxPrefix: `_INBOX.${CALLER}`,
  };
  try {
    const sides = await alternate(context, {
      ours: () =>
        timedMs(
          async () => {
            const connection = await connect(options);
            const client = createTokenBroker({ connection, caller: CALLER });
            await client.source(SOURCE).get();
            return { client, connection };
          },
          async ({ client, connection }) => {
            await client.close();
            await connection.close();
          },
        ),
      baseline: () =>
        timedMs(
          () => connect(options),
          (connection) => connection.close(),
        ),
    });
    const inRoundTrips = (tookMs: number): number => tookMs / ROUND_TRIP_MS;
    return {
      variant: 'connect to first token',
      ours: sides.ours.map(inRoundTrips),
      baseline: sides.baseline.map(inRoundTrips),
      unit: 'round trips',
      target: { atMost: 2, of: 'more' },
      note: `counted on a link of ${String(ROUND_TRIP_MS)} ms there and back; the token is in the broker’s memory`,
    };
  } finally {
    await proxy.stop();
  }
}

/** How long the work takes; what it made is ended after that. */
async function timedMs<T>(work: () => Promise<T>, end: (made: T) => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  const made = await work();
  const tookMs = performance.now() - startedAtMs;
  await end(made);
  return tookMs;
}
