import { faultPanel, panel, query, type Dashboard } from '../model/dashboard.js';
import { broker, grown, ifAny, lately, maxBy, nearCache, quantile, rate, sumBy } from '../model/promql.js';
import { answersByLayer } from './traffic-panels.js';
import { JOB } from './variables.js';

const requests = broker('requests_total');

export const overview: Dashboard = {
  uid: 'token-broker-overview',
  title: 'Token Broker',
  description: 'Whether services get their tokens, and what that costs at the identity providers.',
  variables: [JOB],
  rows: [
    {
      title: 'Now',
      panels: [
        panel('number', 'short', 'Brokers', 'Replicas that Prometheus reads.', [
          query('brokers', `count(${broker('build_info')})`),
        ]),
        panel('number', 'reqps', 'Requests', 'Of near caches that needed a broker, per second.', [
          query('requests', 'sum(job_layer:token_broker_requests:rate5m{job="$job"})'),
        ]),
        panel('number', 's', 'Slowest of 100 answers', 'The time within which 99 % of the requests were answered.', [
          query('p99', 'job:token_broker_request_duration_seconds:p99_rate5m{job="$job"}'),
        ]),
        panel('number', 'short', 'Calls', 'Of identity providers, in the time that is looked at.', [
          query('calls', sumBy('', grown(broker('idp_calls_total')))),
        ]),
        panel('number', 'short', 'Calls saved', 'Answers that would have been calls, in the time that is looked at.', [
          query('saved', sumBy('', grown(broker('idp_calls_saved_total')))),
        ]),
        panel('number', 'short', 'Near caches', 'Services that have reported lately.', [
          query('near caches', sumBy('', broker('near_caches'))),
        ]),
        faultPanel('table', 'none', 'Alerts', 'Those that wait for their time, and those that fire.', [
          query('{{alertname}} {{source}}', 'ALERTS{alertname=~"TokenBroker.*", job=~"$job|"}'),
        ]),
      ],
    },
    {
      title: 'Requests',
      panels: [
        answersByLayer(requests),
        faultPanel('lines', 'short', 'Requests that got no token', 'By what the caller was told.', [
          query(
            '{{source}} {{outcome}}',
            ifAny(sumBy('source, outcome', lately(broker('requests_total', 'outcome!="ok"')))),
          ),
        ]),
        panel('lines', 's', 'Time to answer', 'From the arrival of a request to its answer.', [
          query(
            'p50',
            quantile(0.5, '', rate, (s) => broker(`request_duration_seconds${s}`)),
          ),
          query(
            'p99',
            quantile(0.99, '', rate, (s) => broker(`request_duration_seconds${s}`)),
          ),
        ]),
        panel('lines', 'reqps', 'Who asks', 'The ten callers that ask most. A near cache that works asks seldom.', [
          query('{{caller}}', `topk(10, ${sumBy('caller', rate(requests))})`),
        ]),
        panel(
          'lines',
          'percentunit',
          'Answers without a call',
          'Of those with a token, by source.',
          [query('{{source}}', 'job_source:token_broker_idp_calls_saved:ratio5m{job="$job"}')],
          { max: 1 },
        ),
        faultPanel(
          'lines',
          'short',
          'Requests that were dropped',
          'Without a reply subject, with somebody else’s, or while draining.',
          [query('{{reason}}', ifAny(sumBy('reason', lately(broker('requests_dropped_total')))))],
        ),
      ],
    },
    {
      title: 'Identity providers',
      panels: [
        panel('lines', 'reqps', 'Calls by source', 'What the identity providers bill.', [
          query('{{source}}', 'job_source:token_broker_idp_calls:rate5m{job="$job"}'),
        ]),
        faultPanel('lines', 'short', 'Calls that failed', 'By source and outcome.', [
          query(
            '{{source}} {{outcome}}',
            ifAny(sumBy('source, outcome', lately(broker('idp_calls_total', 'outcome!="ok"')))),
          ),
        ]),
        panel('lines', 's', 'Time of a call', '95 % of the calls took no longer.', [
          query(
            '{{source}}',
            quantile(0.95, 'source', grown, (s) => broker(`idp_call_duration_seconds${s}`)),
          ),
        ]),
      ],
    },
    {
      title: 'Brokers',
      panels: [
        panel('table', 'none', 'Versions', 'Of each replica.', [
          query('{{instance}} {{version}}', maxBy('instance, version, node_version', broker('build_info'))),
        ]),
        faultPanel(
          'lines',
          'none',
          'Redis does not answer',
          'Replicas that miss it. They serve what they hold, and fetch nothing.',
          [query('{{instance}}', `${broker('redis_available')} == 0`)],
        ),
        faultPanel('lines', 'none', 'NATS is away', 'Replicas that are not connected.', [
          query('{{instance}}', `${broker('nats_connected')} == 0`),
        ]),
        panel(
          'lines',
          's',
          'Age of the last heartbeat',
          'Of any broker, as each replica hears it: about a tick at most.',
          [query('{{instance}}', broker('heartbeat_age_seconds'))],
        ),
        panel(
          'lines',
          's',
          'Age of the oldest lease',
          'Since the replica has read a partition: about a tick at most.',
          [query('{{instance}}', broker('lease_age_seconds'))],
        ),
        panel(
          'lines',
          'short',
          'Brokers that know of each other',
          'As each has last read. Lower than the replicas: one is cut off.',
          [query('{{instance}}', broker('brokers'))],
        ),
        faultPanel('lines', 'short', 'Redis commands that failed', 'Or had no answer in time.', [
          query('{{command}}', ifAny(sumBy('command', lately(broker('store_failures_total'))))),
        ]),
        faultPanel(
          'lines',
          'short',
          'Events that were lost',
          'NATS did not take them. Near caches learn of it by their next synchronisation.',
          [query('{{kind}}', ifAny(sumBy('kind', lately(broker('events_published_total', 'outcome="lost"')))))],
        ),
        faultPanel(
          'lines',
          'short',
          'Fetched tokens that were discarded',
          'dead: revoked in the air, as it should be. Others: a call in vain.',
          [query('{{reason}}', ifAny(sumBy('reason', lately(broker('commits_refused_total')))))],
        ),
        panel('lines', 'bytes', 'Memory of tokens', 'What each replica holds.', [
          query('{{instance}}', broker('memory_bytes')),
        ]),
        faultPanel(
          'lines',
          'short',
          'Reloads that were refused',
          'The configuration has a problem; the log says which. The old one is in force.',
          [query('{{instance}}', ifAny(lately(broker('reloads_total', 'outcome="refused"'))))],
        ),
        faultPanel(
          'lines',
          'short',
          'Near caches that are suspect',
          'They may have missed an invalidation. Of services that show their near cache.',
          [query('{{job}}', ifAny(sumBy('job', nearCache('suspect'))))],
        ),
      ],
    },
  ],
};
