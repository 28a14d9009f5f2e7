import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '@token-broker/protocol';
import type { Gauges, Metrics } from '../../app/ports/telemetry.js';
import { registerBudgetGauges } from './budget-gauges.js';
import { registerGauges } from './gauges.js';
import { createLabelCap } from './label-cap.js';
import { createRequestTally } from './request-tally.js';

/** From a hit in memory (less than 100 µs) to the longest wait of a caller. */
const BUCKETS_SECONDS = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15,
  0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 15, 30,
] as const;

/** Of the identity provider: from one in the same machine to the longest timeout that people set. */
const IDP_BUCKETS_SECONDS = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30,
] as const;

/** Of what happens once in a while, with labels that make many series of it. */
const FEW_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

const MAX_CALLERS = 200;
const MAX_SOURCES = 500;
const MAX_COMMANDS = 50;

/** In the place of a caller, for a token that is kept warm. No caller has such a name: it is not an identifier. */
const NOBODY = '(kept warm)';

/** Refusals of requests whose source may be a name that the caller has made up. */
const MADE_UP: ReadonlySet<'ok' | ErrorCode> = new Set(['UNKNOWN_SOURCE', 'FORBIDDEN', 'BAD_REQUEST'] as const);

/** Gauges of prom-client whose names end in `_total`, which promtool refuses: only counters may. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** {@link Metrics} with the page that Prometheus reads. */
export interface PrometheusMetrics extends Metrics {
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** A loop that is blocked for so long is surely seen. The default, 10 ms, is half of what an idle broker does. */
const LOOP_SAMPLED_EVERY_MS = 100;

/**
 * Metrics under the prefix `token_broker_`, in base units, in a registry of their own. `gauges` is asked once at each scrape.
 * Label values are bounded: 200 callers, 500 sources, then `other`.
 */
export function createMetrics(
  gauges: () => Gauges | Promise<Gauges>,
  build: { readonly version: string },
): PrometheusMetrics {
  const registry = new Registry();
  const registers = [registry];
  const callers = createLabelCap(MAX_CALLERS);
  const sources = createLabelCap(MAX_SOURCES);
  const commands = createLabelCap(MAX_COMMANDS);
  const tally = createRequestTally(BUCKETS_SECONDS);

  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_SAMPLED_EVERY_MS });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  let atScrape: Gauges | undefined;
  registerGauges(registry, () => atScrape);
  registerBudgetGauges(registry, () => atScrape?.budgets ?? []);
  new Gauge({
    name: 'token_broker_build_info',
    help: 'Always 1; the labels tell the versions of the broker and of Node.js.',
    labelNames: ['version', 'node_version'],
    registers,
  }).set({ version: build.version, node_version: process.version }, 1);

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name: `token_broker_${name}_total`, help, labelNames, registers });
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: readonly number[] = FEW_BUCKETS_SECONDS,
  ): Histogram<L> =>
    new Histogram({ name: `token_broker_${name}_seconds`, help, labelNames, buckets: [...buckets], registers });

  const dropped = counter('requests_dropped', 'Requests that were not answered.', ['reason']);
  const idpCalls = counter('idp_calls', 'Calls of identity providers.', ['source', 'reason', 'outcome']);
  const idpDuration = histogram(
    'idp_call_duration',
    'Time of one identity provider call.',
    ['source', 'outcome'],
    IDP_BUCKETS_SECONDS,
  );
  const callsCaused = counter('idp_calls_caused', 'Calls of identity providers, by the caller that caused them.', [
    'source',
    'caller',
    'reason',
  ]);
  const callsRefused = counter('idp_calls_refused', 'Calls that the budget of the upstream did not allow.', [
    'source',
    'class',
    'why',
  ]);
  const lockWait = histogram('lock_wait_duration', 'Time until the lock of a flight was decided.', ['outcome']);
  const lockLost = counter('locks_lost', 'Locks that were held no more when their flight ended.', ['source']);
  const refused = counter('commits_refused', 'Fetched tokens that were discarded.', ['reason']);
  const storeFailures = counter('store_failures', 'Redis commands that failed or had no answer.', ['command']);
  const unreadable = counter('records_unreadable', 'Records of Redis that could not be opened.', ['reason']);
  const events = counter('events_published', 'Events, by whether NATS took them.', ['kind', 'outcome']);
  const invalidations = counter('invalidations_applied', 'Invalidations that this broker has applied.', []);
  const replayed = counter(
    'events_replayed',
    'Invalidations that no event had brought: read from the log, or told to near caches that asked.',
    ['to'],
  );
  const refreshLag = histogram('refresh_lag', 'How late a refresh ahead of expiry was done.', ['source']);
  const rejected = counter('rejected_reports', 'Reports that an upstream refused a token.', ['source', 'outcome']);
  const revocations = histogram('revocation_duration', 'Time of a revocation until its outcome was known.', [
    'selector',
    'outcome',
  ]);
  const propagation = histogram(
    'revocation_propagation',
    'Time from the order of a revocation to the receipt of one who has applied it.',
    ['by'],
  );
  const expected = counter('revocation_receipts_expected', 'Receipts that revocations have waited for.', ['by']);
  const confirmed = counter('revocation_receipts_confirmed', 'Receipts that came before a revocation ended.', ['by']);
  const stragglers = counter('revocation_stragglers', 'Receipts that were waited for in vain.', ['by']);
  const syncs = counter('syncs', 'Synchronisations of near caches.', ['outcome']);
  const reloads = counter('reloads', 'Reloads of the configuration.', ['outcome']);

  const audited = counter('audit_records', 'Records of the audit trail, by whether they were written in time.', [
    'outcome',
  ]);
  const httpRefused = counter('http_requests_refused', 'Requests at the HTTP door without credentials that count.', []);

  // What has not happened yet is 0, so that the first time is an increase. Of what is told by source or caller, nothing is known.
  invalidations.inc(0);
  for (const reason of ['reply-subject', 'no-reply-subject', 'draining']) dropped.inc({ reason }, 0);
  for (const reason of ['epoch', 'dead', 'lost', 'expired', 'replayed', 'policy']) refused.inc({ reason }, 0);
  for (const reason of ['unknown-key', 'later-layout', 'corrupt']) unreadable.inc({ reason }, 0);
  for (const kind of ['refreshed', 'invalidation', 'heartbeat'])
    for (const outcome of ['delivered', 'lost']) events.inc({ kind, outcome }, 0);
  for (const to of ['broker', 'near-cache']) replayed.inc({ to }, 0);
  for (const by of ['broker', 'near-cache']) for (const each of [expected, confirmed, stragglers]) each.inc({ by }, 0);
  for (const outcome of ['delta', 'reset', 'refused']) syncs.inc({ outcome }, 0);
  for (const outcome of ['reloaded', 'unchanged', 'refused']) reloads.inc({ outcome }, 0);
  for (const outcome of ['written', 'late', 'dropped']) audited.inc({ outcome }, 0);
  httpRefused.inc(0);

  return {
    requestServed(source, caller, layer, outcome, tookMs) {
      tally.record(sources.of(source, !MADE_UP.has(outcome)), callers.of(caller), layer, outcome, tookMs);
    },
    hitCounter: (source, caller) => tally.hits(sources.of(source), callers.of(caller)),
    requestDropped: (reason) => dropped.inc({ reason }),
    idpCalled(name, reason, outcome, tookMs, caller) {
      const source = sources.of(name);
      idpCalls.inc({ source, reason, outcome });
      callsCaused.inc({ source, caller: caller === undefined ? NOBODY : callers.of(caller), reason });
      idpDuration.observe({ source, outcome }, seconds(tookMs));
    },
    callRefused: (source, callClass, why) => callsRefused.inc({ source: sources.of(source), class: callClass, why }),
    callSaved: (source) => tally.saved(sources.of(source)),
    lockWaited: (outcome, tookMs) => lockWait.observe({ outcome }, seconds(tookMs)),
    lockLost: (source) => lockLost.inc({ source: sources.of(source) }),
    commitRefused: (reason) => refused.inc({ reason }),
    storeFailed: (command) => storeFailures.inc({ command: commands.of(command) }),
    recordUnreadable: (reason) => unreadable.inc({ reason }),
    eventPublished: (kind, delivered) => events.inc({ kind, outcome: delivered ? 'delivered' : 'lost' }),
    invalidationApplied: () => invalidations.inc(),
    eventsReplayed: (to, count) => replayed.inc({ to }, count),
    refreshed: (source, lagMs) => refreshLag.observe({ source: sources.of(source) }, seconds(lagMs)),
    rejectedReported: (source, outcome) => rejected.inc({ source: sources.of(source), outcome }),
    revocationDone: (selector, outcome, tookMs) => revocations.observe({ selector, outcome }, seconds(tookMs)),
    revocationConfirmed(by, receipts) {
      for (const afterMs of receipts.afterMs) propagation.observe({ by }, seconds(afterMs));
      confirmed.inc({ by }, receipts.afterMs.length);
      expected.inc({ by }, receipts.expected);
      stragglers.inc({ by }, receipts.stragglers);
    },
    synced: (outcome) => syncs.inc({ outcome }),
    reloaded: (outcome) => reloads.inc({ outcome }),
    auditRecorded: (outcome) => audited.inc({ outcome }),
    httpRefused: () => httpRefused.inc(),

    async render() {
      atScrape = await gauges();
      const body = await registry.metrics();
      return { contentType: registry.contentType, body: body + tally.render() };
    },
  };
}

function seconds(ms: number): number {
  return Math.max(0, ms) / 1_000;
}
