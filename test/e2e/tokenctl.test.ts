import { afterAll, beforeAll, expect, it } from 'vitest';
import { CLIENT_SECRET, startStack, type Stack } from '../integration/stack.js';
import { tokenctlAs, type Run } from '../integration/tokenctl.js';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.stop());

const tokenctl = (user: string, ...args: string[]): Promise<Run> => tokenctlAs(user, stack, args);

function json(run: Run): Record<string, unknown> {
  return JSON.parse(run.out) as Record<string, unknown>;
}

it('gets a token as a caller, alone on standard output', async () => {
  const run = await tokenctl('orders', 'get', 'payments-api');
  expect(run.code).toBe(0);
  expect(run.out).toMatch(/^[\x21-\x7e]+$/);
  const again = await tokenctl('billing', 'get', 'payments-api');
  expect(again.out).toBe(run.out);
});

it('lists, tells the status, and revokes with the word of every near cache', async () => {
  const near = await stack.client('orders', { refetchOnRevoke: false });
  const handle = near.source('payments-api');
  const old = await handle.get();
  expect(json(await tokenctl('ops', 'slots', '--json'))).toMatchObject({
    slots: [{ source: 'payments-api', slot: handle.slot }],
  });
  const status = json(await tokenctl('ops', 'status', '--json'));
  expect(status).toMatchObject({ ready: true, redis: { available: true } });
  expect(status['brokers']).toHaveLength(3);

  expect(json(await tokenctl('ops', 'revoke', '--source', 'payments-api', '--dry-run', '--json'))).toMatchObject({
    dryRun: true,
    slots: 1,
  });
  expect(handle.current?.generation).toBe(old.generation);

  const revoked = await tokenctl(
    'ops',
    'revoke',
    '--source',
    'payments-api',
    '--wait',
    '--yes',
    '--reason',
    'test',
    '--json',
  );
  expect(revoked.code).toBe(0);
  expect(json(revoked)).toMatchObject({ complete: true, broadcast: true, brokers: { expected: 3, acked: 3 } });
  expect(json(revoked)['receipts']).toMatchObject({
    stragglers: [],
    confirmed: expect.arrayContaining([
      expect.objectContaining({ caller: 'orders', instance: near.instance }),
    ]) as unknown,
  });
  expect(handle.current).toBeUndefined();
  expect(
    stack.logLines.some(
      (line) => line.includes('"audit":1') && line.includes('"revocation.ordered"') && line.includes('"reason":"test"'),
    ),
  ).toBe(true);
});

it('needs a word for everything, and is refused without the right to it', async () => {
  expect((await tokenctl('ops', 'revoke', '--all')).code).toBe(2);
  expect((await tokenctl('orders', 'revoke', '--all', '--yes', '--reason', 'test')).code).toBe(4);
  expect((await tokenctl('orders', 'get', 'orders-api')).code).toBe(4);
  expect((await tokenctl('ops', 'get', 'nothing-like-it')).code).toBe(2);
});

it('checks the configuration that runs, and prints permissions without any secret', async () => {
  const check = await tokenctl('ops', 'check', stack.configurationPath);
  expect(check.code).toBe(0);
  const permissions = await tokenctl('ops', 'nats-permissions', stack.configurationPath);
  expect(permissions.code).toBe(0);
  expect(permissions.out).toContain('token-broker.v1.get.orders.payments-api');
  expect(permissions.out + permissions.err).not.toContain(CLIENT_SECRET);
});

it('F11: fails with a non-zero exit when Redis is away', async () => {
  await stack.redis.kill('SIGKILL');
  const run = await tokenctl('ops', 'revoke', '--all', '--yes', '--reason', 'test', '--json');
  expect(run.code).toBe(3);
  expect(json(run)).toMatchObject({ error: { code: 'STORE_UNAVAILABLE' } });
});
