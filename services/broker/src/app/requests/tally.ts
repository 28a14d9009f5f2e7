import type { Clock } from '@token-broker/foundation';
import type { SourceCounts } from '@token-broker/protocol';
import type { CallOutcome, CallReason, Metrics } from '../ports/telemetry.js';

/** Callers of one source that are counted by name: who comes later is not. */
const CALLERS_COUNTED = 1_000;

/** What `status` and `describe` tell of one source: counts of this replica since it started. */
export interface SourceTally extends Omit<SourceCounts, 'held'> {
  /** Requests by caller. */
  readonly callers: Map<string, { requests: number }>;
  /** Elapsed time of the last calls of the identity provider that succeeded, and that did not. */
  lastFetch: { readonly atMs: number; readonly reason: CallReason } | undefined;
  lastFailure: { readonly atMs: number; readonly code: Exclude<CallOutcome, 'ok'> } | undefined;
}

/** Refusals that say nothing of a source: whoever asks may name what there is not. */
const NOT_OF_A_SOURCE: ReadonlySet<string> = new Set(['UNKNOWN_SOURCE', 'FORBIDDEN', 'BAD_REQUEST']);

/** Counts beside the metrics what operators ask for by name. */
export class Tally {
  readonly #clock: Clock;
  readonly #bySource = new Map<string, SourceTally>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(source: string): SourceTally {
    let tally = this.#bySource.get(source);
    if (tally === undefined) {
      tally = {
        ...{ requests: 0, memoryHits: 0, refusals: 0, idpCalls: 0, idpErrors: 0, callsSaved: 0 },
        callers: new Map(),
        lastFetch: undefined,
        lastFailure: undefined,
      };
      this.#bySource.set(source, tally);
    }
    return tally;
  }

  /** The same metrics, listened in on. */
  listening(metrics: Metrics): Metrics {
    const forward = (name: keyof Metrics): never => metrics[name].bind(metrics) as never;
    return {
      requestDropped: forward('requestDropped'),
      lockWaited: forward('lockWaited'),
      lockLost: forward('lockLost'),
      commitRefused: forward('commitRefused'),
      storeFailed: forward('storeFailed'),
      recordUnreadable: forward('recordUnreadable'),
      eventPublished: forward('eventPublished'),
      invalidationApplied: forward('invalidationApplied'),
      eventsReplayed: forward('eventsReplayed'),
      refreshed: forward('refreshed'),
      rejectedReported: forward('rejectedReported'),
      revocationDone: forward('revocationDone'),
      revocationConfirmed: forward('revocationConfirmed'),
      synced: forward('synced'),
      reloaded: forward('reloaded'),
      callRefused: forward('callRefused'),
      auditRecorded: forward('auditRecorded'),
      httpRefused: forward('httpRefused'),
      requestServed: (source, caller, layer, outcome, tookMs) => {
        if (!NOT_OF_A_SOURCE.has(outcome)) {
          const tally = this.of(source);
          tally.requests++;
          if (outcome !== 'ok') tally.refusals++;
          else if (layer === 'memory') tally.memoryHits++;
          const ofCaller = callerOf(tally, caller);
          if (ofCaller !== undefined) ofCaller.requests++;
        }
        metrics.requestServed(source, caller, layer, outcome, tookMs);
      },
      hitCounter: (source, caller) => {
        const tally = this.of(source);
        const ofCaller = callerOf(tally, caller);
        const count = metrics.hitCounter(source, caller);
        return () => {
          tally.requests++;
          tally.memoryHits++;
          tally.callsSaved++;
          if (ofCaller !== undefined) ofCaller.requests++;
          count();
        };
      },
      idpCalled: (source, reason, outcome, tookMs, caller) => {
        const tally = this.of(source);
        const atMs = this.#clock.elapsedMs();
        tally.idpCalls++;
        if (outcome === 'ok') tally.lastFetch = { atMs, reason };
        else {
          tally.idpErrors++;
          tally.lastFailure = { atMs, code: outcome };
        }
        metrics.idpCalled(source, reason, outcome, tookMs, caller);
      },
      callSaved: (source) => {
        this.of(source).callsSaved++;
        metrics.callSaved(source);
      },
    };
  }
}

/** What is counted of a caller, where it is one of those that are counted by name. */
function callerOf({ callers }: SourceTally, name: string): { requests: number } | undefined {
  const known = callers.get(name);
  if (known !== undefined || callers.size >= CALLERS_COUNTED) return known;
  const counted = { requests: 0 };
  callers.set(name, counted);
  return counted;
}
