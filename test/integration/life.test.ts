import { eventually } from '@token-broker/testing';
import { Redis } from 'ioredis';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { metricValue, sourceSettings, startStack, type Settings, type Stack } from './stack.js';

/** Seconds; the minimum lifetime of the test's configuration is 1 s. */
const LIFE_SECONDS = 6;

let stack: Stack;
let billing: NatsConnection;

beforeAll(async () => {
  stack = await startStack({
    tokenLifeSeconds: LIFE_SECONDS,
    configure: (settings, idp) => ({
      ...settings,
      cluster: { ...(settings['cluster'] as Settings), demand: '60s' },
      sources: {
        'payments-api': sourceSettings(idp, { refresh: { ahead: '50%' } }),
        'orders-api': sourceSettings(idp, { refresh: { ahead: 'off' } }),
        warm: sourceSettings(idp, { refresh: { ahead: '50%', keepWarm: true }, parameters: { tenant: 'warm' } }),
      },
    }),
  });
  billing = await stack.connectAs('billing');
});
afterAll(() => stack.stop());

function callsFor(tenant: string | null): number {
  return stack.idp.requests().filter(({ form }) => form.get('tenant') === tenant).length;
}

describe('refresh-ahead', () => {
  it('keeps near caches warm across a refresh: the new token arrives with no request, by one call', async () => {
    const client = await stack.client('billing');
    const handle = client.source('payments-api');
    const first = await handle.get();
    const { requests } = client.stats();
    const refreshed = await eventually(
      () => (handle.current !== undefined && handle.current.generation > first.generation ? handle.current : undefined),
      {
        what: 'the refreshed token to arrive',
        withinMs: 10_000,
      },
    );
    expect(refreshed.accessToken).not.toBe(first.accessToken);
    expect(client.stats().requests).toBe(requests);
    expect(client.stats().pushes).toBeGreaterThanOrEqual(1);
    await client.close();
  });

  it('E1 K8: outside the margin nothing is fetched, inside it one call is made while callers get the old token at once', async () => {
    const first = await ask(billing, 'billing', 'payments-api');
    stack.idp.setDelay(700);
    const before = callsFor(null);
    await eventually(() => callsFor(null) > before, { what: 'the refresh to begin', withinMs: 10_000 });
    const during = await ask(billing, 'billing', 'payments-api');
    expect(during.heldMs).toBeLessThan(400);
    expect(during.generation).toBeGreaterThanOrEqual(first.generation);
    stack.idp.setDelay(0);
    await eventually(async () => (await ask(billing, 'billing', 'payments-api')).generation > during.generation, {
      what: 'the new token',
    });
    expect(callsFor(null) - before).toBe(1);
  });

  it('L2: one refresher in the cluster, and a source that is kept warm is renewed though nobody asks', async () => {
    await eventually(() => callsFor('warm') >= 3, { what: 'two renewals', withinMs: 15_000 });
    const times = stack.idp.requests().filter(({ form }) => form.get('tenant') === 'warm');
    const outcomes = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
    const calls = outcomes.reduce(
      (sum, text) => sum + metricValue(text, 'token_broker_idp_calls_total', { source: 'warm' }),
      0,
    );
    expect(calls).toBe(times.length);
    // A renewal each half of a life by one replica: three replicas on their own would have made three times as many.
    expect(stack.idp.counts().maxConcurrent).toBeLessThanOrEqual(2);
  });
});

it('a source that is kept warm is fetched again after a revocation, though nobody asks', async () => {
  const before = callsFor('warm');
  const operator = await stack.operator();
  expect((await operator.revoke({ selector: { source: 'warm' }, reason: 'a test' })).complete).toBe(true);
  await eventually(async () => (await operator.list({ source: 'warm' })).slots.length === 1, {
    what: 'the source to be warm again',
    withinMs: 5_000,
  });
  expect(callsFor('warm') - before).toBeLessThanOrEqual(2);
});

describe('expiry', () => {
  it('E2: nothing below the minimum lifetime is handed out, and then exactly one fetch brings the next', async () => {
    const first = await ask(billing, 'billing', 'orders-api');
    const seen: number[] = [];
    await eventually(
      async () => {
        const reply = await ask(billing, 'billing', 'orders-api');
        seen.push(reply.expiresInMs);
        return reply.generation > first.generation;
      },
      { what: 'the next token', withinMs: 10_000, everyMs: 20 },
    );
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(1_000);
    expect(seen.length).toBeGreaterThan(10);
  });

  it('asks for a newer token when a caller wants more life than is left, at most half of the life', async () => {
    const first = await ask(billing, 'billing', 'orders-api');
    await eventually(
      async () => (await ask(billing, 'billing', 'orders-api')).expiresInMs < (LIFE_SECONDS * 1_000) / 2,
      { what: 'half of the life to pass', withinMs: 10_000 },
    );
    const longer = await ask(billing, 'billing', 'orders-api', { minTtlMs: 3_600_000 });
    expect(longer.generation).toBeGreaterThan(first.generation);
    expect(longer.expiresInMs).toBeGreaterThanOrEqual((LIFE_SECONDS * 1_000) / 2);
  });

  it('E5 L4: every key in Redis has an end, no record one after its token, and memory gives tokens back', async () => {
    await ask(billing, 'billing', 'orders-api');
    const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
    try {
      const keys = await redis.keys('*');
      const records = keys.filter((key) => key.includes(':record:'));
      expect(records.length).toBeGreaterThan(0);
      for (const key of records) {
        const [ttlMs, expiresAt, [seconds, micros]] = [
          await redis.pttl(key),
          await redis.hget(key, 'expiresAt'),
          await redis.time(),
        ];
        const nowMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
        expect(ttlMs).toBeGreaterThan(0);
        expect(nowMs + ttlMs).toBeLessThanOrEqual(Number(expiresAt) + 50);
      }
      // What has no end is bounded by the partitions, the leases and the near caches, not by the slots.
      const endless: string[] = [];
      for (const key of keys) if ((await redis.pttl(key)) === -1) endless.push(key);
      expect(
        endless.filter((key) => !/:(meta|log|brokers|slots|near-caches|recipes|secret:recipe-key)$/.test(key)),
      ).toEqual([]);
      await eventually(
        async () => metricValue(await stack.metrics(0), 'token_broker_slots_held', { source: 'orders-api' }) === 0,
        {
          what: 'memory to give the token back',
          withinMs: 15_000,
        },
      );
      await eventually(async () => (await redis.keys('*:record:*')).length <= 2, {
        what: 'Redis to give the record back',
        withinMs: 15_000,
      });
    } finally {
      redis.disconnect();
    }
  });
});

it('L1: a source that is removed is not refreshed any more, its record goes, and nobody gets its token', async () => {
  const client = await stack.client('ops', { refetchOnRevoke: false });
  const handle = client.source('warm');
  await handle.get();
  await stack.rewrite((settings) => {
    const { warm, ...sources } = settings['sources'] as Settings;
    expect(warm).toBeDefined();
    return { ...settings, sources };
  });
  await Promise.all(stack.brokers.map((broker) => broker.reload()));
  await eventually(() => handle.current === undefined, { what: 'the near cache to drop the token' });
  await expect(handle.get()).rejects.toMatchObject({ code: 'UNKNOWN_SOURCE' });
  const calls = callsFor('warm');
  const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  try {
    await eventually(async () => (await redis.keys(`*:record:${handle.slot}`)).length === 0, {
      what: 'the record to go',
      withinMs: 10_000,
    });
    expect(callsFor('warm')).toBe(calls);
  } finally {
    redis.disconnect();
  }
});

it('L6: the counters match what the identity provider has counted', async () => {
  const texts = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
  const calls = texts.reduce((sum, text) => sum + metricValue(text, 'token_broker_idp_calls_total'), 0);
  expect(calls).toBe(stack.idp.counts().tokenRequests);
  expect(calls).toBeGreaterThan(5);
});
