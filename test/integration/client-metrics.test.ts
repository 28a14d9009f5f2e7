import { registerMetrics } from '@token-broker/client/metrics';
import { eventually, promtool } from '@token-broker/testing';
import * as prometheus from 'prom-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sourceSettings, startStack, type Settings, type Stack } from './stack.js';

/** Its tokens last for seconds. */
const RENEWED = { clientId: 'renewed', clientSecret: 'secret-of-renewed' };

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    brokers: 1,
    tokenLifeSeconds: (clientId) => (clientId === RENEWED.clientId ? 6 : 600),
    clients: [{ ...RENEWED, clientAuthentication: 'client_secret_basic', scopes: ['payments:read', 'payments:write'] }],
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        ...(settings['sources'] as Settings),
        'orders-api': sourceSettings(idp, { ...RENEWED, refresh: { ahead: '50%' } }),
      },
    }),
  });
});
afterAll(() => stack.stop());

type Page = (series: string) => Promise<number>;

/** Reads `token_broker_client_…` series of a registry. */
const reader =
  (registry: prometheus.Registry): Page =>
  async (series) => {
    const line = (await registry.metrics())
      .split('\n')
      .find((each) => each.startsWith(`token_broker_client_${series} `));
    return Number(line?.split(' ').at(-1) ?? Number.NaN);
  };

it('shows each cause in the metrics of the service, as the client itself counts it', { timeout: 40_000 }, async () => {
  const registry = new prometheus.Registry();
  const read = reader(registry);
  const client = await stack.client('billing');
  registerMetrics(client, prometheus, registry);
  expect([await read('hits_total'), await read('misses_total'), await read('suspect')]).toEqual([0, 0, 0]);

  const handle = client.source('payments-api');
  await Promise.all([handle.get(), handle.get()]);
  expect([await read('misses_total'), await read('joined_total')]).toEqual([2, 1]);
  // One, and more where a broker was silent for too long.
  expect(await read('requests_total')).toBe(client.stats().requests);
  expect(await read('requests_total')).toBeGreaterThan(0);
  expect([await read('entries'), await read('hits_total')]).toEqual([1, 0]);
  expect(await read('bytes')).toBeGreaterThan(0);
  for (let i = 0; i < 5; i += 1) expect(handle.current).toBeDefined();
  expect(await read('hits_total')).toBe(5);

  // Of a token of ten minutes, one look at each scrape after a use, and none without.
  const life = 'remaining_life_at_use_seconds';
  const looks = await read(`${life}_count{source="payments-api"}`);
  expect(looks).toBeGreaterThan(0);
  expect(await read(`${life}_count{source="payments-api"}`)).toBe(looks);
  await eventually(
    async () => handle.current !== undefined && (await read(`${life}_count{source="payments-api"}`)) === looks + 1,
    { what: 'another look' },
  );
  expect(await read(`${life}_bucket{le="600",source="payments-api"}`)).toBe(looks + 1);
  expect(await read(`${life}_bucket{le="300",source="payments-api"}`)).toBe(0);

  await eventually(async () => (await read('news_age_seconds_count')) > 1, { what: 'heartbeats' });
  expect(await read('syncs_total')).toBeGreaterThan(0);

  await (await stack.operator()).revoke({ selector: { source: 'payments-api' }, wait: true, reason: 'a test' });
  expect(await read('invalidations_total')).toBe(client.stats().invalidations);
  expect(await read('invalidations_total')).toBeGreaterThan(0);

  const renewed = client.source('orders-api');
  await renewed.get();
  const before = await read('pushes_total');
  await eventually(async () => renewed.current !== undefined && (await read('pushes_total')) > before, {
    what: 'a token to be pushed',
    withinMs: 15_000,
  });
  await client.close();
});

it('goes into the registry of the module, unless another is given', async () => {
  const client = await stack.client('billing');
  registerMetrics(client, prometheus);
  try {
    expect(await reader(prometheus.register)('hits_total')).toBe(0);
  } finally {
    prometheus.register.clear();
    await client.close();
  }
});

it('promtool has nothing to say of them', { timeout: 60_000 }, async () => {
  const registry = new prometheus.Registry();
  const client = await stack.client('billing');
  registerMetrics(client, prometheus, registry);
  const page = await registry.metrics();
  expect([...page.matchAll(/^# TYPE /gm)]).toHaveLength(13);
  expect(await promtool(['check', 'metrics'], page)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  await client.close();
});

it('shows how long something held may have missed an invalidation', { timeout: 40_000 }, async () => {
  const registry = new prometheus.Registry();
  const read = reader(registry);
  const client = await stack.client('billing');
  registerMetrics(client, prometheus, registry);
  await client.source('payments-api').get();
  expect(await read('suspect')).toBe(Number(client.stats().suspect));
  const before = await read('suspect_seconds_total');
  await stack.nats.kill('SIGKILL');
  await eventually(async () => (await read('suspect')) === 1, { what: 'suspicion', withinMs: 10_000 });
  await eventually(async () => (await read('suspect_seconds_total')) > before, { what: 'time spent suspect' });
  await stack.nats.restart();
  await eventually(async () => (await read('suspect')) === 0, { what: 'recovery', withinMs: 15_000 });
  await client.close();
});
