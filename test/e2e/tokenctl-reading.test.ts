import type { DescribeReply, StatusReply } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_SECRET, PASSWORD, startStack, type Stack } from '../integration/stack.js';
import { startTokenctl, tokenctlAs, type Run } from '../integration/tokenctl.js';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    configure: (settings) => {
      const sources = settings['sources'] as Readonly<Record<string, object>>;
      const quota = { limit: 100, window: '1m', reserve: '10%' };
      return {
        ...settings,
        sources: {
          ...sources,
          'payments-api': { ...sources['payments-api'], quota },
          'orders-api': { ...sources['orders-api'], quota },
        },
      };
    },
  });
});
afterAll(() => stack.stop());

const tokenctl = (...args: string[]): Promise<Run> => tokenctlAs('ops', stack, args);

function parsed(run: Run): unknown {
  return JSON.parse(run.out);
}

describe('an operator who reads', () => {
  it('sees every replica in one status, and that they agree', async () => {
    const status = parsed(await tokenctl('status', '--json')) as StatusReply;
    const { replicas = [], silent } = status;
    expect(replicas.map(({ broker }) => broker).sort()).toEqual([...status.brokers].sort());
    expect(replicas).toHaveLength(3);
    expect(silent).toEqual([]);
    expect(new Set(replicas.map(({ epochs }) => String(epochs))).size).toBe(1);
    expect(replicas.every(({ clockAheadMs }) => Math.abs(clockAheadMs ?? Number.NaN) < 1_000)).toBe(true);
    const page = await tokenctl('status');
    expect(page.out).toContain('Brokers      3 of 3 brokers have answered, all ready');
    expect(page.out).toContain('Epochs       agree');
  });

  it('sees who uses a source, what is held of it and when it is renewed', async () => {
    const near = await stack.client('orders');
    const handle = near.source('payments-api');
    await handle.get();
    const described = parsed(await tokenctl('describe', 'payments-api', '--json')) as DescribeReply;
    expect(described).toMatchObject({
      source: 'payments-api',
      allowed: ['orders', 'billing', 'ops'],
      tokens: [{ slot: handle.slot }],
    });
    expect(described.replicas.flatMap(({ callers }) => callers)).toContainEqual({ caller: 'orders', requests: 1 });
    expect(described.replicas.some(({ nextRefreshInMs = 0 }) => nextRefreshInMs > 400_000)).toBe(true);
    const slot = await tokenctl('describe', handle.slot);
    expect(slot.code).toBe(0);
    expect(slot.out).toMatch(/ago by orders/);
    const sources = await tokenctl('sources');
    expect(sources.out).toMatch(/payments-api +oauth2 +\d+ +1 +0 % +0 +1 +0/);
    const quota = await tokenctl('quota', 'payments-api');
    expect(quota.out).toMatch(/ 1m {2}\[#\.+\] 1 of 90 calls/);
    expect(quota.out).toContain('0 of 10 of the reserve');
  });

  it('has a token renewed, which near caches hear of', async () => {
    const near = await stack.client('orders');
    const handle = near.source('payments-api');
    const old = await handle.get();
    const calls = stack.idpCalls();
    const run = await tokenctl('refresh', handle.slot);
    expect(run).toMatchObject({ code: 0, out: '1 of 1 token is new.' });
    expect(stack.idpCalls()).toBe(calls + 1);
    await eventually(() => (handle.current?.generation ?? 0) > old.generation, { what: 'the renewed token' });
  });

  it('watches renewals and revocations as they happen, until it is interrupted', async () => {
    const watching = startTokenctl('ops', stack, ['watch', '--source', 'payments-api', '--json']);
    await watching.waitForLine(/"heartbeat"/);
    await tokenctl('refresh', 'payments-api');
    await watching.waitForLine(/"event":"refreshed","source":"payments-api"/);
    await tokenctl('revoke', '--source', 'payments-api', '--yes', '--reason', 'watched');
    await watching.waitForLine(/"event":"invalidated".*"sources":\["payments-api"\]/);
    watching.signal('SIGINT');
    expect(await watching.exited).toMatchObject({ code: 0 });
    expect(watching.stderr).toEqual([]);
  });

  it('sees it live', async () => {
    const run = await tokenctl('top', '--count', '1', '--interval', '500ms');
    expect(run.code).toBe(0);
    expect(run.out).toContain('3 of 3 brokers');
    expect(run.out).toMatch(/payments-api .*\/90 in 1m/);
  });

  it('is refused where the policy does not make it an operator', async () => {
    for (const args of [['describe', 'payments-api'], ['refresh', 'payments-api'], ['sources'], ['quota'], ['top']]) {
      const run = await tokenctlAs('orders', stack, args);
      expect([args[0], run.code]).toEqual([args[0], 4]);
    }
  });
});

describe('the doctor', () => {
  it('finds nothing at a healthy cluster, and warns of what a file holds', async () => {
    expect(await tokenctl('doctor')).toMatchObject({
      code: 0,
      out: 'NATS permissions: ok\nbrokers: ok\nsources: ok\nNothing was found.',
    });
    const run = await tokenctl('doctor', '--config', stack.configurationPath);
    expect(run.code).toBe(0);
    expect(run.out).toContain('the configuration file holds secrets itself: nats.password');
    expect(run.out).toContain('servers: ok');
    expect(run.out + run.err).not.toContain(CLIENT_SECRET);
    expect(run.out + run.err).not.toContain(PASSWORD);
  });

  it('finds a Redis that has begun to evict', async () => {
    const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
    try {
      await redis.config('SET', 'maxmemory', '100mb');
      await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const run = await tokenctl('doctor');
      expect(run.code).toBe(1);
      expect(run.out).toContain('problem  Redis evicts keys (maxmemory-policy allkeys-lru)');
    } finally {
      await redis.config('SET', 'maxmemory-policy', 'noeviction');
      redis.disconnect();
    }
  });

  it('finds NATS permissions that are too wide', async () => {
    await stack.changeNatsUsers((users) =>
      users.map((user) =>
        user.user === 'ops' ? { ...user, permissions: { publish: ['>'], subscribe: ['>'] } } : user,
      ),
    );
    const run = await tokenctl('doctor');
    expect(run.code).toBe(1);
    expect(run.out).toContain('problem  the NATS server enforces no permissions');
    await stack.changeNatsUsers((users) => users);
    expect((await tokenctl('doctor')).code).toBe(0);
  });

  it('finds permissions of before, which let an operator hear too little', async () => {
    await stack.changeNatsUsers((users) =>
      users.map((user) =>
        user.user === 'ops' ? { ...user, permissions: { ...user.permissions, subscribe: ['_INBOX.ops.>'] } } : user,
      ),
    );
    const run = await tokenctl('doctor');
    expect(run.out).toContain('warning  the user of ops may not hear invalidations and heartbeats');
    expect(run.code).toBe(0);
    await stack.changeNatsUsers((users) => users);
  });
});
