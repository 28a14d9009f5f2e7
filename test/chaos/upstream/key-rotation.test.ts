import { readFile, writeFile } from 'node:fs/promises';
import { startBroker, type RunningBroker } from '@token-broker/broker';
import { formatProblems, loadConfiguration } from '@token-broker/configuration';
import { delay, createSystemClock } from '@token-broker/foundation';
import type { TokenReply } from '@token-broker/protocol';
import { eventually, type IdentityProvider } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { createRawCaller, subjects } from '../../integration/raw-caller.js';
import { metricValue, sourceSettings, startStack, type Settings, type Stack } from '../../integration/stack.js';

const LIFE_MS = 5_000;
const MIN_LIFETIME_MS = 1_000;
/** `refresh.ahead` of the sources that are renewed: from here on with jitter, and a rank for each replica. */
const AHEAD = 0.5;
/**
 * A renewal may be early by its jitter, a quarter of the margin; and a replica reckons an expiry early by as long as its
 * read of Redis took, on a loaded machine.
 */
const EARLY_AT_MOST_MS = LIFE_MS * AHEAD * 0.25 + 600;
const REPLICAS = 3;
/** The first call of each source, on a loaded machine. */
const STARTED_WITHIN_MS = 10_000;
const RENEWED = ['renewed-0', 'renewed-1', 'renewed-2'];
/** Not renewed ahead: fetched again when they have expired. */
const EXPIRING = ['expiring-0', 'expiring-1'];

const KEYS = {
  old: { id: 'k1', secret: Buffer.alloc(32, 1).toString('base64') },
  new: { id: 'k2', secret: Buffer.alloc(32, 2).toString('base64') },
};
type KeyName = keyof typeof KEYS;

const clock = createSystemClock();
let stack: Stack;
let redis: Redis;
const replicas: (RunningBroker | undefined)[] = [];
/** When the identity provider made each token. */
const madeAtMs = new Map<string, number>();

beforeAll(async () => {
  stack = await startStack({
    brokers: 0,
    tokenLifeSeconds: LIFE_MS / 1000,
    tokenTransform: (accessToken) => {
      madeAtMs.set(accessToken, clock.elapsedMs());
      return accessToken;
    },
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        ...sourcesOf(idp, RENEWED, `${String(AHEAD * 100)}%`),
        ...sourcesOf(idp, EXPIRING, 'off'),
      },
      callers: { ops: { sources: ['*'], admin: true } },
    }),
  });
  redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
});
afterAll(async () => {
  redis.disconnect();
  for (const replica of replicas) await replica?.stop(1_000);
  await stack.stop();
});

function sourcesOf(idp: IdentityProvider, names: readonly string[], ahead: string): Settings {
  return Object.fromEntries(names.map((name) => [name, sourceSettings(idp, { refresh: { ahead } })]));
}

/** Each replica has a file of its own, as on machines of their own: a rotation reaches them one after the other. */
const pathOf = (index: number): string => `${stack.configurationPath}.${String(index)}.yaml`;

async function writeKeys(index: number, keys: readonly KeyName[]): Promise<void> {
  const settings = parse(await readFile(stack.configurationPath, 'utf8')) as Settings;
  const text = stringify({ ...settings, encryption: { keys: keys.map((name) => KEYS[name]) } });
  await writeFile(pathOf(index), text, { mode: 0o600 });
}

async function start(index: number): Promise<void> {
  const loaded = await loadConfiguration(pathOf(index), { env: process.env });
  if (!loaded.ok) throw new Error(formatProblems(loaded.error.problems, loaded.error.file));
  const broker = await startBroker(loaded.value.configuration, {
    path: pathOf(index),
    env: process.env,
    writeLog: (line) => stack.logLines.push(line),
  });
  replicas[index] = broker;
  await broker.serving;
}

/** Two of three replicas reload; the one that changes with each step starts anew, and has only Redis to read from. */
async function roll(keys: readonly KeyName[], restarted: number): Promise<void> {
  for (let index = 0; index < REPLICAS; index++) {
    await writeKeys(index, keys);
    if (index !== restarted) {
      await replicas[index]?.reload();
      continue;
    }
    await replicas[index]?.stop(2_000);
    await start(index);
  }
}

/** The ids of the keys that records and the recipe key is sealed under; they stand in clear before the sealed bytes. */
async function keysInUse(): Promise<Set<string>> {
  const records = await redis.keys('*:record:*');
  const secrets = await redis.keys('*:secret:*');
  const sealed = await Promise.all([
    ...records.map((key) => redis.hgetBuffer(key, 'sealed')),
    ...secrets.map((key) => redis.getBuffer(key)),
  ]);
  return new Set(
    sealed.flatMap((bytes) => (bytes === null ? [] : [bytes.subarray(2, 2 + (bytes[1] ?? 0)).toString()])),
  );
}

const madeMs = (token: string): number => madeAtMs.get(token) ?? Number.NaN;

interface Load {
  readonly failures: unknown[];
  /** The tokens of each source, and the latest moment at which the life of each can have begun: before its call. */
  readonly tokens: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly reads: () => number;
  stop(): Promise<void>;
}

/** Near caches, and callers without one, that use every source all the time. */
async function startLoad(): Promise<Load> {
  const client = await stack.client('ops');
  const raw = createRawCaller(await stack.connectAs('ops'), 'ops');
  const failures: unknown[] = [];
  const tokens = new Map([...RENEWED, ...EXPIRING].map((source) => [source, new Map<string, number>()]));
  let reads = 0;
  let stopped = false;
  const use = async (
    source: string,
    read: () => Promise<Pick<TokenReply, 'accessToken' | 'expiresInMs'>>,
  ): Promise<void> => {
    while (!stopped) {
      try {
        const { accessToken, expiresInMs } = await read();
        const bornAtMs = clock.elapsedMs() + expiresInMs - LIFE_MS;
        const known = tokens.get(source);
        known?.set(accessToken, Math.min(bornAtMs, known.get(accessToken) ?? bornAtMs));
        reads += 1;
      } catch (error) {
        failures.push(error);
      }
      await delay(clock, 10);
    }
  };
  const users = [...tokens.keys()].flatMap((source) => [
    use(source, () => client.source(source).get()),
    ...[1, 2].map(() => use(source, () => raw.token(subjects.get('ops', source)))),
  ]);
  return {
    failures,
    tokens,
    reads: () => reads,
    async stop() {
      stopped = true;
      await Promise.all(users);
    },
  };
}

/** So that what waits in vain says why. */
function throwFirst(failures: readonly unknown[]): void {
  if (failures.length > 0) throw new Error(`a read has failed: ${String(failures[0])}`);
}

it('F34: a rolling rotation of the encryption keys under load: no failed read, and no call that is not due', async () => {
  for (let index = 0; index < REPLICAS; index++) {
    await writeKeys(index, ['old']);
    await start(index);
  }
  const load = await startLoad();
  await eventually(
    () => {
      throwFirst(load.failures);
      return [...load.tokens.values()].every(({ size }) => size > 0);
    },
    { what: 'a token of each source', withinMs: STARTED_WITHIN_MS },
  );
  expect(await keysInUse()).toEqual(new Set(['k1']));

  await roll(['old', 'new'], 0);
  await roll(['new', 'old'], 1);
  await eventually(async () => !(await keysInUse()).has('k1'), {
    what: 'every record to be sealed under the new key',
    withinMs: 2 * LIFE_MS,
    everyMs: 50,
  });
  await roll(['new'], 2);
  const before = [...load.tokens.values()].map(({ size }) => size);
  await eventually(() => [...load.tokens.values()].every(({ size }, index) => size > (before[index] ?? 0)), {
    what: 'another token of each source, without the old key',
    withinMs: 2 * LIFE_MS,
  });
  // Every call gives a token that is used. The last ones are waited for, since renewals go on.
  const made = [...madeAtMs.keys()];
  expect(stack.idpCalls()).toBeLessThanOrEqual(made.length + 1);
  await eventually(() => made.every((token) => [...load.tokens.values()].some((tokens) => tokens.has(token))), {
    what: 'every token that was made to be used',
    withinMs: LIFE_MS,
  });
  await load.stop();

  expect(load.failures).toEqual([]);
  expect(load.reads()).toBeGreaterThan(500);
  expect(await keysInUse()).toEqual(new Set(['k2']));
  // And none comes before the one before it was due.
  for (const [source, tokens] of load.tokens) {
    const dueAfterMs = EXPIRING.includes(source) ? LIFE_MS - MIN_LIFETIME_MS : LIFE_MS * (1 - AHEAD);
    const made = [...tokens].sort(([one], [other]) => madeMs(one) - madeMs(other));
    const gapsMs = made.slice(1).map(([token], index) => madeMs(token) - (made[index]?.[1] ?? Number.NaN));
    expect(gapsMs.length).toBeGreaterThan(0);
    for (const gapMs of gapsMs) expect(gapMs, source).toBeGreaterThanOrEqual(dueAfterMs - EARLY_AT_MOST_MS);
  }
  const metrics = await Promise.all(
    replicas.map(async (replica) => {
      const { host, port } = replica?.http ?? { host: '', port: 0 };
      return (await fetch(`http://${host}:${String(port)}/metrics`)).text();
    }),
  );
  expect(metrics.map((text) => metricValue(text, 'token_broker_records_unreadable_total'))).toEqual([0, 0, 0]);
  expect(stack.logLines.filter((line) => line.includes('cannot be opened'))).toEqual([]);
}, 60_000);

it('F34: after the rotation, renewed tokens are pushed as before', async () => {
  const client = await stack.client('ops');
  await client.source(RENEWED[0] ?? '').get();
  await eventually(() => client.stats().pushes > 0, { what: 'a push', withinMs: LIFE_MS * (1 - AHEAD) + 1_500 });
});
