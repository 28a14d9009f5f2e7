import type { Benchmark } from '../harness/benchmark.js';
import { brokerLatency } from './broker-latency.js';
import { brokerThroughput } from './broker-throughput.js';
import { clientThroughput } from './client-throughput.js';
import { clients10k } from './clients-10k.js';
import { coldFetch } from './cold-fetch.js';
import { idle } from './idle.js';
import { invalidation } from './invalidation.js';
import { nearCacheAsync } from './near-cache-async.js';
import { nearCacheSync } from './near-cache-sync.js';
import { refreshBoundary } from './refresh-boundary.js';
import { refreshPush } from './refresh-push.js';
import { singleFlight } from './single-flight.js';
import { slots1M } from './slots-1M.js';
import { startup } from './startup.js';

/** In the order of the table. */
export const BENCHMARKS: readonly Benchmark[] = [
  nearCacheSync,
  nearCacheAsync,
  brokerThroughput,
  brokerLatency,
  clientThroughput,
  coldFetch,
  singleFlight,
  invalidation,
  refreshPush,
  refreshBoundary,
  slots1M,
  clients10k,
  idle,
  startup,
];
