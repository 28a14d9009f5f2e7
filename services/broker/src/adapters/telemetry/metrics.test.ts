import { describe, expect, it } from 'vitest';
import type { Gauges } from '../../app/ports/telemetry.js';
import { createMetrics, type PrometheusMetrics } from './metrics.js';

const GAUGES: Gauges = {
  memoryEntries: 7,
  memoryBytes: 4_096,
  flights: 2,
  leaseAgeMs: 250,
  natsConnected: true,
  redisAvailable: false,
  heartbeatAgeMs: 1_500,
  brokers: 3,
  holdingsBySource: new Map([['payments', { held: 5, inDemand: 4, byRemainingLife: [0, 1, 0, 0, 4, 0, 0, 0] }]]),
  nearCachesSeen: 3,
  nearCachesBySource: new Map([['payments', 2]]),
  pausedBySource: new Map([
    ['payments', true],
    ['orders', false],
  ]),
  budgets: [
    {
      source: 'payments',
      upstream: 'u1',
      limits: [
        { window: '1h', limit: 100, used: 60, reserve: 10, reserveUsed: 2, remaining: 30, exhaustedInMs: 90_000 },
        { window: 'day', limit: 900, used: 62, reserve: 0, reserveUsed: 0, remaining: 838, exhaustedInMs: undefined },
      ],
      open: 2,
      pausedMs: 4_500,
      credentialPausedMs: 0,
      breaker: 'half-open',
    },
  ],
};

const make = (gauges: () => Gauges | Promise<Gauges> = () => GAUGES): PrometheusMetrics =>
  createMetrics(gauges, { version: '1.2.3' });

/** Every sample of a page, by its name with its labels in order. */
async function samplesOf(metrics: PrometheusMetrics): Promise<Map<string, number>> {
  const { body } = await metrics.render();
  const samples = new Map<string, number>();
  for (const line of body.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) continue;
    const labels = [...(match[2] ?? '').matchAll(/[a-z_]+="(?:[^"\\]|\\.)*"/g)].map(([pair]) => pair).sort();
    const key = `${match[1] ?? ''}{${labels.join(',')}}`;
    expect(samples.has(key), `${key} stands twice`).toBe(false);
    samples.set(key, Number(match[3]));
  }
  return samples;
}

describe('createMetrics', () => {
  const cases: readonly (readonly [string, (metrics: PrometheusMetrics) => void, Record<string, number>])[] = [
    [
      'requestServed',
      (metrics) => {
        metrics.requestServed('payments', 'orders', 'memory', 'ok', 0.05);
        metrics.requestServed('payments', 'orders', 'memory', 'ok', 3);
      },
      {
        'requests_total{caller="orders",layer="memory",outcome="ok",source="payments"}': 2,
        'request_duration_seconds_count{layer="memory",outcome="ok"}': 2,
        'request_duration_seconds_sum{layer="memory",outcome="ok"}': 0.00305,
        'request_duration_seconds_bucket{layer="memory",le="0.0001",outcome="ok"}': 1,
        'request_duration_seconds_bucket{layer="memory",le="0.0025",outcome="ok"}': 1,
        'request_duration_seconds_bucket{layer="memory",le="0.005",outcome="ok"}': 2,
        'request_duration_seconds_bucket{layer="memory",le="+Inf",outcome="ok"}': 2,
      },
    ],
    [
      'requestDropped',
      (metrics) => metrics.requestDropped('reply-subject'),
      { 'requests_dropped_total{reason="reply-subject"}': 1 },
    ],
    [
      'idpCalled',
      (metrics) => metrics.idpCalled('payments', 'miss', 'IDP_TIMEOUT', 10_000, 'orders'),
      {
        'idp_calls_total{outcome="IDP_TIMEOUT",reason="miss",source="payments"}': 1,
        'idp_calls_caused_total{caller="orders",reason="miss",source="payments"}': 1,
        'idp_call_duration_seconds_sum{outcome="IDP_TIMEOUT",source="payments"}': 10,
        'idp_call_duration_seconds_bucket{le="5",outcome="IDP_TIMEOUT",source="payments"}': 0,
        'idp_call_duration_seconds_bucket{le="10",outcome="IDP_TIMEOUT",source="payments"}': 1,
      },
    ],
    [
      'idpCalled for nobody',
      (metrics) => metrics.idpCalled('payments', 'refresh', 'ok', 1, undefined),
      {
        'idp_calls_total{outcome="ok",reason="refresh",source="payments"}': 1,
        'idp_calls_caused_total{caller="(kept warm)",reason="refresh",source="payments"}': 1,
        'idp_call_duration_seconds_sum{outcome="ok",source="payments"}': 0.001,
        'idp_call_duration_seconds_bucket{le="0.001",outcome="ok",source="payments"}': 1,
      },
    ],
    [
      'callRefused',
      (metrics) => metrics.callRefused('payments', 'refresh-ahead', 'limit'),
      { 'idp_calls_refused_total{class="refresh-ahead",source="payments",why="limit"}': 1 },
    ],
    ['callSaved', (metrics) => metrics.callSaved('payments'), { 'idp_calls_saved_total{source="payments"}': 1 }],
    [
      'lockWaited',
      (metrics) => metrics.lockWaited('held', 500),
      { 'lock_wait_duration_seconds_sum{outcome="held"}': 0.5 },
    ],
    ['lockLost', (metrics) => metrics.lockLost('payments'), { 'locks_lost_total{source="payments"}': 1 }],
    ['commitRefused', (metrics) => metrics.commitRefused('dead'), { 'commits_refused_total{reason="dead"}': 1 }],
    ['storeFailed', (metrics) => metrics.storeFailed('commit'), { 'store_failures_total{command="commit"}': 1 }],
    [
      'recordUnreadable',
      (metrics) => metrics.recordUnreadable('corrupt'),
      { 'records_unreadable_total{reason="corrupt"}': 1 },
    ],
    [
      'eventPublished',
      (metrics) => {
        metrics.eventPublished('refreshed', true);
        metrics.eventPublished('heartbeat', false);
      },
      {
        'events_published_total{kind="refreshed",outcome="delivered"}': 1,
        'events_published_total{kind="heartbeat",outcome="lost"}': 1,
      },
    ],
    ['invalidationApplied', (metrics) => metrics.invalidationApplied(), { 'invalidations_applied_total{}': 1 }],
    [
      'eventsReplayed',
      (metrics) => {
        metrics.eventsReplayed('broker', 2);
        metrics.eventsReplayed('near-cache', 5);
      },
      { 'events_replayed_total{to="broker"}': 2, 'events_replayed_total{to="near-cache"}': 5 },
    ],
    [
      'revocationConfirmed',
      (metrics) => {
        metrics.revocationConfirmed('near-cache', { afterMs: [3, 40], expected: 3, stragglers: 1 });
      },
      {
        'revocation_propagation_seconds_count{by="near-cache"}': 2,
        'revocation_propagation_seconds_bucket{by="near-cache",le="0.005"}': 1,
        'revocation_propagation_seconds_sum{by="near-cache"}': 0.043,
        'revocation_receipts_expected_total{by="near-cache"}': 3,
        'revocation_receipts_confirmed_total{by="near-cache"}': 2,
        'revocation_stragglers_total{by="near-cache"}': 1,
      },
    ],
    [
      'refreshed',
      (metrics) => metrics.refreshed('payments', 1_500),
      {
        'refresh_lag_seconds_sum{source="payments"}': 1.5,
        'refresh_lag_seconds_count{source="payments"}': 1,
      },
    ],
    [
      'rejectedReported',
      (metrics) => metrics.rejectedReported('payments', 'stale'),
      { 'rejected_reports_total{outcome="stale",source="payments"}': 1 },
    ],
    [
      'revocationDone',
      (metrics) => metrics.revocationDone('source', 'incomplete', 3_000),
      { 'revocation_duration_seconds_sum{outcome="incomplete",selector="source"}': 3 },
    ],
    ['synced', (metrics) => metrics.synced('delta'), { 'syncs_total{outcome="delta"}': 1 }],
    ['reloaded', (metrics) => metrics.reloaded('refused'), { 'reloads_total{outcome="refused"}': 1 }],
  ];

  it.each(cases)('%s moves its series, and no other one', async (_, act, expected) => {
    const metrics = make();
    const before = await samplesOf(metrics);
    act(metrics);
    const after = await samplesOf(metrics);
    for (const [series, value] of Object.entries(expected)) {
      expect(before.get(`token_broker_${series}`) ?? 0, series).toBe(0);
      expect(after.get(`token_broker_${series}`), series).toBeCloseTo(value, 10);
    }
    const families = new Set(
      Object.keys(expected).map((series) => /^[a-z_]+?(?=(_bucket|_sum|_count)?\{)/.exec(series)?.[0]),
    );
    const moved = [...after].filter(([key, value]) => key.startsWith('token_broker_') && before.get(key) !== value);
    for (const [key] of moved)
      expect(
        [...families].some((family) => key.startsWith(`token_broker_${family ?? ''}`)),
        key,
      ).toBe(true);
  });

  it('reads the gauges at the scrape, and shows nothing for what is not known or gone', async () => {
    let now = GAUGES;
    const metrics = make(() => now);
    const first = await samplesOf(metrics);
    expect(
      Object.fromEntries([...first].filter(([key]) => /^token_broker_[a-z_]+\{(source.*)?\}$/.test(key))),
    ).toMatchObject({
      'token_broker_memory_entries{}': 7,
      'token_broker_memory_bytes{}': 4_096,
      'token_broker_flights{}': 2,
      'token_broker_lease_age_seconds{}': 0.25,
      'token_broker_nats_connected{}': 1,
      'token_broker_redis_available{}': 0,
      'token_broker_slots_held{source="payments"}': 5,
      'token_broker_near_caches{}': 3,
      'token_broker_heartbeat_age_seconds{}': 1.5,
      'token_broker_brokers{}': 3,
      'token_broker_slots_in_demand{source="payments"}': 4,
      'token_broker_near_caches_in_demand{source="payments"}': 2,
      'token_broker_source_paused{source="payments"}': 1,
      'token_broker_source_paused{source="orders"}': 0,
    });
    const held = { held: 1, inDemand: 0, byRemainingLife: [1, 0, 0, 0, 0, 0, 0, 0] };
    now = { ...GAUGES, leaseAgeMs: undefined, holdingsBySource: new Map([['billing', held]]) };
    const second = await samplesOf(metrics);
    expect(second.has('token_broker_lease_age_seconds{}')).toBe(false);
    expect(second.has('token_broker_slots_held{source="payments"}')).toBe(false);
    expect(second.get('token_broker_slots_held{source="billing"}')).toBe(1);
  });

  it('tells each token in one band of remaining life', async () => {
    const bands = [...(await samplesOf(make()))].filter(([key]) => key.includes('tokens_by_remaining_life'));
    expect(Object.fromEntries(bands)).toEqual(
      Object.fromEntries(
        Object.entries({ '<10s': 0, '<1m': 1, '<5m': 0, '<15m': 0, '<1h': 4, '<6h': 0, '<1d': 0, '>=1d': 0 }).map(
          ([band, count]) => [`token_broker_tokens_by_remaining_life{remaining="${band}",source="payments"}`, count],
        ),
      ),
    );
  });

  it('tells where each window of each upstream stands, and nothing of one that is not known now', async () => {
    let now = GAUGES;
    const metrics = make(() => Promise.resolve(now));
    const told = async (): Promise<[string, number][]> =>
      [...(await samplesOf(metrics))].filter(([key]) => /^token_broker_(quota|upstream)_/.test(key));
    const hour = 'source="payments",upstream="u1",window="1h"';
    const day = 'source="payments",upstream="u1",window="day"';
    expect(Object.fromEntries(await told())).toEqual({
      [`token_broker_quota_limit{${hour}}`]: 100,
      [`token_broker_quota_limit{${day}}`]: 900,
      [`token_broker_quota_used{${hour}}`]: 60,
      [`token_broker_quota_used{${day}}`]: 62,
      [`token_broker_quota_remaining{${hour}}`]: 30,
      [`token_broker_quota_remaining{${day}}`]: 838,
      [`token_broker_quota_reserve{${hour}}`]: 10,
      [`token_broker_quota_reserve{${day}}`]: 0,
      [`token_broker_quota_reserve_used{${hour}}`]: 2,
      [`token_broker_quota_reserve_used{${day}}`]: 0,
      [`token_broker_quota_exhausted_in_seconds{${hour}}`]: 90,
      'token_broker_upstream_calls_open{source="payments",upstream="u1"}': 2,
      'token_broker_upstream_paused_seconds{source="payments",upstream="u1"}': 4.5,
      'token_broker_upstream_credential_paused_seconds{source="payments",upstream="u1"}': 0,
      'token_broker_upstream_breaker{source="payments",state="closed",upstream="u1"}': 0,
      'token_broker_upstream_breaker{source="payments",state="half-open",upstream="u1"}': 1,
      'token_broker_upstream_breaker{source="payments",state="open",upstream="u1"}': 0,
    });
    now = { ...GAUGES, budgets: [] };
    expect(await told()).toEqual([]);
  });

  it('asks for the gauges once a scrape', async () => {
    let asked = 0;
    const metrics = make(() => {
      asked += 1;
      return GAUGES;
    });
    await metrics.render();
    await metrics.render();
    expect(asked).toBe(2);
  });

  it('keeps two brokers of one process apart', async () => {
    const [one, two] = [make(), make()];
    one.synced('reset');
    expect((await samplesOf(two)).get('token_broker_syncs_total{outcome="reset"}')).toBe(0);
  });

  it('counts callers above 200 as other, and loses none of them', async () => {
    const metrics = make();
    for (let i = 0; i < 300; i += 1) metrics.requestServed('payments', `caller-${String(i)}`, 'memory', 'ok', 1);
    const requests = [...(await samplesOf(metrics))].filter(([key]) => key.startsWith('token_broker_requests_total'));
    expect(requests).toHaveLength(201);
    expect(requests.find(([key]) => key.includes('caller="other"'))?.[1]).toBe(100);
  });

  it('makes no series of sources that callers make up, and they take no room from real ones', async () => {
    const metrics = make();
    for (let i = 0; i < 2_000; i += 1)
      metrics.requestServed(`made-up-${String(i)}`, 'orders', 'none', 'UNKNOWN_SOURCE', 1);
    metrics.requestServed('payments', 'orders', 'memory', 'ok', 1);
    const requests = [...(await samplesOf(metrics))].filter(([key]) => key.startsWith('token_broker_requests_total'));
    expect(requests).toEqual([
      ['token_broker_requests_total{caller="orders",layer="none",outcome="UNKNOWN_SOURCE",source="other"}', 2_000],
      ['token_broker_requests_total{caller="orders",layer="memory",outcome="ok",source="payments"}', 1],
    ]);
  });

  it('names the versions, and follows the rules that promtool checks', async () => {
    const metrics = make();
    for (const [, act] of cases) act(metrics);
    const { body, contentType } = await metrics.render();
    expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(body).toContain(`token_broker_build_info{version="1.2.3",node_version="${process.version}"} 1`);
    expect(body).toContain('process_cpu_seconds_total');
    expect(body.endsWith('\n')).toBe(true);
    const types = [...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({ name: name ?? '', type }));
    const helps = new Set([...body.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name));
    expect(new Set(types.map(({ name }) => name)).size).toBe(types.length);
    for (const { name, type } of types) {
      expect(helps.has(name), `${name} has a HELP`).toBe(true);
      expect(name.endsWith('_total'), `${name} is a ${String(type)}`).toBe(type === 'counter');
      expect(name).not.toMatch(/_(count|sum|bucket|ms|milliseconds|kilobytes|minutes|counter|gauge|histogram)$/);
    }
  });
});
