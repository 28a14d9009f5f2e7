import { within } from '@token-broker/foundation';
import type { StatusReply } from '@token-broker/protocol';
import type { Inquiries } from '../cluster/inquiries.js';
import { leaseAgeOf, withTotals, type ReplicaReportPorts } from './replica-report.js';
import { sourceStatuses, type SourceStatusPorts } from './source-status.js';
import { PRESENT_FOR_MS } from './sync.js';

/** Near caches that a status names: so many, of the longest names, fit into a reply beside everything else. */
const NEAR_CACHES_NAMED = 500;
/** A status does without what Redis has not said of itself by then. */
const REDIS_WITHIN_MS = 500;

export interface StatusPorts extends ReplicaReportPorts, SourceStatusPorts {
  readonly inquiries: Inquiries;
  readonly redisProblems: () => Promise<readonly string[]>;
}

/** What this replica knows, and what each of the others says of itself. */
export async function status(ports: StatusPorts): Promise<StatusReply> {
  const { inquiries, memory, leaseKeeper } = ports;
  const [{ reports, silent }, sources, nearCaches, problems] = await Promise.all([
    inquiries.ask({ about: 'status' }),
    sourceStatuses(ports, leaseKeeper.paused),
    nearCachesOf(ports),
    redisProblems(ports),
  ]);
  const { broker, version, clock, startedAtMs, readiness, natsConnected, store } = ports;
  return {
    v: 1,
    broker,
    version,
    uptimeMs: Math.floor(clock.elapsedMs() - startedAtMs),
    ready: readiness().ready,
    nats: { connected: natsConnected() },
    redis: { available: store.isAvailable(), leaseAgeMs: leaseAgeOf(leaseKeeper), problems: [...problems] },
    brokers: [...leaseKeeper.brokers],
    partitions: memory.views.map(({ epoch, applied }) => ({ epoch, vseq: applied })),
    sources: withTotals(sources, reports),
    nearCaches: nearCaches.slice(0, NEAR_CACHES_NAMED),
    nearCachesTotal: nearCaches.length,
    replicas: reports.flatMap((report) => (report.status === undefined ? [] : [report.status])),
    silent: [...silent],
  };
}

async function nearCachesOf({ store }: StatusPorts): Promise<StatusReply['nearCaches']> {
  // Status is most wanted when something is away: it does without what Redis would have said.
  const present = await store.presences().catch(() => []);
  return present.map(({ caller, instance, untilMs }) => ({
    caller,
    instance,
    seenMs: Math.max(0, PRESENT_FOR_MS - untilMs),
  }));
}

async function redisProblems({ clock, redisProblems: ask }: StatusPorts): Promise<readonly string[]> {
  const asked = await within(
    clock,
    REDIS_WITHIN_MS,
    ask().catch(() => []),
  );
  return asked.inTime ? asked.value : [];
}
