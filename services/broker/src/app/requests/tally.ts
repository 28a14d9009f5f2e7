import type { Metrics } from '../ports/telemetry.js';

/** What `status` tells of one source: counts of this replica since it started. */
export interface SourceTally {
  idpCalls: number;
  idpErrors: number;
  callsSaved: number;
}

/** Counts beside the metrics what operators ask for by name. */
export class Tally {
  readonly #bySource = new Map<string, SourceTally>();

  of(source: string): SourceTally {
    let tally = this.#bySource.get(source);
    if (tally === undefined) {
      tally = { idpCalls: 0, idpErrors: 0, callsSaved: 0 };
      this.#bySource.set(source, tally);
    }
    return tally;
  }

  /** The same metrics, listened in on. */
  listening(metrics: Metrics): Metrics {
    const forward = (name: keyof Metrics): never => metrics[name].bind(metrics) as never;
    return {
      requestServed: forward('requestServed'),
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
      idpCalled: (source, reason, outcome, tookMs, caller) => {
        const tally = this.of(source);
        tally.idpCalls++;
        if (outcome !== 'ok') tally.idpErrors++;
        metrics.idpCalled(source, reason, outcome, tookMs, caller);
      },
      callSaved: (source) => {
        this.of(source).callsSaved++;
        metrics.callSaved(source);
      },
    };
  }
}
