import { faultPanel, panel, query, type Dashboard } from '../model/dashboard.js';
import { brokerWhere, grown, ifAny, lately, maxBy, sumBy } from '../model/promql.js';
import { callsByReason } from './traffic-panels.js';
import { JOB, SOURCES } from './variables.js';

const of = brokerWhere('source=~"$source"');

export const quota: Dashboard = {
  uid: 'token-broker-quota',
  title: 'Token Broker: quotas',
  description:
    'What identity providers allow, what is used of it and by whom. Sources of one upstream share its budget, and show the same.',
  variables: [JOB, SOURCES],
  rows: [
    {
      title: 'The budget',
      panels: [
        panel(
          'bars',
          'percentunit',
          'Used of the limit',
          'Of what callers who wait may use: the limit without its reserve.',
          [
            query(
              '{{source}} {{window}}',
              'job_source_window:token_broker_quota_used:ratio{job="$job", source=~"$source"}',
            ),
          ],
          { max: 1 },
        ),
        panel('lines', 'short', 'Used and limit', 'Calls that count in each window now.', [
          query('{{source}} {{window}} used', maxBy('source, window', of('quota_used'))),
          query('{{source}} {{window}} limit', maxBy('source, window', of('quota_limit'))),
        ]),
        panel('lines', 'short', 'Remaining', 'Calls that are left to callers who wait.', [
          query('{{source}} {{window}}', maxBy('source, window', of('quota_remaining'))),
        ]),
        faultPanel(
          'lines',
          'dtdurations',
          'Time until nothing remains',
          'At the rate of the last minutes. No data: it lasts as long as its window.',
          [query('{{source}} {{window}}', maxBy('source, window', of('quota_exhausted_in_seconds')))],
        ),
        panel('lines', 'short', 'Reserve', 'Kept for fetching again what was revoked.', [
          query('{{source}} {{window}} reserve', maxBy('source, window', of('quota_reserve'))),
          query('{{source}} {{window}} used', maxBy('source, window', of('quota_reserve_used'))),
        ]),
        panel('table', 'short', 'Upstreams', 'Sources with the same fingerprint share one budget.', [
          query('{{upstream}} {{source}} {{window}}', maxBy('upstream, source, window', of('quota_limit'))),
        ]),
      ],
    },
    {
      title: 'What it is used for',
      panels: [
        callsByReason(of('idp_calls_total')),
        panel(
          'bars',
          'short',
          'Who causes calls',
          'Who asked, and of a renewal who asked last; in the time that is looked at.',
          [query('{{caller}} {{source}}', `topk(10, ${sumBy('caller, source', grown(of('idp_calls_caused_total')))})`)],
        ),
        panel('bars', 'short', 'Calls saved', 'Answers that would have been calls, in the time that is looked at.', [
          query('{{source}}', sumBy('source', grown(of('idp_calls_saved_total')))),
        ]),
        panel('lines', 'short', 'Calls under way', 'In the whole cluster.', [
          query('{{source}}', maxBy('source', of('upstream_calls_open'))),
        ]),
        panel(
          'lines',
          'short',
          'Near caches that use it',
          'Services that have reported a token of the source lately.',
          [query('{{source}}', sumBy('source', of('near_caches_in_demand')))],
        ),
        panel('lines', 'short', 'Slots in demand', 'Tokens that will be renewed, on the replica that holds most.', [
          query('{{source}}', maxBy('source', of('slots_in_demand'))),
        ]),
      ],
    },
    {
      title: 'Where it ends',
      panels: [
        faultPanel(
          'lines',
          'short',
          'Calls that were not made',
          'limit: no budget. paused: the provider asked for it. breaker: it fails. credential: it refuses the client.',
          [
            query(
              '{{source}} {{class}} {{why}}',
              ifAny(sumBy('source, class, why', lately(of('idp_calls_refused_total')))),
            ),
          ],
        ),
        faultPanel(
          'bars',
          'short',
          '429s',
          'Calls that the provider answered with “too many”, in the time that is looked at.',
          [query('{{source}}', ifAny(sumBy('source', grown(of('idp_calls_total', 'outcome="QUOTA_EXHAUSTED"')))))],
        ),
        faultPanel('lines', 's', 'Pause', 'What is left of it. All replicas keep it.', [
          query('{{source}}', ifAny(maxBy('source', of('upstream_paused_seconds')))),
        ]),
        faultPanel(
          'lines',
          's',
          'Pause of a refused client',
          'What is left of it: nothing is fetched until the credential is replaced.',
          [query('{{source}}', ifAny(maxBy('source', of('upstream_credential_paused_seconds'))))],
        ),
        faultPanel('lines', 'none', 'Breakers that are not closed', '1 for the state that each is in.', [
          query('{{source}} {{state}}', ifAny(maxBy('source, state', of('upstream_breaker', 'state!="closed"')))),
        ]),
        faultPanel('lines', 'short', 'Requests told QUOTA_EXHAUSTED', 'By who was told.', [
          query(
            '{{source}} {{caller}}',
            ifAny(sumBy('source, caller', lately(of('requests_total', 'outcome="QUOTA_EXHAUSTED"')))),
          ),
        ]),
      ],
    },
  ],
};
