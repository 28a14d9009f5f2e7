import type { CallerReport } from './caller-messages.js';
import type { DisturbanceCounts } from './disturbance.js';
import type { Returned } from './revocations.js';

/** A renewal comes with 20 % of the life left, and up to a quarter of that earlier: `refresh.ahead` and its jitter. */
const [LATEST_RENEWAL, EARLIEST_RENEWAL] = [0.8, 0.75];
/** A connected near cache that missed the event is suspect after three ticks, and asks at once. */
const TICKS_UNTIL_SUSPECT = 3;
/** What the question takes, on a machine whose every core is busy. */
const ASKING_MS = 1_500;

export interface Observations {
  readonly sources: readonly string[];
  readonly lifeMs: number;
  readonly tickMs: number;
  /** Wall time. */
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  readonly idpCalls: number;
  readonly disturbances: DisturbanceCounts;
  readonly revocations: readonly Returned[];
  readonly reports: readonly CallerReport[];
}

/** What held, and what did not. */
export interface Verdict {
  readonly idpCalls: number;
  /** One call for each life of a token, where a renewal ends a life and a revocation does. */
  readonly idealIdpCalls: number;
  /** As many as there may be: renewals at their earliest, and one that each disturbance has spoilt. */
  readonly mostIdpCalls: number;
  /** How long after a revocation had returned the last of its tokens was handed out; 0: never after. */
  readonly servedAfterRevocationMs: number;
  readonly servedAfterRevocationBoundMs: number;
  /** One sentence for each thing that must not be; empty: all is well. */
  readonly violations: readonly string[];
}

export function judge(seen: Observations): Verdict {
  const { disturbances, reports, revocations, idpCalls } = seen;
  const disturbed = disturbances.SIGKILL + disturbances.SIGTERM + disturbances.SIGSTOP;
  const idealIdpCalls = callsNeeded(seen, LATEST_RENEWAL);
  const mostIdpCalls = callsNeeded(seen, EARLIEST_RENEWAL) + disturbed;
  const servedAfterRevocationMs = Math.max(0, ...revocations.flatMap((revocation) => servedAfter(revocation, reports)));
  const servedAfterRevocationBoundMs = TICKS_UNTIL_SUSPECT * seen.tickMs + ASKING_MS;
  const sum = (pick: (report: CallerReport) => number): number =>
    reports.reduce((total, report) => total + pick(report), 0);
  const errors = sum((report) => Object.values(report.errors).reduce((total, count) => total + count, 0));
  const incomplete = revocations.filter(({ complete }) => !complete).length;
  const claims: readonly [boolean, string][] = [
    [errors === 0, `${String(errors)} calls ended with an error though a replica was left`],
    [sum(({ late }) => late) === 0, 'a call ended after its deadline'],
    [sum(({ belowMinimum }) => belowMinimum) === 0, 'a token was handed out below the minimum lifetime'],
    [sum(({ stepsBack }) => stepsBack) === 0, 'a client stepped back to an older token'],
    [servedAfterRevocationMs <= servedAfterRevocationBoundMs, 'a revoked token was handed out beyond the bound'],
    [incomplete === 0, 'a revocation was not complete'],
    [revocations.every(({ floor }) => floor > 0), 'a revocation has left no cutoff'],
    [disturbances.badExits === 0, 'a replica did not end well after SIGTERM'],
    [idpCalls <= mostIdpCalls, 'the identity provider was called more often than once for each life and disturbance'],
    [idpCalls >= seen.sources.length, 'the callers got no tokens'],
  ];
  return {
    idpCalls,
    idealIdpCalls,
    mostIdpCalls,
    servedAfterRevocationMs,
    servedAfterRevocationBoundMs,
    violations: claims.filter(([holds]) => !holds).map(([, sentence]) => sentence),
  };
}

/** Calls that the lives of all tokens need, where each is renewed after this part of its life. */
function callsNeeded({ sources, lifeMs, beganAtMs, endedAtMs, revocations }: Observations, renewedAt: number): number {
  return sources
    .map((source) => {
      const ends = revocations.filter((each) => each.source === source).map(({ returnedAtMs }) => returnedAtMs);
      const borders = [beganAtMs, ...ends, endedAtMs];
      const spans = borders.slice(1).map((end, index) => end - (borders[index] ?? end));
      return spans.reduce((calls, spanMs) => calls + 1 + Math.floor(spanMs / (lifeMs * renewedAt)), 0);
    })
    .reduce((total, calls) => total + calls, 0);
}

/** How long after its return calls began that were answered with what it had revoked. */
function servedAfter({ source, floor, returnedAtMs }: Returned, reports: readonly CallerReport[]): number[] {
  return reports
    .flatMap(({ handedOut }) => handedOut)
    .filter((token) => token.source === source && token.generation <= floor)
    .map(({ lastAskedAtMs }) => lastAskedAtMs - returnedAtMs);
}
