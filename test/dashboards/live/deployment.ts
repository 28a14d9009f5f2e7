import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registerMetrics } from '@token-broker/client/metrics';
import type { Operator } from '@token-broker/client/operator';
import { createSystemClock, randomId, systemRandom, type Timer } from '@token-broker/foundation';
import { eventually, startPrometheus, type Prometheus } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import * as prometheusClient from 'prom-client';
import { startGovernedStack, type GovernedStack } from '../../integration/governed-stack.js';
import { ruleFiles } from '../files.js';
import { createFates, SOURCES } from './provider.js';

const BROKERS = 2;
/** Between two rounds of the traffic. */
const EVERY_MS = 100;

/** Brokers, a service that shows its near cache, and a Prometheus that reads both, with the committed rules. */
export interface Deployment {
  readonly governed: GovernedStack;
  readonly operator: Operator;
  /** A connection of the caller `billing`, for what no client library would send. */
  readonly billing: NatsConnection;
  readonly prometheus: Prometheus;
  /** Of the brokers. */
  readonly auditPath: string;
  /** Begins what goes on from then on: requests for `calm` and `renewed`, uses of the near cache. */
  startTraffic(): void;
  stop(): Promise<void>;
}

export async function startDeployment(): Promise<Deployment> {
  const names = Object.keys(SOURCES).map((name) => ({ name, audiences: 'any' }));
  const folder = await mkdtemp(join(tmpdir(), 'dashboards-'));
  const auditPath = join(folder, 'audit.jsonl');
  const governed = await startGovernedStack({
    brokers: BROKERS,
    // A near cache is suspect after three ticks of silence: a machine that is busy is silent for a part of a second.
    cluster: { tick: '1s', maxStaleness: '10s' },
    sources: SOURCES,
    answer: createFates(),
    callers: { billing: { sources: names } },
    sections: {
      audit: { file: auditPath },
      http: {
        listen: '127.0.0.1:0',
        admin: { listen: '127.0.0.1:0', tokens: [{ caller: 'ops', token: randomId(systemRandom).repeat(2) }] },
      },
    },
  });
  const { stack } = governed;
  const client = await stack.client('orders');
  await client.ready();
  const registry = new prometheusClient.Registry();
  registerMetrics(client, prometheusClient, registry);
  const page = createServer((_, response) => {
    void registry.metrics().then((text) => response.end(text));
  }).listen(0, '127.0.0.1');
  await once(page, 'listening');
  const { port } = page.address() as AddressInfo;

  const prometheus = await startPrometheus({
    jobs: {
      'token-broker': stack.brokers.map(({ http }) => `${http.host}:${String(http.port)}`),
      orders: [`127.0.0.1:${String(port)}`],
    },
    ruleFiles: await ruleFiles(),
  });
  // So that nothing is absent because Prometheus has not looked yet. It begins about 5 s after its start.
  const hasLooked = async (): Promise<boolean> => {
    const [pages, alerts] = await Promise.all([prometheus.query('up == 1'), prometheus.query('ALERTS')]);
    return pages.length === BROKERS + 1 && alerts.length === 0;
  };
  await eventually(hasLooked, { what: 'Prometheus to have read every page', withinMs: 30_000, everyMs: 100 });

  const clock = createSystemClock();
  let round: Timer | undefined;
  const calm = client.source('calm');
  const ignored = (): void => undefined;
  const goRound = (): void => {
    if (calm.current === undefined) calm.get().catch(ignored);
    for (const caller of ['orders', 'billing']) governed.ask('calm', undefined, caller).catch(ignored);
    governed.ask('renewed').catch(ignored);
    round = clock.startTimer(EVERY_MS, goRound);
  };
  return {
    governed,
    operator: await stack.operator(),
    billing: await stack.connectAs('billing'),
    prometheus,
    auditPath,
    startTraffic: goRound,
    async stop() {
      round?.cancel();
      await prometheus.stop();
      page.closeAllConnections();
      page.close();
      await governed.stop();
      await rm(folder, { recursive: true });
    },
  };
}
