import { createSystemClock } from '@token-broker/foundation';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startBroker } from '@token-broker/broker';
import { formatProblems, loadConfiguration, type Configuration } from '@token-broker/configuration';
import { decode, LIMITS, tokenReplySchema } from '@token-broker/protocol';
import { eventually, type ScriptedIdentityProvider } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { ECHO_SOURCES, echoSettings, ODD_SECRET, startEchoingProvider } from './echoing-provider.js';
import { EverythingSeen } from './everything-seen.js';
import { createRawCaller, subjects } from './raw-caller.js';
import { dumpRedis } from './redis-dump.js';
import { leaks, SecretSearch, spellingsOf, type Seen } from './spellings.js';
import {
  CLIENT_SECRET,
  metricValue,
  PASSWORD,
  sourceSettings,
  startStack,
  type Settings,
  type Stack,
} from './stack.js';

/** Every token that the identity provider has given out. Opaque, and as long as those of real providers. */
const tokens: string[] = [];

let stack: Stack;
let echo: ScriptedIdentityProvider;
let redis: Redis;
let seen: EverythingSeen;

beforeAll(async () => {
  echo = await startEchoingProvider(() => String(tokens[0]));
  stack = await startStack({
    brokers: 2,
    tokenLifeSeconds: 4,
    tokenTransform: (accessToken) => {
      const token = `canary-${accessToken}`;
      tokens.push(token);
      return token;
    },
    configure: (settings, idp) => ({
      ...settings,
      log: { level: 'debug' },
      sources: {
        'payments-api': sourceSettings(idp, { refresh: { ahead: '50%' } }),
        'orders-api': sourceSettings(idp),
        ...Object.fromEntries(ECHO_SOURCES.map((source) => [source, echoSettings(idp, echo, source)])),
      },
    }),
  });
  seen = await EverythingSeen.of(stack);
  redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  await drive();
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([stack.stop(), echo.stop()]);
});

/** Sends a canary through all that can happen to a token and to a secret. */
async function drive(): Promise<void> {
  const client = await stack.client('billing');
  const operator = await stack.operator();
  const payments = client.source('payments-api');
  const raw = createRawCaller(await stack.connectAs('orders'), 'orders');
  const get = subjects.get('orders', 'payments-api');

  // Cold, warm, printed.
  const first = await payments.get();
  seen.note('a token that is printed', first);
  await payments.get();
  for (let i = 0; i < 10; i++) await raw.token(get);
  // Refreshed ahead, by a push.
  await eventually(() => client.stats().pushes > 0, { what: 'a refresh that is pushed', withinMs: 8_000 });
  // Revoked, by slot and by source; rejected.
  seen.note('revoke', await operator.revoke({ selector: { slot: payments.slot }, wait: true, reason: 'a leak' }));
  const second = await payments.get();
  seen.note('rejected', await payments.reportRejected(second));
  await payments.get();
  seen.note('revoke', await operator.revoke({ selector: { source: 'payments-api' }, reason: 'a test' }));
  const ops = await stack.client('ops');
  for (const source of ECHO_SOURCES)
    await seen.noteRefusal(`a refusal of the provider, ${source}`, ops.source(source).get());
  // Reloaded: with a secret that the provider refuses, with a file that cannot be read, and as before.
  const setSecret = (clientSecret: unknown) => (settings: Settings) => ({
    ...settings,
    sources: Object.fromEntries(
      Object.entries(settings['sources'] as Settings).map(([name, source]) => [
        name,
        { ...(source as Settings), clientSecret },
      ]),
    ),
  });
  await stack.rewrite(setSecret(ODD_SECRET));
  seen.note('reload', await operator.reload());
  await Promise.all(stack.brokers.map((broker) => broker.reload()));
  await seen.noteRefusal('a wrong secret', payments.get());
  const good = await readFile(stack.configurationPath, 'utf8');
  await writeFile(stack.configurationPath, stringify(setSecret([CLIENT_SECRET])(parse(good) as Settings)));
  seen.note('a broken reload', await operator.reload());
  await stack.rewrite(setSecret(CLIENT_SECRET));
  seen.note('reload', await operator.reload());
  await Promise.all(stack.brokers.map((broker) => broker.reload()));
  await eventually(() => payments.get(), { what: 'a token under the old secret', withinMs: 10_000 });
  await raw.token(get);

  seen.note('status', await operator.status());
  seen.note('list', await operator.list());
  seen.note('describe', await operator.describe({ source: 'payments-api' }));
  seen.note('refresh', await operator.refresh({ source: 'payments-api' }));
  seen.note('the statistics of a client', client.stats());
}

async function configuration(): Promise<Configuration> {
  const loaded = await loadConfiguration(stack.configurationPath, { env: process.env });
  if (!loaded.ok) throw new Error(formatProblems(loaded.error.problems, loaded.error.file));
  return loaded.value.configuration;
}

/** The secrets that belong nowhere, not even into a reply. */
async function unspeakable(): Promise<string[]> {
  const [{ secret }] = (await configuration()).encryption.keys;
  const key = Buffer.from(secret.reveal());
  return [CLIENT_SECRET, ODD_SECRET, PASSWORD, key.toString('base64'), key.toString('hex')];
}

const isReply = ({ where }: Seen): boolean => where.startsWith('_INBOX.');
const channelKeys = (): string[] => {
  const keys = seen.messages.filter(isReply).flatMap(({ bytes }) => {
    const reply = decode(tokenReplySchema, bytes, LIMITS.replyBytes);
    return reply.ok && reply.value.channel !== undefined ? [reply.value.channel.key] : [];
  });
  return [...new Set(keys)];
};

describe('the search itself', () => {
  it('finds each spelling where it is', () => {
    for (const secret of [CLIENT_SECRET, ODD_SECRET]) {
      const search = new SecretSearch([secret]);
      for (const [spelling, name] of spellingsOf(secret))
        expect(search.in(Buffer.from(`a${spelling}b`))).toContain(`secret 0, ${name}`);
      for (const encoding of ['base64', 'base64url'] as const)
        for (const before of ['', 'x', 'xy', 'xyz']) {
          const encoded = Buffer.from(`${before}${secret}y`).toString(encoding);
          expect(search.in(Buffer.from(encoded)), `${encoding} after ${before}`).not.toEqual([]);
        }
    }
    expect(new SecretSearch([CLIENT_SECRET]).in(Buffer.from(CLIENT_SECRET.slice(1)))).toEqual([]);
  });

  it.each(['string', 'hash', 'zset', 'set', 'list', 'stream'])('finds a secret in a Redis %s', async (type) => {
    const commands: Readonly<Record<string, readonly string[]>> = {
      string: ['SET', 'planted', CLIENT_SECRET],
      hash: ['HSET', 'planted', 'field', CLIENT_SECRET],
      zset: ['ZADD', 'planted', '1', CLIENT_SECRET],
      set: ['SADD', 'planted', CLIENT_SECRET],
      list: ['RPUSH', 'planted', CLIENT_SECRET],
      stream: ['XADD', 'planted', '*', 'field', Buffer.from(`x${CLIENT_SECRET}`).toString('base64')],
    };
    const [command = '', ...args] = commands[type] ?? [];
    await redis.call(command, ...args);
    const found = leaks(await dumpRedis(redis), [CLIENT_SECRET]);
    await redis.del('planted');
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found.map((text) => text.split(':')[0]))).toEqual(new Set(['the key planted']));
  });

  it('finds the tokens where they belong: in replies to those who asked', () => {
    expect(tokens.length).toBeGreaterThan(4);
    const found = leaks(seen.messages.filter(isReply), tokens);
    expect(new Set(found.map((text) => text.split('.')[1]))).toEqual(new Set(['billing', 'orders']));
    expect(channelKeys().length).toBeGreaterThan(0);
  });

  it('saw every kind of message', () => {
    const kinds = new Set(seen.messages.map(({ where }) => where.split('.').slice(0, 3).join('.')));
    for (const kind of ['get', 'rejected', 'sync', 'ack', 'admin', 'event', 'invalidation', 'heartbeat', 'flight'])
      expect([...kinds]).toContain(`token-broker.v1.${kind}`);
    expect([...kinds]).toContain('token-broker.v1.peer');
  });
});

describe('S1 S4 G8: what has gone through every case', () => {
  it('the client secret and the keys are in no message, not even in a reply', async () => {
    expect(leaks(seen.messages, await unspeakable())).toEqual([]);
  });

  it('tokens and channel keys are in no event, heartbeat, flight or peer message, and in no request', () => {
    const others = seen.messages.filter((message) => !isReply(message));
    expect(others.length).toBeGreaterThan(20);
    expect(leaks(others, [...tokens, ...channelKeys()])).toEqual([]);
  });

  it('tokens are in no reply to an operator', () => {
    const toOps = seen.messages.filter(({ where }) => where.startsWith('_INBOX.ops.'));
    expect(toOps.length).toBeGreaterThan(5);
    expect(leaks(toOps, [...tokens, ...channelKeys()])).toEqual([]);
  });

  it('S2: Redis holds none of them, in no value and no key name', async () => {
    const dump = await dumpRedis(redis);
    expect(dump.some(({ where }) => where.includes(':record:'))).toBe(true);
    expect(dump.some(({ where }) => where.includes(':channel:'))).toBe(true);
    expect(leaks(dump, [...(await unspeakable()), ...tokens, ...channelKeys()])).toEqual([]);
  });

  it('no line of the log holds any of them, at the level debug', async () => {
    expect(stack.logLines.length).toBeGreaterThan(20);
    expect(stack.logLines.some((line) => line.includes('<redacted>'))).toBe(true);
    expect(leaks(seen.logLines, [...(await unspeakable()), ...tokens, ...channelKeys()])).toEqual([]);
  });

  it('no error, no answer to an operator, no printed token and no HTTP page holds any of them', async () => {
    const places = [...seen.answers, ...(await seen.httpPages())];
    for (const where of ['a refusal of the provider, post-0', 'status', 'list', 'a broken reload', '/metrics'])
      expect(places.map((place) => place.where)).toContain(where);
    expect(leaks(places, [...(await unspeakable()), ...tokens, ...channelKeys()])).toEqual([]);
  });
});

const clock = createSystemClock();

/** Calls of the identity provider of which no broker of the stack tells. */
async function callsOfStrangers(): Promise<number> {
  const pages = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
  const told = pages.flatMap((page) =>
    ['payments-api', 'orders-api'].map((source) => metricValue(page, 'token_broker_idp_calls_total', { source })),
  );
  return stack.idpCalls() - told.reduce((sum, calls) => sum + calls, 0);
}

/** Records, with what is left of the life of each. */
async function recordLives(): Promise<Map<string, number>> {
  const keys = await redis.keys('*:record:*');
  return new Map(await Promise.all(keys.map(async (key) => [key, await redis.pttl(key)] as const)));
}

describe('S2: a broker with another key in the same namespace', () => {
  it.each([
    ['under another id', { id: 'k2', secret: Buffer.alloc(32, 2).toString('base64') }],
    ['under the same id', { id: 'k1', secret: Buffer.alloc(32, 2).toString('base64') }],
  ])('refuses to go on: %s', async (_, key) => {
    const path = join(dirname(stack.configurationPath), `${key.id}.yaml`);
    const settings = parse(await readFile(stack.configurationPath, 'utf8')) as Settings;
    await writeFile(path, stringify({ ...settings, encryption: { keys: [key] } }), { mode: 0o600 });
    const loaded = await loadConfiguration(path, { env: process.env });
    if (!loaded.ok) throw new Error(formatProblems(loaded.error.problems, loaded.error.file));
    const strangers = await callsOfStrangers();
    const [records, beganAtMs] = [await recordLives(), clock.elapsedMs()];
    expect(records.size).toBeGreaterThan(0);
    const stranger = await startBroker(loaded.value.configuration, {
      path,
      env: process.env,
      writeLog: () => undefined,
    });
    try {
      await expect(stranger.serving).rejects.toThrow(/sealed under a key that is not in `encryption.keys`/);
      const ready = await fetch(`http://${stranger.http.host}:${String(stranger.http.port)}/readyz`);
      expect(ready.status).toBe(503);
    } finally {
      await stranger.stop(100);
    }
    // Tokens are short-lived here, so that others call meanwhile: they tell of each call when it has ended.
    await eventually(async () => (await callsOfStrangers()) <= strangers, {
      what: 'every call to be one of the brokers of the stack',
    });
    // Nobody takes one away; some may have run out meanwhile.
    const left = await recordLives();
    const tookMs = clock.elapsedMs() - beganAtMs;
    expect([...records].filter(([key, lifeMs]) => !left.has(key) && lifeMs > tookMs)).toEqual([]);
  });
});

describe('S3: a returned token', () => {
  it('cannot be changed, and what is tried changes no later result', async () => {
    const client = await stack.client('billing');
    const handle = client.source('payments-api');
    const token = await handle.get();
    const { accessToken, generation } = token;
    expect(Object.isFrozen(token)).toBe(true);
    for (const field of ['accessToken', 'tokenType', 'scope', 'generation', 'expiresInMs', 'more'])
      expect(Reflect.set(token, field, 'changed')).toBe(false);
    expect(Reflect.defineProperty(token, 'accessToken', { value: 'changed' })).toBe(false);
    expect(Reflect.setPrototypeOf(token, null)).toBe(false);
    const prototype: unknown = Object.getPrototypeOf(token);
    expect(Object.isFrozen(prototype)).toBe(true);
    expect(token.accessToken).toBe(accessToken);
    const later = handle.current ?? (await handle.get());
    if (later.generation === generation) expect(later.accessToken).toBe(accessToken);
    expect(later.accessToken).not.toBe('changed');
    await client.close();
  });
});
