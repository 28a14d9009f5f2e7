import { Gauge, type Registry } from 'prom-client';
import type { BudgetGauges } from '../../app/ports/telemetry.js';

type Limit = BudgetGauges['limits'][number];

const BREAKER_STATES = ['closed', 'half-open', 'open'] as const;

/**
 * Registers where the shared budgets of upstreams stand. Sources of one upstream show the same figures, each under its own
 * name; so do all replicas. Take a maximum over them, never a sum.
 */
export function registerBudgetGauges(registry: Registry, read: () => readonly BudgetGauges[]): void {
  const limitGauge = (name: string, help: string, valueOf: (limit: Limit) => number | undefined): void => {
    new Gauge({
      name: `token_broker_quota_${name}`,
      help,
      labelNames: ['source', 'upstream', 'window'],
      registers: [registry],
      collect() {
        this.reset();
        for (const { source, upstream, limits } of read())
          for (const limit of limits) {
            const value = valueOf(limit);
            if (value !== undefined) this.set({ source, upstream, window: limit.window }, value);
          }
      },
    });
  };
  const upstreamGauge = (name: string, help: string, valueOf: (budget: BudgetGauges) => number): void => {
    new Gauge({
      name: `token_broker_upstream_${name}`,
      help,
      labelNames: ['source', 'upstream'],
      registers: [registry],
      collect() {
        this.reset();
        for (const budget of read()) this.set({ source: budget.source, upstream: budget.upstream }, valueOf(budget));
      },
    });
  };

  limitGauge('limit', 'Calls that a window may hold, the reserve included.', ({ limit }) => limit);
  limitGauge('used', 'Calls that count in the window now, without those of the reserve.', ({ used }) => used);
  limitGauge('remaining', 'Calls that are left to callers who wait, without the reserve.', (limit) => limit.remaining);
  limitGauge('reserve', 'Of the limit, what is kept for fetching again what was revoked.', ({ reserve }) => reserve);
  limitGauge('reserve_used', 'Calls of the reserve that count in the window now.', ({ reserveUsed }) => reserveUsed);
  limitGauge(
    'exhausted_in_seconds',
    'Time until nothing remains, at the rate of the last minutes; absent while that is not within the window.',
    ({ exhaustedInMs }) => (exhaustedInMs === undefined ? undefined : exhaustedInMs / 1_000),
  );
  upstreamGauge('calls_open', 'Calls of the upstream that are under way in the whole cluster.', ({ open }) => open);
  upstreamGauge(
    'paused_seconds',
    'Time left of the pause that the upstream asked for or its failures have caused; 0: it is not paused.',
    ({ pausedMs }) => pausedMs / 1_000,
  );
  upstreamGauge(
    'credential_paused_seconds',
    'Time left of the pause since the upstream refused the client itself; 0: it is not paused.',
    ({ credentialPausedMs }) => credentialPausedMs / 1_000,
  );
  new Gauge({
    name: 'token_broker_upstream_breaker',
    help: 'State of the breaker of the upstream: 1 for the one that it is in, 0 for the others.',
    labelNames: ['source', 'upstream', 'state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { source, upstream, breaker } of read())
        for (const state of BREAKER_STATES) this.set({ source, upstream, state }, Number(breaker === state));
    },
  });
}
