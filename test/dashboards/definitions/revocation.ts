import { faultPanel, panel, query, type Dashboard } from '../model/dashboard.js';
import { broker, grown, ifAny, lately, nearCache, quantile, rate, sumBy } from '../model/promql.js';
import { JOB } from './variables.js';

const propagation = (suffix: string): string => broker(`revocation_propagation_seconds${suffix}`);
const duration = (suffix: string): string => broker(`revocation_duration_seconds${suffix}`);

export const revocation: Dashboard = {
  uid: 'token-broker-revocation',
  title: 'Token Broker: revocation',
  description: 'How fast what was revoked is gone everywhere, and who has not confirmed it.',
  variables: [JOB],
  rows: [
    {
      title: 'Revocations',
      panels: [
        panel('bars', 'short', 'Revocations', 'By selector and outcome, in the time that is looked at.', [
          query('{{selector}} {{outcome}}', sumBy('selector, outcome', grown(duration('_count')))),
        ]),
        faultPanel(
          'bars',
          'short',
          'Revocations that are not complete',
          'incomplete: revoke again. failed: nothing was revoked.',
          [
            query(
              '{{selector}} {{outcome}}',
              ifAny(
                sumBy('selector, outcome', grown(broker('revocation_duration_seconds_count', 'outcome!="complete"'))),
              ),
            ),
          ],
        ),
        panel(
          'lines',
          's',
          'Time of a revocation',
          'Until every broker has confirmed or lost its lease; with --wait, every near cache.',
          [query('p50', quantile(0.5, '', grown, duration)), query('p99', quantile(0.99, '', grown, duration))],
        ),
      ],
    },
    {
      title: 'Receipts',
      panels: [
        panel('lines', 's', 'Propagation', 'From the order to the receipt of who has applied it.', [
          query('{{by}} p50', quantile(0.5, 'by', grown, propagation)),
          query('{{by}} p90', quantile(0.9, 'by', grown, propagation)),
          query('{{by}} p99', quantile(0.99, 'by', grown, propagation)),
        ]),
        panel('number', 's', 'Propagation, last hour', '99 % of the receipts came within this time.', [
          query('{{by}}', 'job_by:token_broker_revocation_propagation_seconds:p99_increase1h{job="$job"}'),
        ]),
        panel(
          'bars',
          'short',
          'Receipts',
          'Those of near caches are expected with --wait only, and come without it too.',
          [
            query(
              '{{by}} expected',
              sumBy('by', `increase(${broker('revocation_receipts_expected_total')}[$__range])`),
            ),
            query(
              '{{by}} confirmed',
              sumBy('by', `increase(${broker('revocation_receipts_confirmed_total')}[$__range])`),
            ),
          ],
        ),
        faultPanel('bars', 'short', 'Stragglers', 'Receipts that were waited for in vain. The command names them.', [
          query('{{by}}', ifAny(sumBy('by', `increase(${broker('revocation_stragglers_total')}[$__range])`))),
        ]),
      ],
    },
    {
      title: 'How it spreads',
      panels: [
        panel(
          'lines',
          'reqps',
          'Invalidations applied',
          'By the brokers; and those that they read from the log before the event had come.',
          [
            query('{{instance}}', rate(broker('invalidations_applied_total'))),
            query('{{instance}} from the log', rate(broker('events_replayed_total', 'to="broker"'))),
          ],
        ),
        faultPanel(
          'lines',
          'short',
          'Invalidations that near caches had missed',
          'They asked, and were told. In a row: events do not reach them.',
          [query('told again', ifAny(sumBy('', lately(broker('events_replayed_total', 'to="near-cache"')))))],
        ),
        faultPanel('lines', 'short', 'Events that were lost', 'NATS did not take them.', [
          query('{{kind}}', ifAny(sumBy('kind', lately(broker('events_published_total', 'outcome="lost"'))))),
        ]),
        panel(
          'lines',
          'reqps',
          'Synchronisations',
          'delta: near caches that asked what they missed. reset: that had to drop all.',
          [query('{{outcome}}', sumBy('outcome', rate(broker('syncs_total'))))],
        ),
        faultPanel(
          'lines',
          'short',
          'Fetches that a revocation has overtaken',
          'The fence has kept their tokens out.',
          [
            query(
              'discarded',
              ifAny(sumBy('', `increase(${broker('commits_refused_total', 'reason="dead"')}[$__range])`)),
            ),
          ],
        ),
        faultPanel('bars', 'short', 'Rejected tokens', '401s that services reported, in the time that is looked at.', [
          query('{{source}} {{outcome}}', ifAny(sumBy('source, outcome', grown(broker('rejected_reports_total'))))),
        ]),
      ],
    },
    {
      title: 'The doors, and what is written down',
      panels: [
        faultPanel(
          'bars',
          'short',
          'Audit records that were not written in time',
          'late: tried again until it can be written. dropped: gone.',
          [
            query(
              '{{outcome}}',
              ifAny(sumBy('outcome', `increase(${broker('audit_records_total', 'outcome!="written"')}[$__range])`)),
            ),
          ],
        ),
        faultPanel(
          'bars',
          'short',
          'Requests refused at the HTTP door',
          'Without credentials that count. The audit trail has their addresses.',
          [
            query(
              '{{instance}}',
              ifAny(sumBy('instance', `increase(${broker('http_requests_refused_total')}[$__range])`)),
            ),
          ],
        ),
      ],
    },
    {
      title: 'Near caches, of services that show them',
      panels: [
        panel(
          'lines',
          's',
          'Age of news',
          'How old what a heartbeat tells is when it arrives: so long an invalidation takes.',
          [
            query(
              '{{job}} p50',
              quantile(0.5, 'job', rate, (s) => nearCache(`news_age_seconds${s}`)),
            ),
            query(
              '{{job}} p99',
              quantile(0.99, 'job', rate, (s) => nearCache(`news_age_seconds${s}`)),
            ),
          ],
        ),
        faultPanel(
          'lines',
          'short',
          'Suspect near caches',
          'They may have missed an invalidation, and refuse at maxStaleness.',
          [query('{{job}}', ifAny(sumBy('job', nearCache('suspect'))))],
        ),
        panel(
          'lines',
          's',
          'Time spent suspect',
          'Seconds in each second, summed over the near caches of a service. A few ms: a heartbeat was faster than an invalidation.',
          [query('{{job}}', sumBy('job', rate(nearCache('suspect_seconds_total'))))],
        ),
        panel('lines', 'reqps', 'Invalidations heard', 'By the near caches of a service.', [
          query('{{job}}', sumBy('job', rate(nearCache('invalidations_total')))),
        ]),
      ],
    },
  ],
};
