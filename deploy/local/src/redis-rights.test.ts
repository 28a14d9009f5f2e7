import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startIdentityProvider, startNats, startRedis } from '@token-broker/testing';
import { afterEach, expect, it } from 'vitest';
import { brokerFiles, permissionsOf } from './broker-configuration.js';
import { startBrokerProcess } from './broker-process.js';
import { scrape, sumOf } from './broker-metrics.js';
import { CLIENT_OF_SOURCE, OPERATOR, PAYMENTS } from './participants.js';
import { startProcessGuard } from './process-guard.js';
import { generateSecrets, writePrivately } from './secrets.js';
import { startLocalProcess } from './local-process.js';
import { tokenctlProgram } from './programs.js';
import { runRevocation } from './tokenctl-run.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** The settings of the production example that need neither certificates nor folders of their own. */
async function productionSettings(): Promise<string[]> {
  const lines = (await readFile(join(ROOT, 'deploy/redis/redis.conf'), 'utf8')).split('\n');
  const settings = lines.filter((line) => /^(maxmemory|appendonly|appendfsync|save)/.test(line));
  expect(settings.length).toBe(5);
  return settings.flatMap((line) => {
    const [name = '', value = ''] = line.split(' ');
    return [`--${name}`, value === '""' ? '' : value];
  });
}

it('a broker needs no more rights than deploy/redis gives it, and calls a revocation durable', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'token-broker-rights-'));
  ends.push(() => rm(directory, { recursive: true, force: true }));
  const guard = startProcessGuard(join(directory, 'none'));
  ends.push(() => guard.close());
  const secrets = generateSecrets();

  const digest = createHash('sha256').update(secrets.redisPassword.reveal()).digest('hex');
  const users = (await readFile(join(ROOT, 'deploy/redis/users.conf'), 'utf8')).replace('0'.repeat(64), digest);
  expect(users).toContain(digest);
  await writePrivately(directory, { 'users.conf': users });
  const redis = await startRedis({
    args: [...(await productionSettings()), '--include', join(directory, 'users.conf')],
  });
  ends.push(() => redis.stop());

  const identityProvider = await startIdentityProvider({
    clients: [...secrets.clientSecrets].map(([clientId, secret]) => ({
      clientId,
      clientSecret: secret.reveal(),
      scopes: ['payments:read', 'payments:write', 'ledger:read'],
    })),
  });
  ends.push(() => identityProvider.stop());
  const at = {
    natsUrl: 'nats://127.0.0.1:4222',
    redisUrl: `redis://${redis.host}:${String(redis.port)}/0`,
    identityProvider: { issuer: identityProvider.issuer },
    httpListen: '127.0.0.1:0',
  };
  const permissions = await permissionsOf(brokerFiles(at, secrets));
  const nats = await startNats({
    users: permissions.map(({ user, publish, subscribe }) => ({
      user,
      password: secrets.natsPasswords.get(user)?.reveal() ?? '',
      permissions: { publish, subscribe },
    })),
  });
  ends.push(() => nats.stop());

  const files = brokerFiles({ ...at, natsUrl: nats.url }, secrets);
  const yaml = files['broker.yaml']?.replace('redis: {', 'redis: { username: token-broker,') ?? '';
  await writePrivately(join(directory, 'broker'), { ...files, 'broker.yaml': yaml });
  await writePrivately(directory, { 'operator/password': secrets.natsPasswords.get(OPERATOR)?.reveal() ?? '' });
  const broker = await startBrokerProcess({
    name: 'the broker',
    configurationFile: join(directory, 'broker/broker.yaml'),
    guard,
    adopt: (process) => ends.push(() => process.stop()),
  });

  // While a broker starts, it may look at Redis before it is connected.
  const failuresBefore = sumOf(await scrape([broker.httpUrl]), 'token_broker_store_failures_total');
  const operator = {
    TOKENCTL_SERVER: nats.url,
    TOKENCTL_USER: OPERATOR,
    TOKENCTL_PASSWORD_FILE: join(directory, 'operator/password'),
    TOKENCTL_CACHE_TTL: '0',
    XDG_CONFIG_HOME: join(directory, 'operator/config'),
  };
  const get = startLocalProcess({
    name: 'tokenctl get',
    path: tokenctlProgram(),
    args: ['get', PAYMENTS],
    env: operator,
    guard,
  });
  expect(await get.exited, get.lastLines().join('\n')).toEqual({ code: 0, signal: null });
  const { exitCode, reply } = await runRevocation(operator, guard);
  expect({ exitCode, durable: reply.durable, complete: reply.complete }).toEqual({
    exitCode: 0,
    durable: true,
    complete: true,
  });
  expect(identityProvider.counts().tokenRequestsByClient).toEqual({ [CLIENT_OF_SOURCE[PAYMENTS]]: 1 });

  const samples = await scrape([broker.httpUrl]);
  expect(sumOf(samples, 'token_broker_lock_wait_duration_seconds_count', { outcome: 'acquired' })).toBe(1);
  expect(sumOf(samples, 'token_broker_lock_wait_duration_seconds_count', { outcome: 'error' })).toBe(0);
  expect(sumOf(samples, 'token_broker_store_failures_total')).toBe(failuresBefore);
});

it('every command of the brokers’ scripts is among these rights', async () => {
  const users = await readFile(join(ROOT, 'deploy/redis/users.conf'), 'utf8');
  const rights = new Set([...users.matchAll(/ \+([a-z]+)/g)].map(([, name]) => name));
  const folder = join(ROOT, 'services/broker/lua');
  const scripts = await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')));
  const commands = scripts.flatMap((script) =>
    [...script.matchAll(/redis\.p?call\('(\w+)'/g)].map(([, name = '']) => name.toLowerCase()),
  );
  expect(commands.length).toBeGreaterThan(20);
  expect([...new Set(commands)].filter((name) => !rights.has(name))).toEqual([]);
});
