import { eventually, startIdentityProvider, type IdentityProvider } from '@token-broker/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { spendDirectly } from './identity.js';
import {
  CLIENT_ID,
  CLIENT_SECRET,
  metricValue,
  sourceSettings,
  startStack,
  type Settings,
  type Stack,
} from './stack.js';
import { tokenctl } from './tokenctl.js';

const REPLICAS = 3;
const CALLERS = 40;
const CONSENT = 'openid offline_access payments:read payments:write';
/** Short, so that renewals can be watched. */
const SHORT_LIFE_SECONDS = 2;

let stack: Stack;
/** Its refresh tokens stay good, and its replies name none. */
let keeping: IdentityProvider;
/** It rotates, and its tokens do not live long. */
let hasty: IdentityProvider;

beforeAll(async () => {
  const clients = [{ clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, scopes: ['payments:read', 'payments:write'] }];
  keeping = await startIdentityProvider({ clients, rotation: 'omitted' });
  hasty = await startIdentityProvider({ clients, tokenLifeSeconds: SHORT_LIFE_SECONDS });
  const refreshing: Settings = { grant: 'refresh_token' };
  stack = await startStack({
    brokers: REPLICAS,
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        rotating: sourceSettings(idp, { ...refreshing, quota: { limit: 100, window: '1h', reserve: 10 } }),
        stolen: sourceSettings(idp, refreshing),
        unseeded: sourceSettings(idp, refreshing),
        moved: sourceSettings(idp, refreshing),
        keeping: sourceSettings(keeping, refreshing),
        hasty: sourceSettings(hasty, { ...refreshing, refresh: { ahead: '50%' } }),
      },
      callers: { orders: { sources: '*' }, ops: { sources: ['*'], admin: true } },
    }),
  });
});
afterAll(async () => {
  await stack.stop();
  await Promise.all([keeping.stop(), hasty.stop()]);
});
beforeEach(() => {
  for (const idp of [stack.idp, keeping, hasty]) idp.resetCounts();
});

/** What an operator does first: a person has logged in, and the brokers get what came of it. */
async function seed(source: string, idp: IdentityProvider = stack.idp): Promise<string> {
  const refreshToken = await idp.issueRefreshToken({ clientId: CLIENT_ID, scope: CONSENT });
  await (await stack.operator()).setRefreshToken({ source, refreshToken });
  return refreshToken;
}

function spentAt(idp: IdentityProvider): string[] {
  return idp.requests().map(({ form }) => String(form.get('refresh_token')));
}

async function refreshTokenOf(source: string): Promise<unknown> {
  const { sources } = await (await stack.operator()).status();
  return sources.find(({ name }) => name === source)?.refreshToken;
}

async function restartAll(): Promise<void> {
  const old = stack.brokers.splice(0);
  await Promise.all(old.map((broker) => broker.stop(1_000)));
  for (const _ of old) await stack.addBroker();
}

describe('K11: a refresh token', () => {
  it('K11: that rotates is spent exactly once, by 3 replicas for many callers of several scopes, and after all of them restart', async () => {
    const SCOPES = ['payments:read', 'payments:write', 'payments:read payments:write'];
    const seeded = await seed('rotating');
    const connections = await Promise.all(Array.from({ length: REPLICAS }, () => stack.connectAs('orders')));
    const askAll = () =>
      Promise.all(
        SCOPES.flatMap((scope) =>
          Array.from({ length: CALLERS }, (_, index) => {
            const connection = connections[index % connections.length];
            if (connection === undefined) throw new Error('no connection');
            return ask(connection, 'orders', 'rotating', { scope });
          }),
        ),
      );
    const answers = await askAll();
    expect(new Set(answers.map(({ accessToken }) => accessToken)).size).toBe(SCOPES.length);
    expect(new Set(answers.map(({ scope }) => scope))).toEqual(new Set(SCOPES));
    expect(stack.idp.refreshTokens()).toEqual({ used: 3, forgiven: 0, replayed: 0, familiesRevoked: 0 });

    await restartAll();
    await (await stack.operator()).revoke({ selector: { source: 'rotating' }, reason: 'a test' });
    const fresh = await askAll();
    expect(new Set([...answers, ...fresh].map(({ accessToken }) => accessToken)).size).toBe(2 * SCOPES.length);
    expect(stack.idp.refreshTokens()).toEqual({ used: 6, forgiven: 0, replayed: 0, familiesRevoked: 0 });
    const spent = spentAt(stack.idp);
    expect([spent[0], new Set(spent).size, spent.length]).toEqual([seeded, 6, 6]);
    expect(await refreshTokenOf('rotating')).toMatchObject({ state: 'ready', sequence: 6 });
  });

  it('K11: is kept when the reply brings no other', async () => {
    const seeded = await seed('keeping', keeping);
    const client = await stack.client('orders');
    for (const scope of ['payments:read', 'payments:write']) await client.source('keeping', { scope }).get();
    await restartAll();
    await client.source('keeping').get();
    expect(spentAt(keeping)).toEqual([seeded, seeded, seeded]);
    expect(await refreshTokenOf('keeping')).toMatchObject({ state: 'ready' });
  });

  it('K11: is spent once for each renewal ahead, by whichever replica does it', async () => {
    const RENEWALS = 3;
    const RENEWED_WITHIN_MS = (RENEWALS + 2) * SHORT_LIFE_SECONDS * 1_000;
    await seed('hasty', hasty);
    const client = await stack.client('orders');
    const handle = client.source('hasty');
    const first = await handle.get();
    await eventually(() => client.stats().pushes >= RENEWALS, {
      what: 'renewals that are pushed',
      withinMs: RENEWED_WITHIN_MS,
    });
    const { generation } = await handle.get();
    expect(generation).toBeGreaterThanOrEqual(first.generation + RENEWALS);
    const spent = spentAt(hasty);
    expect(new Set(spent).size).toBe(spent.length);
    expect(hasty.refreshTokens()).toMatchObject({ forgiven: 0, replayed: 0, familiesRevoked: 0 });
    await client.close();
  });
});

it('K2 G6: a refresh token is sent to the provider that it was put there for, and to no other', async () => {
  const seeded = await seed('moved');
  const client = await stack.client('orders');
  await client.source('moved').get();
  await stack.changeSource('moved', { issuer: keeping.issuer });
  await expect(client.source('moved').get()).rejects.toMatchObject({ code: 'REAUTH_REQUIRED' });
  expect(keeping.requests()).toEqual([]);
  // What it was put there for is still known; another scope is no other provider.
  await stack.changeSource('moved', { issuer: stack.idp.issuer, scope: 'payments:read' });
  expect((await client.source('moved').get()).scope).toBe('payments:read');
  const [first, second, ...more] = spentAt(stack.idp);
  expect([first, more]).toEqual([seeded, []]);
  expect(second).not.toBe(seeded);
  expect(stack.idp.refreshTokens()).toMatchObject({ used: 2, replayed: 0 });
});

it('I3: a spent refresh token that somebody else uses: the whole family is revoked everywhere', async () => {
  /** From when a broker was told `invalid_grant`: the cutoff is broadcast at once, the rest is what a loaded machine adds. */
  const DROPPED_WITHIN_MS = 1_500;
  const stolen = await seed('stolen');
  const clients = await Promise.all([1, 2, 3].map(() => stack.client('orders', { refetchOnRevoke: false })));
  const handles = clients.map((client) => client.source('stolen', { scope: 'payments:read' }));
  const held = await Promise.all(handles.map((handle) => handle.get()));
  expect(new Set(held.map(({ accessToken }) => accessToken)).size).toBe(1);

  expect(await spendDirectly(stack.idp, stolen)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  expect(stack.idp.refreshTokens()).toMatchObject({ replayed: 1, familiesRevoked: 1 });
  // Nobody tells the brokers. They learn of it when they spend what they have.
  const [client] = clients;
  if (client === undefined) throw new Error('no client');
  await expect(client.source('stolen', { scope: 'payments:write' }).get()).rejects.toMatchObject({
    code: 'REAUTH_REQUIRED',
  });
  await eventually(() => handles.every((handle) => handle.current === undefined), {
    what: 'every near cache to drop the token of the family',
    withinMs: DROPPED_WITHIN_MS,
  });
  expect(await refreshTokenOf('stolen')).toMatchObject({ state: 'exhausted' });
  const calls = stack.idpCalls();
  for (const handle of handles) await expect(handle.get()).rejects.toMatchObject({ code: 'REAUTH_REQUIRED' });
  const raw = await stack.connectAs('orders');
  const refusals = await Promise.all(
    Array.from({ length: 10 * REPLICAS }, () =>
      ask(raw, 'orders', 'stolen', { scope: 'payments:read' }).catch((error: unknown) => String(error)),
    ),
  );
  for (const refusal of refusals) expect(refusal).toMatch(/^Error: REAUTH_REQUIRED: /);
  expect(stack.idpCalls()).toBe(calls);
  for (const broker of stack.brokers.keys()) {
    const refused = { source: 'stolen', outcome: 'REAUTH_REQUIRED' };
    expect(metricValue(await stack.metrics(broker), 'token_broker_requests_total', refused)).toBeGreaterThan(0);
  }

  await seed('stolen');
  const next = await Promise.all(handles.map((handle) => handle.get()));
  for (const { generation } of next) expect(generation).toBeGreaterThan(Number(held[0]?.generation));
});

describe('operators', () => {
  it('see who needs a refresh token, put it there from standard input, and it works at once', async () => {
    const client = await stack.client('orders');
    const handle = client.source('unseeded');
    await expect(handle.get()).rejects.toMatchObject({ code: 'REAUTH_REQUIRED' });
    expect(stack.idpCalls()).toBe(0);
    const before = await tokenctl(stack, ['status']);
    expect(before.out).toMatch(/^unseeded +missing +0 +-$/m);
    expect(before.out).toMatch(/^REAUTH_REQUIRED unseeded: .*tokenctl refresh-token set unseeded/m);

    const refreshToken = await stack.idp.issueRefreshToken({ clientId: CLIENT_ID, scope: CONSENT });
    const set = await tokenctl(stack, ['refresh-token', 'set', 'unseeded'], `${refreshToken}\n`);
    expect(set).toMatchObject({ code: 0, err: '' });
    await handle.get();
    expect(spentAt(stack.idp)).toEqual([refreshToken]);
    const after = await tokenctl(stack, ['status']);
    expect(after.out).toMatch(/^unseeded +ready +1 +\d{4}-/m);
    expect(after.out).not.toContain('REAUTH_REQUIRED unseeded');

    // The brokers know what they were given before: it is refused before anybody spends it.
    const again = await tokenctl(stack, ['refresh-token', 'set', 'unseeded'], refreshToken);
    expect(again.code).not.toBe(0);
    expect(again.err).toMatch(/spent/);
    expect(stack.idp.refreshTokens()).toMatchObject({ used: 1, replayed: 0, familiesRevoked: 0 });
    expect([set, before, after, again].map(({ out, err }) => out + err).join()).not.toContain(refreshToken);
  });

  it('see what is left of the budget', async () => {
    const used = async (): Promise<number> => {
      const { sources } = await (await stack.operator()).status();
      const [limit] = sources.find(({ name }) => name === 'rotating')?.budget?.limits ?? [];
      expect(limit).toMatchObject({ limit: 100, window: '1h', reserve: 10 });
      return (limit?.used ?? 0) + (limit?.reserveUsed ?? 0);
    };
    await seed('rotating');
    const before = await used();
    await (await stack.operator()).revoke({ selector: { source: 'rotating' }, reason: 'a test' });
    await (await stack.client('orders')).source('rotating').get();
    expect(await used()).toBe(before + 1);
    const page = await tokenctl(stack, ['status']);
    expect(page.out).toMatch(/^rotating +1h +\d+\/90 +\d+\/10 +0 +ok$/m);
  });
});
