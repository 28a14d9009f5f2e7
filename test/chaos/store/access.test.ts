import { eventually, startRedis } from '@token-broker/testing';
import { systemRandom } from '@token-broker/foundation';
import { afterEach, expect, it } from 'vitest';
import { runBroker } from '../../e2e/broker-process.js';
import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import type { Settings } from '../../integration/stack.js';
import { BACK_WITHIN_MS, startStoreStack, whenAllReady, type StoreStack } from './store-stack.js';

const REDIS_PASSWORD = `canary-${Buffer.from(systemRandom.bytes(12)).toString('hex')}`;
/** A process starts, connects and looks at Redis. */
const REFUSED_WITHIN_MS = 10_000;

let stack: StoreStack;
afterEach(async () => {
  const log = stack.logLines.join('');
  await stack.stop();
  expect(log).not.toContain(REDIS_PASSWORD);
});

const lineOf = (pattern: RegExp): string | undefined => stack.logLines.find((line) => pattern.test(line));

/** A user of Redis for the brokers alone, whose rights can be changed while they run. */
async function startWithUser(): Promise<RawCaller> {
  const redis = await startRedis({
    args: ['--user', 'broker', 'on', `>${REDIS_PASSWORD}`, '~*', '&*', '+@all'],
  });
  stack = await startStoreStack({
    redis,
    brokers: 1,
    configure: (settings) => ({
      ...settings,
      redis: { ...(settings['redis'] as Settings), username: 'broker', password: REDIS_PASSWORD },
    }),
  });
  return createRawCaller(await stack.connectAs('billing'), 'billing');
}

it('a Redis that evicts keys: a broker refuses to start, with exit code 2, and says what to set', async () => {
  stack = await startStoreStack({
    brokers: 0,
    redis: await startRedis({ args: ['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru'] }),
  });
  await stack.rewrite((settings) => settings);
  const broker = runBroker(stack.configurationPath);
  const line = await broker.waitForLine(/cannot start/, REFUSED_WITHIN_MS);
  expect(line).toContain('maxmemory-policy allkeys-lru');
  expect(line).toContain('Set maxmemory-policy noeviction');
  expect(await broker.exited).toMatchObject({ code: 2 });
});

it('NOAUTH: a broker without the password does not serve, says why, and begins when it may', async () => {
  stack = await startStoreStack({ brokers: 0, redis: await startRedis({ password: REDIS_PASSWORD }) });
  const added = stack.addBroker();
  await eventually(() => lineOf(/NOAUTH/), { what: 'the reason in the log', withinMs: BACK_WITHIN_MS });
  const [broker] = stack.brokers;
  if (broker === undefined) throw new Error('there is no broker');
  const { host, port } = broker.http;
  expect((await fetch(`http://${host}:${String(port)}/readyz`)).status).toBe(503);
  expect((await fetch(`http://${host}:${String(port)}/livez`)).status).toBe(200);
  await stack.direct.config('SET', 'requirepass', '');
  await added;
  await whenAllReady(stack);
});

it('NOPERM: the command that Redis refuses is named, callers are told that the store is away, and a right that is given back is enough', async () => {
  const billing = await startWithUser();
  const operator = await stack.operator();
  const [held, notHeld] = [subjects.get('billing', 'payments-api'), subjects.get('billing', 'orders-api')];
  await billing.token(held);

  // Inside a script; before 7.2 Redis itself does not say which one of its commands.
  await stack.direct.call('ACL', 'SETUSER', 'broker', '-xadd');
  await expect(operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  });
  await eventually(() => lineOf(/"reason":"revoke: .*('xadd' command|executing the script can't run)/), {
    what: 'the command in the log',
  });
  await stack.direct.call('ACL', 'SETUSER', 'broker', '+xadd');
  // The script was ended in its middle: what is held may be dropped for it, until a revocation has come through.
  await eventually(() => operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' }), {
    what: 'a revocation',
  });
  const { generation } = await billing.token(held);

  // Every script.
  await stack.direct.call('ACL', 'SETUSER', 'broker', '-evalsha', '-eval');
  const refusal = await billing.refusal(notHeld);
  expect(refusal.code).toBe('STORE_UNAVAILABLE');
  expect(refusal.message).not.toContain('NOPERM');
  expect((await billing.token(held)).generation).toBe(generation);
  await eventually(() => lineOf(/"reason":"read: NOPERM .*'evalsha?' command/), { what: 'the command in the log' });
  await stack.direct.call('ACL', 'SETUSER', 'broker', '+evalsha', '+eval');
  await whenAllReady(stack);
  await billing.token(notHeld);
  expect(await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' })).toMatchObject({
    complete: true,
  });
});
