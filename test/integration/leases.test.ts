import {
  startScriptedIdentityProvider,
  type ScriptedIdentityProvider,
  type ScriptedReply,
} from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EverythingSeen } from './everything-seen.js';
import { dumpRedis } from './redis-dump.js';
import { leaks } from './spellings.js';
import { startStack, type Stack } from './stack.js';

/** Passwords by the token of the login that they hang on: Vault, as far as leases go. */
const leases = new Map<string, string>();
const logins: string[] = [];

let vault: ScriptedIdentityProvider;
let stack: Stack;
let seen: EverythingSeen;
let redis: Redis;

function answerOf(method: string, path: string, token: string): ScriptedReply {
  switch (`${method} ${path}`) {
    case 'POST /v1/auth/approle/login': {
      const login = `hvs.canary-login-${String(logins.length + 1).padStart(16, '0')}`;
      logins.push(login);
      return { body: { auth: { client_token: login, lease_duration: 3_600, token_type: 'service' } } };
    }
    case 'GET /v1/database/creds/orders': {
      if (!logins.includes(token)) return { status: 403, body: { errors: ['permission denied', 'invalid token'] } };
      const number = String(logins.indexOf(token) + 1);
      const password = `canary-password-${number.padStart(16, '0')}`;
      leases.set(token, password);
      const data = { username: `v-orders-${number}`, password };
      return { body: { lease_id: `database/creds/orders/${number}`, lease_duration: 1_800, data } };
    }
    case 'POST /v1/auth/token/revoke-self':
      leases.delete(token);
      return { status: 204 };
    default:
      return { status: 404, body: { errors: [] } };
  }
}

beforeAll(async () => {
  vault = await startScriptedIdentityProvider(({ method, path, headers }) =>
    answerOf(method, path, String(headers['x-vault-token'])),
  );
  stack = await startStack({
    brokers: 2,
    configure: (settings) => ({
      ...settings,
      log: { level: 'debug' },
      sources: {
        'orders-db': {
          ...{ provider: 'vault', address: vault.issuer, allowInsecureHttp: true, path: 'database/creds/orders' },
          auth: { method: 'approle', roleId: 'broker', secretId: 'canary-of-a-secret-id' },
        },
      },
      callers: { orders: { sources: '*' }, ops: { sources: ['*'], admin: true } },
    }),
  });
  seen = await EverythingSeen.of(stack);
  redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([stack.stop(), vault.stop()]);
});

it('one lease serves all callers of all brokers', async () => {
  const clients = await Promise.all(Array.from({ length: 4 }, () => stack.client('orders')));
  const tokens = await Promise.all(clients.map((client) => client.source('orders-db').get()));
  for (const token of tokens) {
    expect(token).toMatchObject({ tokenType: 'password', username: 'v-orders-1' });
    expect(token.expiresInMs).toBeLessThanOrEqual(1_800_000);
    seen.note('a password that is printed', token);
  }
  expect(logins).toHaveLength(1);
});

it('a revocation at the provider ends the lease there, and the next caller is another user', async () => {
  const client = await stack.client('orders');
  const database = client.source('orders-db');
  const { accessToken } = await database.get();
  expect([...leases.values()]).toEqual([accessToken]);
  const operator = await stack.operator();
  const order = { selector: { source: 'orders-db' }, atProvider: true, wait: true, reason: 'a leak' };
  const reply = await operator.revoke(order);
  seen.note('the reply to an operator', reply);
  expect(reply).toMatchObject({ complete: true, provider: { asked: 1, revoked: 1, unsupported: 0, failed: 0 } });
  expect([...leases.values()]).not.toContain(accessToken);
  const next = await database.get();
  expect(next.username).toBe('v-orders-2');
  expect([...leases.values()]).toEqual([next.accessToken]);
});

it('what takes a lease back is in no message, no answer, no log line, and in Redis only under seal', async () => {
  expect(logins.length).toBeGreaterThan(1);
  const places = [
    ...seen.messages,
    ...seen.answers,
    ...seen.logLines,
    ...(await seen.httpPages()),
    ...(await dumpRedis(redis)),
  ];
  expect(seen.messages.length).toBeGreaterThan(0);
  expect(leaks(places, logins)).toEqual([]);
});
