import type { SourceCounts, StatusReply } from '@token-broker/protocol';

/** A status, and when it came. */
export interface Sample {
  readonly status: StatusReply;
  /** Elapsed time. */
  readonly atMs: number;
}

/** What has happened between two samples. */
export interface Pace {
  readonly requestsPerSecond: number;
  readonly refusalsPerSecond: number;
  readonly idpCallsPerSecond: number;
  /** Of the requests; `undefined`: there was none. */
  readonly memoryShare: number | undefined;
}

/** The paces of all brokers together, and of each broker and source by name. */
export interface Paces {
  readonly whole: Pace;
  readonly brokers: ReadonlyMap<string, Pace>;
  readonly sources: ReadonlyMap<string, Pace>;
}

/** Counts of brokers begin anew with each start, and a broker that did not answer is missing from one of the two samples. */
export function pacesBetween(before: Sample, now: Sample): Paces {
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1_000);
  const [brokersBefore, brokersNow] = [brokersOf(before.status), brokersOf(now.status)];
  const brokers = new Map(
    [...brokersNow].map(([name, counts]) => [name, paceOf(brokersBefore.get(name), counts, seconds)]),
  );
  const sourcesBefore = new Map(before.status.sources.map(({ name, all }) => [name, all]));
  const sources = new Map(
    now.status.sources.map(({ name, all }) => [name, paceOf(sourcesBefore.get(name), all, seconds)] as const),
  );
  const grown = [...brokersNow].map(([name, counts]) => growthOf(brokersBefore.get(name), counts));
  return { whole: perSecond(grown, seconds), brokers, sources };
}

type Growth = Pick<SourceCounts, 'requests' | 'refusals' | 'idpCalls' | 'memoryHits'>;

function brokersOf({ replicas = [] }: StatusReply): Map<string, SourceCounts> {
  return new Map(replicas.map(({ broker, counts }) => [broker, counts]));
}

function paceOf(before: SourceCounts | undefined, now: SourceCounts | undefined, seconds: number): Pace {
  return perSecond(now === undefined ? [] : [growthOf(before, now)], seconds);
}

function growthOf(before: SourceCounts | undefined, now: SourceCounts): Growth {
  const grown = (name: keyof Growth): number => (before === undefined ? 0 : Math.max(0, now[name] - before[name]));
  return {
    requests: grown('requests'),
    refusals: grown('refusals'),
    idpCalls: grown('idpCalls'),
    memoryHits: grown('memoryHits'),
  };
}

function perSecond(grown: readonly Growth[], seconds: number): Pace {
  const sum = (name: keyof Growth): number => grown.reduce((total, one) => total + one[name], 0);
  const requests = sum('requests');
  return {
    requestsPerSecond: requests / seconds,
    refusalsPerSecond: sum('refusals') / seconds,
    idpCallsPerSecond: sum('idpCalls') / seconds,
    memoryShare: requests === 0 ? undefined : Math.min(1, sum('memoryHits') / requests),
  };
}
