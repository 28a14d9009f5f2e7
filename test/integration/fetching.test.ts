import { slotOf } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { CLIENT_SECRET, sourceSettings, startStack, type Settings, type Stack } from './stack.js';

let stack: Stack;
let orders: NatsConnection;
let billing: NatsConnection;

beforeAll(async () => {
  stack = await startStack({
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        ...(settings['sources'] as Settings),
        cold: sourceSettings(idp),
        slow: sourceSettings(idp, { tokenEndpoint: undefined, parameters: { tenant: 'slow' } }),
        crowded: sourceSettings(idp, { parameters: { tenant: 'crowded' } }),
      },
      callers: {
        ...(settings['callers'] as Settings),
        billing: { sources: ['payments-api', 'orders-api', 'cold', 'slow', 'crowded'] },
      },
    }),
  });
  orders = await stack.connectAs('orders');
  billing = await stack.connectAs('billing');
});

afterAll(() => stack.stop());
afterEach(() => {
  stack.idp.setDelay(0);
});

async function callsOf<T>(work: () => Promise<T>): Promise<{ readonly calls: number; readonly value: T }> {
  const before = stack.idpCalls();
  const value = await work();
  return { calls: stack.idpCalls() - before, value };
}

describe('one call for all', () => {
  it('K1: one entry and one call through any replica', async () => {
    const { calls, value } = await callsOf(() =>
      Promise.all(Array.from({ length: 60 }, () => ask(orders, 'orders', 'payments-api'))),
    );
    expect(calls).toBe(1);
    expect(new Set(value.map(({ accessToken }) => accessToken)).size).toBe(1);
    const served = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
    expect(
      served.filter((text) => /token_broker_requests_total\{[^}]*source="payments-api"[^}]*\} [1-9]/.test(text)).length,
    ).toBeGreaterThan(1);
  });

  it('K6: 3 replicas, 100 cold callers each, and an identity provider that takes 200 ms: one call', async () => {
    stack.idp.setDelay(200);
    const { calls, value } = await callsOf(() =>
      Promise.all(Array.from({ length: 300 }, () => ask(billing, 'billing', 'crowded'))),
    );
    expect(calls).toBe(1);
    expect(new Set(value.map(({ generation }) => generation)).size).toBe(1);
  });

  it('K7: a slow key does not delay another', async () => {
    stack.idp.setDelay(1_500);
    const slow = ask(billing, 'billing', 'slow');
    await eventually(
      () =>
        stack.idp.counts().tokenRequests > 0 && stack.idp.requests().some(({ form }) => form.get('tenant') === 'slow'),
      { what: 'the slow call to be under way' },
    );
    stack.idp.setDelay(0);
    let slowEnded = false;
    void slow.then(() => {
      slowEnded = true;
    });
    await ask(billing, 'billing', 'cold');
    expect(slowEnded).toBe(false);
    await slow;
  });

  it('K8: a warm hit makes no call', async () => {
    await ask(orders, 'orders', 'payments-api');
    const { calls } = await callsOf(() =>
      Promise.all(Array.from({ length: 50 }, () => ask(orders, 'orders', 'payments-api'))),
    );
    expect(calls).toBe(0);
  });
});

describe('what a token is asked for', () => {
  it('K3: scopes that only look alike when joined share no entry', async () => {
    expect(slotOf('s', { scopes: ['a', 'bc'] })).not.toBe(slotOf('s', { scopes: ['ab', 'c'] }));
    const one = await ask(billing, 'billing', 'payments-api', { scope: ['payments:read'] });
    const both = await ask(billing, 'billing', 'payments-api', { scope: ['payments:read', 'payments:write'] });
    expect(one.slot).not.toBe(both.slot);
    expect([one.scope, both.scope]).toEqual(['payments:read', 'payments:read payments:write']);
  });

  it('K4: reordered scopes share one entry', async () => {
    const first = await ask(billing, 'billing', 'orders-api', { scope: 'payments:write payments:read' });
    const { calls, value } = await callsOf(() =>
      ask(billing, 'billing', 'orders-api', { scope: ['payments:read', 'payments:write', 'payments:read'] }),
    );
    expect(calls).toBe(0);
    expect(value.accessToken).toBe(first.accessToken);
  });
});

describe('a changed configuration', () => {
  const change = (part: Settings) => (settings: Settings) => {
    const sources = settings['sources'] as Record<string, Settings>;
    return { ...settings, sources: { ...sources, 'orders-api': { ...sources['orders-api'], ...part } } };
  };
  const reload = async (part: Settings): Promise<void> => {
    await stack.rewrite(change(part));
    await Promise.all(stack.brokers.map((broker) => broker.reload()));
  };

  it.each<[string, Settings]>([
    ['scope', { scope: 'payments:read' }],
    ['client authentication', { clientAuthentication: 'client_secret_post' }],
    ['parameters', { parameters: { tenant: 'other' } }],
    ['timeouts of no token', { timeout: '9s' }],
  ])('K2: %s', async (what, part) => {
    const before = await ask(billing, 'billing', 'orders-api');
    await reload(part);
    const { calls, value } = await callsOf(async () =>
      ask(billing, 'billing', 'orders-api').catch((error: unknown) => String(error)),
    );
    const isSameToken = typeof value !== 'string' && value.accessToken === before.accessToken;
    // What cannot change a token must not cost one.
    expect({ calls, isSameToken }).toEqual(
      what === 'timeouts of no token' ? { calls: 0, isSameToken: true } : { calls: 1, isSameToken: false },
    );
    await reload({
      scope: 'payments:read payments:write',
      clientAuthentication: 'client_secret_basic',
      parameters: {},
      timeout: '10s',
    });
    await eventually(() => ask(billing, 'billing', 'orders-api'), {
      what: 'the source to work again',
      withinMs: 15_000,
    });
  });

  it('K5: a rotated secret gives a new token at once, and near caches drop the old one', async () => {
    const client = await stack.client('billing', { refetchOnRevoke: false });
    const handle = client.source('orders-api');
    const old = await handle.get();
    await reload({ clientSecret: `${CLIENT_SECRET}-rotated` });
    await eventually(() => handle.current === undefined, { what: 'the near cache to drop the old token' });
    // The provider does not know the rotated secret: that it was used at once shows in its refusal.
    await expect(handle.get()).rejects.toMatchObject({ code: 'IDP_DENIED' });
    await reload({ clientSecret: CLIENT_SECRET });
    const fresh = await handle.get();
    expect(fresh.accessToken).not.toBe(old.accessToken);
    expect(fresh.generation).toBeGreaterThan(old.generation);
  });
});

it('K5 L1: a source that was changed while no replica ran is cut off by the first that starts', async () => {
  const client = await stack.client('billing', { refetchOnRevoke: false });
  const handle = client.source('orders-api');
  const old = await handle.get();
  const stopped = stack.brokers.splice(0);
  await Promise.all(stopped.map((broker) => broker.stop(1_000)));
  const withScope = (scope: string) => (settings: Settings) => {
    const sources = settings['sources'] as Record<string, Settings>;
    return { ...settings, sources: { ...sources, 'orders-api': { ...sources['orders-api'], scope } } };
  };
  await stack.rewrite(withScope('payments:read'));
  for (const _ of stopped) await stack.addBroker();
  await eventually(() => handle.current === undefined, { what: 'the near cache to drop the old token' });
  const { calls, value } = await callsOf(() => handle.get());
  expect({ calls, scope: value.scope }).toEqual({ calls: 1, scope: 'payments:read' });
  expect(value.generation).toBeGreaterThan(old.generation);
  await client.close();
});

it('K12: all replicas restart with a warm Redis and make no call', async () => {
  const before = await ask(orders, 'orders', 'payments-api');
  const { calls, value } = await callsOf(async () => {
    const old = stack.brokers.splice(0);
    await Promise.all(old.map((broker) => broker.stop(1_000)));
    for (const _ of old) await stack.addBroker();
    return ask(orders, 'orders', 'payments-api');
  });
  expect(calls).toBe(0);
  expect(value.accessToken).toBe(before.accessToken);
});
