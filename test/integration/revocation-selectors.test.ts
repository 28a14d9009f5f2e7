import { createHash } from 'node:crypto';
import type { Operator } from '@token-broker/client/operator';
import { eventually, type IdentityClient } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { personsToken } from './identity.js';
import { metricValue, sourceSettings, startStack, type Stack } from './stack.js';
import { tokenctl } from './tokenctl.js';

const ORDERS: IdentityClient = { clientId: 'orders', clientSecret: 'orders-secret' };

/** What spares a revocation its questions. */
const SURE = ['--yes', '--reason', 'a test'];

let stack: Stack;
let operator: Operator;
let orders: NatsConnection;

beforeAll(async () => {
  stack = await startStack({
    brokers: 2,
    clients: [ORDERS],
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        'payments-api': sourceSettings(idp),
        'orders-api': sourceSettings(idp),
        invoices: sourceSettings(idp, { grant: 'token_exchange', subjectToken: { check: 'introspection' } }),
      },
      callers: {
        orders: { sources: ['payments-api', 'invoices'], clientIds: [ORDERS.clientId] },
        billing: { sources: ['orders-api'] },
        ops: { sources: ['*'], admin: true },
      },
    }),
  });
  operator = await stack.operator();
  orders = await stack.connectAs('orders');
});
afterAll(() => stack.stop());
afterEach(async () => {
  await operator.revoke({ selector: { all: true }, reason: 'a test' });
});

async function left(): Promise<string[]> {
  return (await operator.list()).slots.map(({ source }) => source).sort();
}

it('ends one leaked token, which tokenctl reads from standard input and never sends', async () => {
  const [{ accessToken }, other] = [await ask(orders, 'orders', 'payments-api'), await stack.connectAs('billing')];
  await ask(other, 'billing', 'orders-api');
  const missed = await tokenctl(stack, ['revoke', '--token-stdin', ...SURE, '--source', 'orders-api'], accessToken);
  expect(missed).toMatchObject({ code: 0 });
  expect(missed.out).toMatch(/^Nothing matched/);
  const run = await tokenctl(stack, ['revoke', '--token-stdin', ...SURE, '--json'], `${accessToken}\n`);
  expect(run.code).toBe(0);
  expect(JSON.parse(run.out)).toMatchObject({
    complete: true,
    slots: 1,
    sources: [{ name: 'payments-api', slots: 1 }],
  });
  expect(await left()).toEqual(['orders-api']);
  const digest = createHash('sha256').update(accessToken).digest('hex');
  expect(stack.logLines.join('\n')).not.toContain(accessToken);
  expect(stack.logLines.join('\n')).not.toContain(digest);
});

it('ends what a caller may have had', async () => {
  await ask(orders, 'orders', 'payments-api');
  await ask(await stack.connectAs('billing'), 'billing', 'orders-api');
  const run = await tokenctl(stack, ['revoke', '--used-by', 'billing', ...SURE, '--json']);
  expect(JSON.parse(run.out)).toMatchObject({ complete: true, slots: 1 });
  expect(await left()).toEqual(['payments-api']);
  expect((await tokenctl(stack, ['revoke', '--used-by', 'stranger', ...SURE])).code).toBe(2);
});

it('ends everything of a user, and nothing of another', async () => {
  const near = await stack.client('orders', { refetchOnRevoke: false });
  const tokens = await Promise.all(['jane', 'jane', 'joe'].map((who) => personsToken(stack.idp, ORDERS, who)));
  const handles = tokens.map((subjectToken) => near.source('invoices', { subjectToken }));
  for (const handle of handles) await handle.get();
  const dry = await tokenctl(stack, ['revoke', '--subject', 'jane', '--dry-run', '--json']);
  expect(JSON.parse(dry.out)).toMatchObject({ slots: 2, unjudged: 0 });
  const run = await tokenctl(stack, ['revoke', '--subject', 'jane', ...SURE, '--wait', '--json']);
  expect(run.code).toBe(0);
  expect(JSON.parse(run.out)).toMatchObject({ complete: true, slots: 2, receipts: { counts: { stragglers: 0 } } });
  expect(handles.map(({ current }) => current === undefined)).toEqual([true, true, false]);
  await near.close();
});

it('ends what was issued before a moment', async () => {
  await ask(orders, 'orders', 'payments-api');
  const { slots } = await operator.list();
  const issuedBeforeMs = Math.floor((slots[0]?.generation ?? 0) / 1_000) + 1;
  await eventually(async () => (await operator.status()).uptimeMs > 0, { what: 'a broker to answer' });
  await ask(await stack.connectAs('billing'), 'billing', 'orders-api');
  expect(await operator.revoke({ selector: { issuedBeforeMs }, reason: 'a test' })).toMatchObject({
    complete: true,
    slots: 1,
  });
  expect(await left()).toEqual(['orders-api']);
  const later = { issuedBeforeMs: issuedBeforeMs + 3_600_000 };
  await expect(operator.revoke({ selector: later, reason: 'a test' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

it('replaces tokens without a moment in which a near cache has none', async () => {
  const near = await stack.client('orders');
  const handle = near.source('payments-api');
  const old = await handle.get();
  const run = await tokenctl(stack, ['revoke', '--source', 'payments-api', '--graceful', '--wait', ...SURE, '--json']);
  expect(run.code).toBe(0);
  expect(JSON.parse(run.out)).toMatchObject({ complete: true, slots: 1, graceful: { replaced: 1, failed: 0 } });
  expect(handle.current?.generation).toBeGreaterThan(old.generation);
  expect(handle.current?.accessToken).not.toBe(old.accessToken);
  await near.close();
});

describe('pause', () => {
  it('holds on every replica at once, also for one that starts later, and is over with resume', async () => {
    const before = stack.idpCalls();
    expect((await tokenctl(stack, ['pause', 'payments-api', '--reason', 'leaked'])).code).toBe(0);
    await stack.addBroker();
    for (let i = 0; i < 9; i++) await expect(ask(orders, 'orders', 'payments-api')).rejects.toThrow(/^PAUSED/);
    expect(stack.idpCalls()).toBe(before);
    expect((await tokenctl(stack, ['status'])).out).toMatch(/^PAUSED payments-api: since 20/m);
    await eventually(
      async () => {
        const pages = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
        return pages.every((page) => metricValue(page, 'token_broker_source_paused', { source: 'payments-api' }) === 1);
      },
      { what: 'every replica to tell of it' },
    );
    expect((await tokenctl(stack, ['resume', 'payments-api'])).code).toBe(0);
    await ask(orders, 'orders', 'payments-api');
    expect(stack.idpCalls()).toBe(before + 1);
  });
});
