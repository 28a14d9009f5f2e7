import type { Clock } from '@token-broker/foundation';
import type {
  Inquiry,
  ReplicaKnowledge,
  ReplicaReport,
  ReplicaStatus,
  SourceCounts,
  StatusReply,
} from '@token-broker/protocol';
import type { LeaseKeeper } from '../cluster/lease-keeper.js';
import type { Readiness } from '../cluster/readiness.js';
import { heldInParts } from '../memory/held-in-parts.js';
import { countBySource } from '../memory/holdings.js';
import type { Memory } from '../memory/memory.js';
import type { Store } from '../ports/store.js';
import type { Sources } from '../sources/sources.js';
import type { Held } from '../tokens/held.js';
import type { Sync } from './sync.js';
import type { Tally } from './tally.js';

/** Callers, and near caches, that one replica names. */
const NAMED = 50;
/** Sources of which one replica tells: more do not fit into its answer. */
const SOURCES_TOLD = 1_000;

export interface ReplicaReportPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly memory: Memory;
  readonly sources: Sources;
  readonly tally: Tally;
  readonly leaseKeeper: LeaseKeeper;
  readonly sync: Sync;
  readonly broker: string;
  readonly version: string;
  /** Elapsed time. */
  readonly startedAtMs: number;
  readonly demandMs: number;
  readonly natsConnected: () => boolean;
  readonly readiness: () => Readiness;
  /** When this replica plans to renew a token, in elapsed time. */
  readonly plannedAtMs: (held: Held) => number | undefined;
}

/**
 * What this replica answers to an operator's question that went to all of them: from memory, a part of it at a time. Never
 * rejects.
 */
export async function replicaReport(ports: ReplicaReportPorts, { about, name = '' }: Inquiry): Promise<ReplicaReport> {
  if (about === 'status') {
    const sources = await sourceCounts(ports);
    return { status: replicaStatus(ports, sources), sources };
  }
  return { knowledge: about === 'source' ? await knowledgeOfSource(ports, name) : knowledgeOfSlot(ports, name) };
}

type NamedCounts = SourceCounts & { readonly name: string };

function replicaStatus(ports: ReplicaReportPorts, sources: readonly NamedCounts[]): ReplicaStatus {
  const { clock, store, memory, leaseKeeper, broker, version, startedAtMs, natsConnected, readiness } = ports;
  const { ready, checks } = readiness();
  return {
    broker,
    version,
    uptimeMs: Math.floor(clock.elapsedMs() - startedAtMs),
    ready,
    problems: Object.values(checks).filter((check) => check !== 'ok'),
    nats: { connected: natsConnected() },
    redis: { available: store.isAvailable(), leaseAgeMs: leaseAgeOf(leaseKeeper) },
    policy: ports.sources.current.policy,
    epochs: memory.views.map(({ epoch }) => epoch),
    clockAheadMs: clockAheadMs(ports),
    counts: sumOf(sources),
  };
}

/** Of the last read along, in whole ms; `null`: there was none. */
export function leaseAgeOf({ leaseAgeMs }: LeaseKeeper): number | null {
  return leaseAgeMs === undefined ? null : Math.floor(leaseAgeMs);
}

/** By the last lease: Redis read its clock between the moment it was asked and that at which the answer was there. */
function clockAheadMs({ clock, memory }: ReplicaReportPorts): number | null {
  const [view] = memory.views;
  if (view?.leasedAtMs === undefined) return null;
  const wallAtLeaseMs = clock.wallMs() - (clock.elapsedMs() - view.leasedAtMs);
  return Math.round(wallAtLeaseMs - view.leasedRedisMs);
}

async function sourceCounts({ clock, memory, sources, tally }: ReplicaReportPorts): Promise<NamedCounts[]> {
  const held = await countBySource(memory, clock);
  return [...sources.current.sources.keys()].slice(0, SOURCES_TOLD).map((name) => {
    const { requests, memoryHits, refusals, idpCalls, idpErrors, callsSaved } = tally.of(name);
    return { name, held: held.get(name) ?? 0, requests, memoryHits, refusals, idpCalls, idpErrors, callsSaved };
  });
}

function sumOf(all: readonly SourceCounts[]): SourceCounts {
  const sum = { held: 0, requests: 0, memoryHits: 0, refusals: 0, idpCalls: 0, idpErrors: 0, callsSaved: 0 };
  for (const one of all) for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += one[name];
  return sum;
}

async function knowledgeOfSource(ports: ReplicaReportPorts, source: string): Promise<ReplicaKnowledge> {
  const { clock, memory, tally, sync, broker, demandMs } = ports;
  const held: Held[] = [];
  for await (const part of heldInParts(memory, clock))
    for (const token of part) if (token.address.source === source) held.push(token);
  const nowMs = clock.elapsedMs();
  const { lastFetch, lastFailure, callers } = tally.of(source);
  const ago = (atMs: number): number => Math.floor(nowMs - atMs);
  return {
    broker,
    held: held.length,
    inDemand: held.filter(({ wantedAtMs }) => nowMs - wantedAtMs < demandMs).length,
    ...nextRefresh(ports, held),
    ...(lastFetch === undefined ? {} : { lastFetch: { agoMs: ago(lastFetch.atMs), reason: lastFetch.reason } }),
    ...(lastFailure === undefined ? {} : { lastFailure: { agoMs: ago(lastFailure.atMs), code: lastFailure.code } }),
    callers: [...callers]
      .map(([caller, { requests }]) => ({ caller, requests }))
      .sort((a, b) => b.requests - a.requests)
      .slice(0, NAMED),
    nearCaches: sync.nearCachesOf(source).slice(0, NAMED),
  };
}

function knowledgeOfSlot(ports: ReplicaReportPorts, slot: string): ReplicaKnowledge {
  const { clock, memory, broker, demandMs } = ports;
  const held = memory.peek(slot);
  if (held === undefined) return { broker, held: 0, inDemand: 0, callers: [], nearCaches: [] };
  const nowMs = clock.elapsedMs();
  const { generation, lifeMs, wantedAtMs, wantedBy } = held;
  return {
    broker,
    held: 1,
    inDemand: nowMs - wantedAtMs < demandMs ? 1 : 0,
    ...nextRefresh(ports, [held]),
    token: {
      generation,
      expiresInMs: Math.max(0, Math.floor(held.remainingMs(nowMs))),
      lifeMs: Math.floor(lifeMs),
      wantedAgoMs: Number.isFinite(wantedAtMs) ? Math.floor(Math.max(0, nowMs - wantedAtMs)) : null,
      ...(wantedBy === undefined ? {} : { wantedBy }),
    },
    callers: [],
    nearCaches: [],
  };
}

function nextRefresh(
  { clock, plannedAtMs }: ReplicaReportPorts,
  held: readonly Held[],
): Pick<ReplicaKnowledge, 'nextRefreshInMs'> {
  let nextAtMs: number | undefined;
  for (const token of held) {
    const atMs = plannedAtMs(token);
    if (atMs !== undefined && (nextAtMs === undefined || atMs < nextAtMs)) nextAtMs = atMs;
  }
  return nextAtMs === undefined ? {} : { nextRefreshInMs: Math.max(0, Math.floor(nextAtMs - clock.elapsedMs())) };
}

/** Sums by source over the replicas that have answered. */
function totalsBySource(reports: readonly ReplicaReport[]): ReadonlyMap<string, SourceCounts> {
  const all = new Map<string, SourceCounts>();
  for (const { sources = [] } of reports) {
    for (const { name, ...counts } of sources) {
      const known = all.get(name);
      all.set(name, known === undefined ? counts : sumOf([known, counts]));
    }
  }
  return all;
}

/** The figures of the whole cluster beside those of the replica that answers. */
export function withTotals(sources: StatusReply['sources'], reports: readonly ReplicaReport[]): StatusReply['sources'] {
  const totals = totalsBySource(reports);
  return sources.map((source) => {
    const all = totals.get(source.name);
    return all === undefined ? source : { ...source, all };
  });
}
