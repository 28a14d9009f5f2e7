import { createSystemClock } from '@token-broker/foundation';
import { decode, encode, LIMITS, syncReplySchema, type SyncReply, type SyncRequest } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { samplesOf, summed, sumOf, type Samples } from './metric-page.js';
import { sourceSettings, startStack, type Settings, type Stack } from './stack.js';

const PARTITIONS = 16;
/** A scrape waits a quarter of a second for Redis at most; the rest is for a loaded machine. */
const SCRAPED_WITHIN_MS = 2_000;

const clock = createSystemClock();
let stack: Stack;
let billing: NatsConnection;

beforeAll(async () => {
  const metered = { clientId: 'metered', clientSecret: 'secret-of-metered' };
  stack = await startStack({
    brokers: 2,
    clients: [{ ...metered, clientAuthentication: 'client_secret_basic', scopes: ['payments:read', 'payments:write'] }],
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        ...(settings['sources'] as Settings),
        metered: sourceSettings(idp, { ...metered, quota: { limit: 6, window: '20s', reserve: 1 } }),
      },
      callers: {
        billing: { sources: ['payments-api', 'orders-api', 'metered'] },
        orders: { sources: ['payments-api'] },
        ops: { sources: ['*'], admin: true },
      },
    }),
  });
  billing = await stack.connectAs('billing');
});
afterAll(() => stack.stop());

const all = (): Promise<Samples> => summed(stack);
const page = async (broker: number): Promise<Samples> => samplesOf(await stack.metrics(broker));
const growth = async (
  before: Samples,
  family: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> => sumOf(await all(), family, labels) - sumOf(before, family, labels);

async function synchronise(body: Omit<SyncRequest, 'v'>): Promise<SyncReply> {
  const { data } = await billing.request('token-broker.v1.sync.billing', encode({ v: 1, ...body }), { timeout: 5_000 });
  const reply = decode(syncReplySchema, data, LIMITS.replyBytes);
  if (!reply.ok) throw new Error(reply.error);
  return reply.value;
}

describe('what the replicas of a cluster have done', () => {
  it('one has called, the other has found the token in Redis, and each answer is counted once', async () => {
    const asked = 40;
    for (let i = 0; i < asked; i += 1) await ask(billing, 'billing', 'orders-api');
    const samples = await all();
    const served = (layer: string): number => sumOf(samples, 'requests_total', { source: 'orders-api', layer });
    expect([served('idp'), served('redis')]).toEqual([1, 1]);
    expect(served('idp') + served('redis') + served('memory')).toBe(asked);
    expect(sumOf(samples, 'idp_calls_saved_total', { source: 'orders-api' })).toBe(asked - 1);
    expect(sumOf(samples, 'idp_calls_total')).toBe(stack.idpCalls());
    expect(sumOf(samples, 'slots_held', { source: 'orders-api' })).toBe(2);
  });

  it('the one that found the lock taken says so', async () => {
    const before = await all();
    stack.idp.setDelay(600);
    await Promise.all(Array.from({ length: 40 }, () => ask(billing, 'billing', 'payments-api')));
    stack.idp.setDelay(0);
    expect(await growth(before, 'lock_wait_duration_seconds_count', { outcome: 'held' })).toBeGreaterThan(0);
    expect(await growth(before, 'lock_wait_duration_seconds_count', { outcome: 'acquired' })).toBe(1);
    expect(await growth(before, 'idp_calls_total')).toBe(1);
  });

  it('each knows of the other', async () => {
    expect(sumOf(await page(0), 'brokers')).toBe(2);
    expect(sumOf(await page(1), 'brokers')).toBe(2);
    const age = sumOf(await page(0), 'heartbeat_age_seconds');
    expect(age).toBeGreaterThanOrEqual(0);
    expect(age).toBeLessThan(2);
  });

  it('both show the same budget, and when it will be used up', async () => {
    const standing = async (broker: number): Promise<Record<string, number>> => {
      const samples = await page(broker);
      const names = ['limit', 'used', 'remaining', 'reserve', 'reserve_used'];
      const window = { source: 'metered', window: '20s' };
      return Object.fromEntries(names.map((name) => [name, sumOf(samples, `quota_${name}`, window)]));
    };
    expect(await standing(0)).toEqual({ limit: 6, used: 0, remaining: 5, reserve: 1, reserve_used: 0 });
    for (const body of [{}, { scope: 'payments:read' }, { scope: 'payments:write' }])
      await ask(billing, 'billing', 'metered', body);
    const used = { limit: 6, used: 3, remaining: 2, reserve: 1, reserve_used: 0 };
    for (const broker of [0, 1]) {
      await eventually(async () => (await standing(broker))['used'] === 3, { what: 'the calls to be told' });
      expect(await standing(broker)).toEqual(used);
    }
    // At this rate the two that are left do not last as long as the window.
    const inSeconds = await eventually(
      async () => sumOf(await page(0), 'quota_exhausted_in_seconds', { source: 'metered' }),
      { what: 'a forecast' },
    );
    expect(inSeconds).toBeLessThan(20);
  });
});

describe('a revocation', () => {
  it('that waits tells how soon brokers and near caches had it', async () => {
    const client = await stack.client('billing');
    await client.source('payments-api').get();
    await client.ready();
    const before = await all();
    const operator = await stack.operator();
    const reply = await operator.revoke({
      selector: { source: 'payments-api' },
      wait: true,
      timeoutMs: 5_000,
      reason: 'a test',
    });
    expect(reply.receipts).toMatchObject({ expected: 1, stragglers: [] });
    for (const by of ['broker', 'near-cache']) {
      for (const family of [
        'revocation_receipts_expected_total',
        'revocation_receipts_confirmed_total',
        'revocation_propagation_seconds_count',
      ])
        expect(await growth(before, family, { by }), `${family} by ${by}`).toBe(1);
      expect(await growth(before, 'revocation_stragglers_total', { by })).toBe(0);
    }
    expect(await growth(before, 'revocation_duration_seconds_count')).toBe(1);
    await client.close();
  });

  it('counts the near cache that never confirms as a straggler', async () => {
    await synchronise({ instance: 'ghost' });
    const before = await all();
    const operator = await stack.operator();
    await operator.revoke({ selector: { source: 'payments-api' }, wait: true, timeoutMs: 300, reason: 'a test' });
    expect(await growth(before, 'revocation_receipts_expected_total', { by: 'near-cache' })).toBe(1);
    expect(await growth(before, 'revocation_receipts_confirmed_total', { by: 'near-cache' })).toBe(0);
    expect(await growth(before, 'revocation_stragglers_total', { by: 'near-cache' })).toBe(1);
    await synchronise({ instance: 'ghost', leaving: true });
  });

  it('that a near cache has missed is told to it again, and counted as replayed', async () => {
    const { epochs, vseqs } = await synchronise({ instance: 'forgetful' });
    const before = await all();
    await (await stack.operator()).revoke({ selector: { source: 'payments-api' }, reason: 'a test' });
    const { changes } = await synchronise({ instance: 'forgetful', known: { epochs, vseqs } });
    expect(changes).toHaveLength(PARTITIONS);
    expect(await growth(before, 'events_replayed_total', { to: 'near-cache' })).toBe(PARTITIONS);
    expect(await growth(before, 'syncs_total', { outcome: 'delta' })).toBe(1);
    expect(await growth(before, 'syncs_total', { outcome: 'reset' })).toBe(0);
    await synchronise({ instance: 'forgetful', known: { epochs: epochs.map((epoch) => epoch - 1), vseqs } });
    expect(await growth(before, 'syncs_total', { outcome: 'reset' })).toBe(1);
    await synchronise({ instance: 'forgetful', leaving: true });
  });
});

it('demand is told by source, as near caches report it', async () => {
  const { slot, generation } = await ask(billing, 'billing', 'orders-api');
  const before = await all();
  const holds = [{ source: 'orders-api', slots: [[slot, generation] as [string, number]] }];
  await synchronise({ instance: 'user', holds });
  await synchronise({ instance: 'bystander' });
  expect(await growth(before, 'near_caches')).toBe(2);
  expect(await growth(before, 'near_caches_in_demand', { source: 'orders-api' })).toBe(1);
  expect(await growth(before, 'near_caches_in_demand', { source: 'payments-api' })).toBe(0);
  // What is asked to be verified is not in use by that.
  await synchronise({ instance: 'bystander', holds, verify: true });
  expect(await growth(before, 'near_caches_in_demand')).toBe(1);
});

it('without NATS, events count as lost and heartbeats grow old; without Redis, the page still comes at once', async () => {
  const before = await all();
  await stack.nats.kill('SIGKILL');
  await eventually(
    async () => (await growth(before, 'events_published_total', { kind: 'heartbeat', outcome: 'lost' })) > 0,
    {
      what: 'a heartbeat to be lost',
      withinMs: 10_000,
    },
  );
  expect(sumOf(await all(), 'nats_connected')).toBe(0);
  await eventually(async () => sumOf(await page(0), 'heartbeat_age_seconds') > 1, { what: 'heartbeats to grow old' });
  await stack.nats.restart();
  await eventually(async () => sumOf(await all(), 'nats_connected') === 2, {
    what: 'NATS to be back',
    withinMs: 15_000,
  });

  // Stopped, and not gone: commands get no answer at all.
  await stack.redis.kill('SIGSTOP');
  try {
    await eventually(async () => sumOf(await page(0), 'redis_available') === 0, {
      what: 'Redis to be missed',
      withinMs: 10_000,
    });
    const startedAtMs = clock.elapsedMs();
    const samples = await page(0);
    expect(clock.elapsedMs() - startedAtMs).toBeLessThan(SCRAPED_WITHIN_MS);
    expect(sumOf(samples, 'store_failures_total', { command: 'lease' })).toBeGreaterThan(0);
    expect(sumOf(samples, 'lease_age_seconds')).toBeGreaterThan(0.2);
  } finally {
    await stack.redis.kill('SIGCONT');
  }
  await eventually(async () => sumOf(await all(), 'redis_available') === 2, {
    what: 'Redis to be back',
    withinMs: 15_000,
  });
});
