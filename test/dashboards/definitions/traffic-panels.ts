import { panel, query, type Panel } from '../model/dashboard.js';
import { rate, sumBy } from '../model/promql.js';

/** What several dashboards show in the same way, each of its own choice of a metric's series. */

export function answersByLayer(requests: string): Panel {
  return panel(
    'stacked',
    'reqps',
    'Where answers come from',
    'memory and redis cost nothing; idp began a call; flight joined one.',
    query('{{layer}}', sumBy('layer', rate(requests))),
  );
}

export function callsByReason(calls: string): Panel {
  return panel(
    'stacked',
    'reqps',
    'Calls by reason',
    'miss: nobody had one. refresh: ahead of expiry. revoked, rejected: again.',
    query('{{reason}}', sumBy('reason', rate(calls))),
  );
}
