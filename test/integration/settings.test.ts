import { createSystemClock } from '@token-broker/foundation';
import { eventually, startScriptedIdentityProvider, type ScriptedIdentityProvider } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { sourceSettings, startStack, type Settings, type Stack } from './stack.js';

/** What the scripted provider says of the life of the tokens that it issues. */
let expiresIn: unknown;
let idp: ScriptedIdentityProvider;
let stack: Stack | undefined;

beforeEach(async () => {
  expiresIn = 600;
  idp = await startScriptedIdentityProvider((_, index) => ({
    body: {
      access_token: `token-${String(index)}`,
      token_type: 'Bearer',
      ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
    },
  }));
});

afterEach(async () => {
  await stack?.stop();
  stack = undefined;
  await idp.stop();
});

async function stackWith(cluster: Settings, source: Settings = {}): Promise<Stack> {
  stack = await startStack({
    brokers: 1,
    configure: (settings, provider) => {
      const { issuer, ...own } = sourceSettings(provider, {
        tokenEndpoint: idp.tokenEndpoint,
        scope: undefined,
        ...source,
      });
      expect(issuer).toBeDefined();
      return {
        ...settings,
        cluster: { ...(settings['cluster'] as Settings), ...cluster },
        sources: { 'payments-api': own, 'orders-api': own },
      };
    },
  });
  return stack;
}

/** Resolves when Redis has given the record of the only token back: its life is over. */
async function recordGone(of: Stack): Promise<void> {
  const redis = new Redis({ host: of.redis.host, port: of.redis.port });
  try {
    await eventually(async () => (await redis.keys('*:record:*')).length === 0, {
      what: 'the record to go',
      withinMs: 10_000,
    });
  } finally {
    redis.disconnect();
  }
}

describe('E6 L7: every setting of time does what it says', () => {
  it('defaultLifetime is the life of a token that comes without one', async () => {
    expiresIn = undefined;
    const running = await stackWith({}, { defaultLifetime: '90s' });
    expect((await ask(await running.connectAs('orders'), 'orders', 'payments-api')).lifeMs).toBe(90_000);
  });

  it('maxLifetime clamps', async () => {
    expiresIn = 1e12;
    const running = await stackWith({}, { maxLifetime: '2h' });
    expect((await ask(await running.connectAs('orders'), 'orders', 'payments-api')).lifeMs).toBe(7_200_000);
  });

  it.each([
    ['1s', 1_000, 2_000],
    ['0s', 0, 600],
  ])('minLifetime %s: the least life that is handed out', async (minLifetime, least, most) => {
    expiresIn = 3;
    const running = await stackWith({ minLifetime }, { refresh: { ahead: 'off' } });
    const orders = await running.connectAs('orders');
    const first = await ask(orders, 'orders', 'payments-api');
    const lives: number[] = [];
    await eventually(
      async () => {
        const { generation, expiresInMs } = await ask(orders, 'orders', 'payments-api');
        if (generation === first.generation) lives.push(expiresInMs);
        return generation > first.generation;
      },
      { what: 'the next token', withinMs: 10_000, everyMs: 5 },
    );
    expect(Math.min(...lives)).toBeGreaterThanOrEqual(least);
    expect(Math.min(...lives)).toBeLessThan(most);
  });

  it('demand: what nobody wants is not renewed; 0 renews nothing', async () => {
    expiresIn = 2;
    const running = await stackWith({ demand: '0s' }, { refresh: { ahead: '50%' } });
    await ask(await running.connectAs('orders'), 'orders', 'payments-api');
    await recordGone(running);
    expect(idp.requests).toHaveLength(1);
  });

  it('demand: what was wanted lately is renewed, and then no longer', async () => {
    expiresIn = 2;
    const running = await stackWith({ demand: '3s' }, { refresh: { ahead: '50%' } });
    await ask(await running.connectAs('orders'), 'orders', 'payments-api');
    await eventually(() => idp.requests.length >= 2, { what: 'a renewal', withinMs: 5_000 });
    await recordGone(running);
    // The least life of 1 s and a headroom of a tenth come before the half that is wished: with 1.2 s to 1.5 s of 2 s left, so each
    // 0.5 s or later: six times within 3 s, after the first fetch, whose life is counted from before the call.
    expect(idp.requests.length).toBeLessThanOrEqual(7);
  });

  it('refresh.ahead as a time: a renewal with so much life left', async () => {
    expiresIn = 4;
    const running = await stackWith({ minLifetime: '0s' }, { refresh: { ahead: '1.9s' }, defaultLifetime: '10s' });
    const orders = await running.connectAs('orders');
    const clock = createSystemClock();
    const startedAtMs = clock.elapsedMs();
    await ask(orders, 'orders', 'payments-api');
    await eventually(() => idp.requests.length === 2, { what: 'the renewal', withinMs: 5_000 });
    // 1.9 s before the end of 4 s, and up to a quarter of that earlier.
    expect(clock.elapsedMs() - startedAtMs).toBeGreaterThan(1_500);
    expect(clock.elapsedMs() - startedAtMs).toBeLessThan(2_600);
  });

  it('maxStaleness: a near cache that is cut off serves so long, then fails closed', async () => {
    const running = await stackWith({ maxStaleness: '1200ms' });
    const handle = (await running.client('orders')).source('payments-api');
    await handle.get();
    const clock = createSystemClock();
    await running.nats.kill('SIGSTOP');
    const cutAtMs = clock.elapsedMs();
    await eventually(() => handle.current === undefined, {
      what: 'the near cache to fail closed',
      withinMs: 5_000,
      everyMs: 5,
    });
    const servedMs = clock.elapsedMs() - cutAtMs;
    await running.nats.kill('SIGCONT');
    expect(servedMs).toBeGreaterThan(600);
    expect(servedMs).toBeLessThan(1_400);
    await eventually(() => handle.get(), { what: 'the near cache to serve again', withinMs: 10_000 });
  });
});
