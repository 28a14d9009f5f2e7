import { readFile, writeFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { encode } from '@token-broker/protocol';
import { eventually, promtool } from '@token-broker/testing';
import { Redis } from 'ioredis';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { moved, samplesOf, sumOf, type Samples } from './metric-page.js';
import { sourceSettings, startStack, type Stack } from './stack.js';

/** Clients of their own, so that the budget and the pauses of one are nobody else's. */
const METERED = { clientId: 'metered', clientSecret: 'secret-of-metered' };
const FAILING = { clientId: 'failing', clientSecret: 'secret-of-failing' };
const THROTTLED = { clientId: 'throttled', clientSecret: 'secret-of-throttled' };
const RENEWED = { clientId: 'renewed', clientSecret: 'secret-of-renewed' };
const PLAIN = ['cold', 'crowded', 'rejected', 'revoked', 'in-flight', 'locked'];

let stack: Stack;
let billing: NatsConnection;

beforeAll(async () => {
  stack = await startStack({
    brokers: 1,
    tokenLifeSeconds: (clientId) => (clientId === RENEWED.clientId ? 4 : 600),
    clients: [METERED, FAILING, THROTTLED, RENEWED].map((client) => ({
      ...client,
      clientAuthentication: 'client_secret_basic',
      scopes: ['payments:read', 'payments:write'],
    })),
    configure: (settings, idp) => {
      const off = { refresh: { ahead: 'off' } };
      const sources = {
        ...Object.fromEntries(
          PLAIN.map((name) => [name, sourceSettings(idp, { ...off, parameters: { tenant: name } })]),
        ),
        metered: sourceSettings(idp, { ...off, ...METERED, quota: { limit: 3, window: '31d', reserve: 1 } }),
        failing: sourceSettings(idp, { ...off, ...FAILING }),
        throttled: sourceSettings(idp, { ...off, ...THROTTLED }),
        renewed: sourceSettings(idp, { ...RENEWED, refresh: { ahead: '50%' } }),
      };
      return {
        ...settings,
        sources,
        callers: { billing: { sources: Object.keys(sources) }, ops: { sources: ['*'], admin: true } },
      };
    },
  });
  billing = await stack.connectAs('billing');
});
afterAll(() => stack.stop());
afterEach(() => {
  stack.idp.setDelay(0);
});

const now = async (): Promise<Samples> => samplesOf(await stack.metrics());
const get = (source: string, body?: object): Promise<unknown> => ask(billing, 'billing', source, body);
const refused = (source: string, body?: object): Promise<unknown> => expect(get(source, body)).rejects.toThrow();

/**
 * What moves by itself, or by how much nobody can say: the series that are left out of the comparison. A tick may read an
 * invalidation in Redis before its event comes; then it was replayed.
 */
function isNoise(series: string): boolean {
  return /^(\w+_age_seconds|memory_bytes|upstream_paused_seconds|upstream_calls_open|flights)\{|kind="heartbeat"|to="broker"/.test(
    series,
  );
}

const labels = (pairs: Readonly<Record<string, string>>): string =>
  `{${Object.entries(pairs)
    .map(([key, value]) => `${key}="${value}"`)
    .sort()
    .join(',')}}`;

/** A request, answered. */
const request = (source: string, layer: string, outcome = 'ok', times = 1): Record<string, number> => ({
  [`requests_total${labels({ source, caller: 'billing', layer, outcome })}`]: times,
  [`request_duration_seconds_count${labels({ layer, outcome })}`]: times,
});

/** One call of the identity provider, with the lock of its flight. */
const call = (source: string, reason: string, outcome = 'ok'): Record<string, number> => ({
  [`idp_calls_total${labels({ source, reason, outcome })}`]: 1,
  [`idp_calls_caused_total${labels({ source, caller: 'billing', reason })}`]: 1,
  [`idp_call_duration_seconds_count${labels({ source, outcome })}`]: 1,
  'lock_wait_duration_seconds_count{outcome="acquired"}': 1,
});

/** A token of ten minutes has come to be held, or is gone. */
const held = (source: string, by: 1 | -1): Record<string, number> => ({
  'memory_entries{}': by,
  [`slots_held${labels({ source })}`]: by,
  [`slots_in_demand${labels({ source })}`]: by,
  [`tokens_by_remaining_life${labels({ source, remaining: '<15m' })}`]: by,
});

const REFRESHED = { 'events_published_total{kind="refreshed",outcome="delivered"}': 1 };
const saved = (source: string): Record<string, number> => ({ [`idp_calls_saved_total${labels({ source })}`]: 1 });
const fetched = (source: string, reason = 'miss'): Record<string, number> => ({
  ...request(source, 'idp'),
  ...call(source, reason),
  ...REFRESHED,
  ...held(source, 1),
});
/** An invalidation of so many partitions, told to all, this broker included. */
const invalidated = (partitions: number): Record<string, number> => ({
  'events_published_total{kind="invalidation",outcome="delivered"}': 1,
  'invalidations_applied_total{}': partitions,
});
const PARTITIONS = 16;

async function revoke(source: string): Promise<void> {
  await (await stack.operator()).revoke({ selector: { source }, reason: 'a test' });
}

async function report(source: string): Promise<void> {
  const { epoch, generation } = await ask(billing, 'billing', source);
  await billing.request(`token-broker.v1.rejected.billing.${source}`, encode({ epoch, generation }));
}

/** The budget of the metered upstream; its series have a fingerprint in their labels, which is nobody's business here. */
const metered = (moves: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(moves).map(([name, by]) => [`quota_${name}{source="metered",window="31d"}`, by]));
const withoutUpstream = (moves: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(moves).map(([series, by]) => [series.replace(/,?upstream="[^"]*"/, ''), by]));

type Cause = readonly [what: string, cause: () => Promise<unknown>, moves: Readonly<Record<string, number>>];

/** In this order: each goes on from what the one before has left. */
const CAUSES: readonly Cause[] = [
  ['a cold miss', () => get('cold'), fetched('cold')],
  ['a hit in memory', () => get('cold'), { ...request('cold', 'memory'), ...saved('cold') }],
  [
    'a request that joins the flight of another',
    async () => {
      stack.idp.setDelay(500);
      const first = get('crowded');
      await eventually(() => stack.idp.counts().maxConcurrent > 0 && sumOfFlights(), { what: 'the flight' });
      await Promise.all([first, get('crowded')]);
    },
    { ...fetched('crowded'), ...mergedRequest('crowded') },
  ],
  ['a request of a bad form', () => refused('cold', { colour: 'red' }), request('cold', 'none', 'BAD_REQUEST')],
  [
    'a request without a reply subject',
    async () => {
      billing.publish('token-broker.v1.get.billing.cold');
      await billing.flush();
    },
    { 'requests_dropped_total{reason="no-reply-subject"}': 1 },
  ],
  [
    'an identity provider that fails',
    async () => {
      stack.idp.failNext(1, { status: 500, body: '{"error":"server_error"}' });
      await refused('failing');
    },
    { ...request('failing', 'none', 'IDP_UNAVAILABLE'), ...call('failing', 'miss', 'IDP_UNAVAILABLE') },
  ],
  [
    'an identity provider that asks for a pause',
    async () => {
      stack.idp.failNext(1, { status: 429, headers: { 'retry-after': '60' } });
      await refused('throttled');
    },
    { ...request('throttled', 'none', 'QUOTA_EXHAUSTED'), ...call('throttled', 'miss', 'QUOTA_EXHAUSTED') },
  ],
  [
    'a call during that pause',
    () => refused('throttled', { scope: ['payments:read'] }),
    {
      ...request('throttled', 'none', 'QUOTA_EXHAUSTED'),
      'idp_calls_refused_total{class="waiting",source="throttled",why="paused"}': 1,
      'lock_wait_duration_seconds_count{outcome="acquired"}': 1,
    },
  ],
  ['a call within a quota', () => get('metered'), { ...fetched('metered'), ...metered({ used: 1, remaining: -1 }) }],
  [
    'the last call of a quota: from here on, nothing remains',
    () => get('metered', { scope: ['payments:read'] }),
    { ...fetched('metered'), ...metered({ used: 1, remaining: -1 }) },
  ],
  [
    'a call above the quota',
    () => refused('metered', { scope: ['payments:write'] }),
    {
      ...request('metered', 'none', 'QUOTA_EXHAUSTED'),
      'idp_calls_refused_total{class="waiting",source="metered",why="limit"}': 1,
      'lock_wait_duration_seconds_count{outcome="acquired"}': 1,
    },
  ],
  [
    'a revocation of a source',
    () => revoke('metered'),
    {
      ...invalidated(PARTITIONS),
      'audit_records_total{outcome="written"}': 2,
      'revocation_duration_seconds_count{outcome="complete",selector="source"}': 1,
      ...Object.fromEntries(Object.entries(held('metered', -1)).map(([series, by]) => [series, 2 * by])),
    },
  ],
  [
    'a fetch of what was revoked, from the reserve',
    () => get('metered'),
    { ...fetched('metered', 'revoked'), ...metered({ reserve_used: 1 }) },
  ],
  ['a fetch of what will be reported', () => get('rejected'), fetched('rejected')],
  [
    'a report that the upstream refused a token, and the fetch that follows',
    () => report('rejected'),
    {
      // The report names the token that the request before it was given.
      ...request('rejected', 'memory'),
      ...saved('rejected'),
      'rejected_reports_total{outcome="dropped",source="rejected"}': 1,
      ...invalidated(1),
      ...call('rejected', 'rejected'),
      ...REFRESHED,
    },
  ],
  [
    'a reload of an unchanged file',
    () => stack.brokers[0]?.reload() ?? Promise.reject(new Error('no broker')),
    {
      'reloads_total{outcome="unchanged"}': 1,
    },
  ],
];

function mergedRequest(source: string): Record<string, number> {
  return { ...request(source, 'flight'), ...saved(source) };
}

async function sumOfFlights(): Promise<boolean> {
  return sumOf(await now(), 'flights') === 1;
}

describe('a cause moves its series, and no other', () => {
  it.each(CAUSES)('%s', async (_, cause, moves) => {
    const before = await now();
    await cause();
    const sinceBefore = async (): Promise<Record<string, number>> =>
      withoutUpstream(moved(before, await now(), isNoise));
    // What is told later than the answer: the end of a call, a budget that is read once a second.
    await eventually(async () => isDeepStrictEqual(await sinceBefore(), moves), {
      what: 'the series to have moved',
      withinMs: 4_000,
    }).catch(() => undefined);
    expect(await sinceBefore()).toEqual(moves);
  });

  it('a renewal ahead of expiry: the call is on the account of whoever asked last', async () => {
    const before = await now();
    await get('renewed');
    const renewals = (samples: Samples): number =>
      sumOf(samples, 'idp_calls_total', { source: 'renewed', reason: 'refresh', outcome: 'ok' });
    const after = await eventually(
      async () => {
        const samples = await now();
        const lags = sumOf(samples, 'refresh_lag_seconds_count', { source: 'renewed' });
        return lags > 0 && lags === renewals(samples) ? samples : undefined;
      },
      { what: 'a renewal', withinMs: 8_000 },
    );
    expect(sumOf(before, 'refresh_lag_seconds_count', { source: 'renewed' })).toBe(0);
    expect(sumOf(after, 'idp_calls_caused_total', { caller: 'billing', source: 'renewed', reason: 'refresh' })).toBe(
      renewals(after),
    );
    expect(sumOf(after, 'tokens_by_remaining_life', { source: 'renewed', remaining: '<10s' })).toBe(1);
    await revoke('renewed');
  });

  it('a revocation in flight: what the fence refused is counted, and its call too', async () => {
    const [before, callsBefore] = [await now(), stack.idpCalls()];
    stack.idp.setDelay(600);
    const flying = get('in-flight');
    await eventually(() => stack.idpCalls() > callsBefore, { what: 'the call to be under way' });
    await revoke('in-flight');
    stack.idp.setDelay(0);
    await flying;
    const after = await eventually(
      async () => {
        const samples = await now();
        const calls = sumOf(samples, 'idp_calls_total', { source: 'in-flight' });
        return calls === stack.idpCalls() - callsBefore ? samples : undefined;
      },
      { what: 'the calls to be counted' },
    );
    expect(sumOf(after, 'commits_refused_total', { reason: 'dead' })).toBe(
      sumOf(before, 'commits_refused_total', { reason: 'dead' }) + 1,
    );
  });

  it('a lock master that forgets: the lock is lost, and the token is answered all the same', async () => {
    const redis = new Redis(stack.redis.url);
    try {
      stack.idp.setDelay(600);
      const asked = get('locked');
      const locks = await eventually(
        async () => {
          const keys = await redis.keys('*lock*');
          return keys.length > 0 ? keys : undefined;
        },
        { what: 'the lock' },
      );
      await redis.del(...locks);
      await asked;
    } finally {
      redis.disconnect();
    }
    await eventually(async () => sumOf(await now(), 'locks_lost_total', { source: 'locked' }) === 1, {
      what: 'the lock to be counted as lost',
    });
    expect(sumOf(await now(), 'locks_lost_total')).toBe(1);
  });

  it('a pause and a breaker are told with the time that is left', async () => {
    const samples = await now();
    expect(sumOf(samples, 'upstream_paused_seconds', { source: 'throttled' })).toBeGreaterThan(0);
    expect(sumOf(samples, 'upstream_paused_seconds', { source: 'throttled' })).toBeLessThanOrEqual(60);
    expect(sumOf(samples, 'upstream_paused_seconds', { source: 'metered' })).toBe(0);
    expect(sumOf(samples, 'upstream_breaker', { source: 'cold', state: 'closed' })).toBe(1);
  });

  it('a reload of a changed file, and of a broken one', async () => {
    const before = await now();
    const reloads = async (outcome: string): Promise<number> =>
      sumOf(await now(), 'reloads_total', { outcome }) - sumOf(before, 'reloads_total', { outcome });
    await stack.changeSource('cold', { scope: 'payments:read' });
    expect(await reloads('reloaded')).toBe(1);
    await writeFile(stack.configurationPath, 'sources: [', { mode: 0o600 });
    await stack.brokers[0]?.reload();
    expect(await reloads('refused')).toBe(1);
  });

  it('L6: the calls of the page are those that the identity provider has counted, whatever came between', async () => {
    expect(stack.idpCalls()).toBeGreaterThan(PLAIN.length);
    await eventually(async () => sumOf(await now(), 'flights') === 0, { what: 'all calls to have ended' });
    const samples = await now();
    for (const family of ['idp_calls_total', 'idp_calls_caused_total', 'idp_call_duration_seconds_count'])
      expect(sumOf(samples, family), family).toBe(stack.idpCalls());
  });
});

it('promtool has nothing to say of the page of a broker that has seen all of it', { timeout: 60_000 }, async () => {
  expect(await promtool(['check', 'metrics'], await stack.metrics())).toEqual({ exitCode: 0, stdout: '', stderr: '' });
});

it('every metric of the page stands in the operations guide, and every one of the guide on the page', async () => {
  const guide = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const [table = ''] = /^\| metric [^]*?\n\n/m.exec(guide) ?? [];
  const cells = table.split('\n').map((row) => row.split('|')[1] ?? '');
  const told = cells.flatMap((cell) => [...cell.matchAll(/`([a-z_]+)(?:\{[^`]*\})?`/g)].map(([, name]) => name));
  const page = await stack.metrics();
  const types = [...page.matchAll(/^# TYPE token_broker_(\S+) /gm)].map(([, name]) => name);
  expect(told.sort()).toEqual(types.sort());
});
