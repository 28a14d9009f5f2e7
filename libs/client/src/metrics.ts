import type { TokenBroker } from './token-broker.js';
import type { ClientStats } from './token-client.js';

interface MetricConfiguration {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** None: each is registered by hand, where the caller wants it. */
  readonly registers: never[];
  readonly collect?: () => void;
}

/** A registry of `prom-client`. */
export interface MetricsRegistry {
  registerMetric(metric: object): void;
}

/** What is used of the module `prom-client`, 14 or later. It is given, so that nobody needs it who has no use for it. */
export interface MetricsLibrary {
  readonly Counter: new (configuration: MetricConfiguration) => { inc(value: number): void; reset(): void };
  readonly Gauge: new (configuration: MetricConfiguration) => { set(value: number): void };
  readonly Histogram: new (configuration: MetricConfiguration & { buckets: number[] }) => {
    observe(labels: Readonly<Record<string, string>>, value: number): void;
  };
  /** The default registry. */
  readonly register: MetricsRegistry;
}

const PREFIX = 'token_broker_client_';

/** From the minimum lifetime to a week. */
const LIFE_BUCKETS_SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400, 604_800];

/** From what a local network takes to the staleness bound. */
const AGE_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const COUNTERS: readonly (readonly [name: string, help: string, of: (stats: ClientStats) => number])[] = [
  ['hits', 'Tokens handed out from the near cache.', ({ hits }) => hits],
  ['misses', 'Times that the near cache had no token to hand out.', ({ misses }) => misses],
  ['requests', 'Requests for tokens that were sent to brokers.', ({ requests }) => requests],
  ['joined', 'Calls that waited for the request of another call.', ({ joined }) => joined],
  ['pushes', 'Tokens that came with an event, without a request.', ({ pushes }) => pushes],
  ['invalidations', 'Invalidations that were heard.', ({ invalidations }) => invalidations],
  ['syncs', 'Synchronisations with a broker.', ({ syncs }) => syncs],
  [
    'suspect_seconds',
    'Time during which something held may have missed an invalidation.',
    ({ suspectMs }) => suspectMs / 1_000,
  ],
];

const GAUGES: readonly (readonly [name: string, help: string, of: (stats: ClientStats) => number])[] = [
  ['suspect', 'Whether something held may have missed an invalidation: 1 or 0.', ({ suspect }) => Number(suspect)],
  ['entries', 'Slots of the near cache, with or without a token.', ({ entries }) => entries],
  ['bytes', 'Bytes of the near cache.', ({ bytes }) => bytes],
];

/**
 * Shows a client in the metrics of its process, under the prefix `token_broker_client_`. What the client counts anyway is
 * read at each scrape, so that a hit costs nothing more. Once for each registry: another client needs another one.
 *
 * @param library the module `prom-client`
 * @param registry Default: that of the module
 */
export function registerMetrics(
  client: Pick<TokenBroker, 'stats' | 'inUse' | 'on'>,
  library: MetricsLibrary,
  registry: MetricsRegistry = library.register,
): void {
  for (const [name, help, of] of COUNTERS) {
    const counter = new library.Counter({
      name: `${PREFIX}${name}_total`,
      help,
      registers: [],
      collect: () => {
        counter.reset();
        counter.inc(of(client.stats()));
      },
    });
    registry.registerMetric(counter);
  }
  for (const [name, help, of] of GAUGES) {
    const gauge = new library.Gauge({
      name: `${PREFIX}${name}`,
      help,
      registers: [],
      collect: () => {
        gauge.set(of(client.stats()));
      },
    });
    registry.registerMetric(gauge);
  }

  let seenMs = Number.NEGATIVE_INFINITY;
  const remaining = new library.Histogram({
    name: `${PREFIX}remaining_life_at_use_seconds`,
    help: 'Of each token that was used since the last scrape: what it has left at this one.',
    labelNames: ['source'],
    buckets: LIFE_BUCKETS_SECONDS,
    registers: [],
    collect: () => {
      const used = client.inUse().filter(({ usedAtMs }) => usedAtMs > seenMs);
      for (const { source, expiresInMs } of used) remaining.observe({ source }, expiresInMs / 1_000);
      seenMs = used.reduce((latestMs, { usedAtMs }) => Math.max(latestMs, usedAtMs), seenMs);
    },
  });
  registry.registerMetric(remaining);

  const newsAge = new library.Histogram({
    name: `${PREFIX}news_age_seconds`,
    help: 'How old what a heartbeat tells is when it arrives, since Redis was read for it: so long an invalidation takes.',
    buckets: AGE_BUCKETS_SECONDS,
    registers: [],
  });
  client.on('heartbeat', ({ ageMs }) => {
    newsAge.observe({}, ageMs / 1_000);
  });
  registry.registerMetric(newsAge);
}
