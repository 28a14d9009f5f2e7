import { faultPanel, panel, query, type Dashboard } from '../model/dashboard.js';
import { brokerWhere, grown, ifAny, lately, maxBy, nearCache, quantile, rate, sumBy } from '../model/promql.js';
import { answersByLayer, callsByReason } from './traffic-panels.js';
import { JOB, ONE_SOURCE } from './variables.js';

const CHOSEN = 'source="$source"';
const of = brokerWhere(CHOSEN);

export const source: Dashboard = {
  uid: 'token-broker-source',
  title: 'Token Broker: one source',
  description: 'One source in depth: who wants its tokens, how they are got, how long they have left.',
  variables: [JOB, ONE_SOURCE],
  rows: [
    {
      title: 'Requests',
      panels: [
        answersByLayer(of('requests_total')),
        panel('lines', 'reqps', 'Who asks', 'By caller.', [
          query('{{caller}}', sumBy('caller', rate(of('requests_total')))),
        ]),
        faultPanel('lines', 'short', 'Requests that got no token', 'By who asked, and what they were told.', [
          query(
            '{{caller}} {{outcome}}',
            ifAny(sumBy('caller, outcome', lately(of('requests_total', 'outcome!="ok"')))),
          ),
        ]),
      ],
    },
    {
      title: 'Tokens',
      panels: [
        panel('stacked', 'short', 'Remaining life', 'Tokens that the replicas hold, by what they have left.', [
          query('{{remaining}}', sumBy('remaining', of('tokens_by_remaining_life'))),
        ]),
        panel('lines', 'short', 'Slots', 'On the replica that holds most; those in demand are renewed.', [
          query('held', maxBy('', of('slots_held'))),
          query('in demand', maxBy('', of('slots_in_demand'))),
        ]),
        panel('lines', 'short', 'Near caches that use it', 'Services that have reported a token of it lately.', [
          query('near caches', sumBy('', of('near_caches_in_demand'))),
        ]),
        panel('lines', 's', 'Delay of renewals', 'From due to done.', [
          query(
            'p50',
            quantile(0.5, '', grown, (s) => of(`refresh_lag_seconds${s}`)),
          ),
          query(
            'p95',
            quantile(0.95, '', grown, (s) => of(`refresh_lag_seconds${s}`)),
          ),
        ]),
        panel(
          'lines',
          's',
          'Remaining life at use',
          'What the tokens that services use have left: 95 % have more. Of services that show their near cache.',
          [
            query(
              '{{job}}',
              quantile(0.05, 'job', rate, (s) => `${nearCache(`remaining_life_at_use_seconds${s}`)}{${CHOSEN}}`),
            ),
          ],
        ),
        faultPanel('bars', 'short', 'Rejected tokens', '401s that services reported, in the time that is looked at.', [
          query('{{outcome}}', ifAny(sumBy('outcome', grown(of('rejected_reports_total'))))),
        ]),
      ],
    },
    {
      title: 'Its identity provider',
      panels: [
        callsByReason(of('idp_calls_total')),
        panel('lines', 's', 'Time of a call', 'In the time that is looked at.', [
          query(
            'p50',
            quantile(0.5, '', grown, (s) => of(`idp_call_duration_seconds${s}`)),
          ),
          query(
            'p99',
            quantile(0.99, '', grown, (s) => of(`idp_call_duration_seconds${s}`)),
          ),
        ]),
        panel(
          'lines',
          'percentunit',
          'Answers without a call',
          'Of those with a token.',
          [query('saved', 'job_source:token_broker_idp_calls_saved:ratio5m{job="$job", source="$source"}')],
          { max: 1 },
        ),
        panel(
          'bars',
          'short',
          'Who causes calls',
          'Who asked, and of a renewal who asked last; in the time that is looked at.',
          [query('{{caller}} {{reason}}', sumBy('caller, reason', grown(of('idp_calls_caused_total'))))],
        ),
        panel('lines', 'short', 'Quota', 'Calls that are left to callers who wait.', [
          query('{{window}} remaining', maxBy('window', of('quota_remaining'))),
          query('{{window}} limit', maxBy('window', of('quota_limit'))),
        ]),
        faultPanel('bars', 'short', 'Calls that failed', 'By outcome, in the time that is looked at.', [
          query(
            '{{reason}} {{outcome}}',
            ifAny(sumBy('reason, outcome', grown(of('idp_calls_total', 'outcome!="ok"')))),
          ),
        ]),
        faultPanel(
          'lines',
          'percentunit',
          'Share of calls that failed',
          'At the identity provider, in five minutes. Above a half: an alert.',
          [query('failed', 'job_source:token_broker_idp_failures:ratio5m{job="$job", source="$source"} > 0')],
          { max: 1 },
        ),
        faultPanel(
          'bars',
          'short',
          'Calls that were not made',
          'By why the budget did not allow them, in the time that is looked at.',
          [query('{{class}} {{why}}', ifAny(sumBy('class, why', grown(of('idp_calls_refused_total')))))],
        ),
        faultPanel('lines', 's', 'Pause', 'What is left of it. All replicas keep it.', [
          query('pause', ifAny(maxBy('', of('upstream_paused_seconds')))),
        ]),
        faultPanel(
          'lines',
          's',
          'Pause of a refused client',
          'What is left of it: nothing is fetched until the credential is replaced.',
          [query('pause', ifAny(maxBy('', of('upstream_credential_paused_seconds'))))],
        ),
        faultPanel(
          'bars',
          'short',
          'Locks that were lost',
          'Held no more when their flight ended, in the time that is looked at.',
          [query('locks', ifAny(sumBy('', grown(of('locks_lost_total')))))],
        ),
      ],
    },
  ],
};
