import type { SourceHandle, Token } from '@token-broker/client';
import { createSystemClock } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startProviderBed, VENDING_KEYS, type ProviderBed } from './provider-bed.js';
import type { Settings } from './stack.js';

/** A call upstream that takes long would hold the others for as long as it does; this is enough for them on a busy machine. */
const OTHERS_ANSWERED_WITHIN_MS = 10_000;
/** Of what the endpoint of AWS issues while a test looks at renewals: they come at each half of it. */
const SHORT_LIFE_MS = 6_000;

const SOURCES = ['aws', 'rds', 'program', 'vending', 'key'] as const;
const SLOW = ['slow-aws', 'slow-rds', 'slow-program', 'slow-vending'];
const clock = createSystemClock();

let bed: ProviderBed;

beforeAll(async () => {
  bed = await startProviderBed();
});
afterAll(() => bed.stop());

async function open(source: string): Promise<SourceHandle> {
  const client = await bed.stack.client('orders', { refetchOnRevoke: false });
  onTestFinished(() => client.close());
  return client.source(source);
}

async function revoke(...sources: readonly string[]): Promise<void> {
  const operator = await bed.stack.operator();
  for (const source of sources) await operator.revoke({ selector: { source }, reason: 'test' });
}

interface Change {
  readonly source: string;
  readonly to: Settings;
}

/** The sources whose tokens are others after the change, in near caches too; each with its old and its new one. */
async function changedBy({ source, to }: Change): Promise<ReadonlyMap<string, readonly [Token, Token]>> {
  const handles = await Promise.all(SOURCES.map(open));
  const before = await Promise.all(handles.map((handle) => handle.get()));
  await bed.stack.changeSource(source, to);
  const changed = new Map<string, readonly [Token, Token]>();
  const fresh = await Promise.all(SOURCES.map(open));
  for (const [index, name] of SOURCES.entries()) {
    const [old, handle, other] = [before[index], handles[index], fresh[index]];
    if (old === undefined || handle === undefined || other === undefined) throw new Error('a source was not asked');
    // Who has never held it is given what counts at once; who holds the old one drops it within a bound.
    const token = await other.get();
    if (token.generation === old.generation) continue;
    changed.set(name, [old, token]);
    await eventually(() => handle.current?.generation !== old.generation, { what: 'the old one to be dropped' });
    expect((await handle.get()).accessToken).toBe(token.accessToken);
  }
  return changed;
}

describe('K2: another setting takes another token, of that source and of those who sign with it, and of no other', () => {
  it.each<[string, Change, readonly string[]]>([
    ['aws-sts: session name', { source: 'aws', to: { sessionName: 'other' } }, ['aws', 'rds']],
    ['aws-rds-iam: user', { source: 'rds', to: { user: 'reports' } }, ['rds']],
    ['aws-rds-iam: host', { source: 'rds', to: { host: 'other.example.com' } }, ['rds']],
    ['aws-rds-iam: port', { source: 'rds', to: { port: 5433 } }, ['rds']],
    ['exec: environment', { source: 'program', to: { env: { KEY: 'one', REGION: 'eu' } } }, ['program']],
    ['static: user', { source: 'key', to: { username: 'app-green' } }, ['key']],
    ['aws-sts: timeout, which changes no token', { source: 'aws', to: { timeout: '9s' } }, []],
    ['exec: timeout, which changes no token', { source: 'program', to: { timeout: '9s' } }, []],
  ])('%s', async (_, change, expected) => {
    expect([...(await changedBy(change)).keys()]).toEqual(expected);
  });
});

describe('K5: a rotated secret takes a new token at once, and the old one is gone from near caches within a bound', () => {
  it('of aws-sts: the key of the user who assumes the role; what was signed with the credential goes with it', async () => {
    // AWS knows two keys of a user at a time.
    const rotated = { accessKeyId: 'AKIACANARY000001', secretAccessKey: 'canary/of+the/user/rotated' };
    bed.sts.keys.set(rotated.accessKeyId, rotated);
    expect([...(await changedBy({ source: 'aws', to: { credentials: rotated } })).keys()]).toEqual(['aws', 'rds']);
  });

  it('of exec: a variable of its environment', async () => {
    const changed = await changedBy({ source: 'program', to: { env: { KEY: 'two' } } });
    expect([...changed.keys()]).toEqual(['program']);
    expect(changed.get('program')?.[1].accessToken).toMatch(/^canary-token-two/);
  });

  it('of a module: one of its secrets', async () => {
    const changed = await changedBy({ source: 'vending', to: { secrets: { apiKey: VENDING_KEYS[1] } } });
    expect([...changed.keys()]).toEqual(['vending']);
  });

  it('of a static source: the value itself', async () => {
    const changed = await changedBy({ source: 'key', to: { value: 'canary-key-two' } });
    expect(changed.get('key')?.map(({ accessToken }) => accessToken)).toEqual(['canary-key-one', 'canary-key-two']);
  });
});

it('K7: calls that do not end, of each kind, delay no other source, neither of that kind nor of another', async () => {
  // All are cold, but for the value, which would stay revoked.
  await revoke('aws', 'rds', 'program', 'vending');
  bed.gate.close();
  const slow = await Promise.all(SLOW.map(open));
  let ended = 0;
  const waiting = slow.map((handle) => handle.get({ timeoutMs: 60_000 }).finally(() => ended++));
  for (const call of waiting) call.catch(() => undefined);
  // The one that signs waits for the one that lends: one call.
  await eventually(() => bed.gate.waiting() === 3, { what: 'the calls to be under way', withinMs: 15_000 });
  const startedAtMs = clock.elapsedMs();
  await Promise.all((await Promise.all(SOURCES.map(open))).map((handle) => handle.get()));
  expect(clock.elapsedMs() - startedAtMs).toBeLessThan(OTHERS_ANSWERED_WITHIN_MS);
  expect(ended).toBe(0);
  bed.gate.open();
  for (const { expiresInMs } of await Promise.all(waiting)) expect(expiresInMs).toBeGreaterThan(0);
}, 60_000);

describe('L2: in the cluster', () => {
  it('one replica renews a credential of AWS ahead, once for all, though nobody asks', async () => {
    bed.sts.will({ does: 'issue', lifeMs: SHORT_LIFE_MS });
    await revoke('warm');
    const from = bed.warmedAtMs.length;
    await eventually(() => bed.warmedAtMs.length >= from + 4, { what: 'three renewals', withinMs: 30_000 });
    const times = bed.warmedAtMs.slice(from);
    // A second replica that renews by itself would ask beside the first.
    const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(SHORT_LIFE_MS / 6);
    expect(await bed.countedCalls('warm')).toBeGreaterThanOrEqual(4);
  }, 60_000);

  it('nobody renews a static value, and nobody is called for it', async () => {
    const token = await (await open('key')).get();
    expect(await bed.countedCalls('key')).toBe(0);
    expect((await (await open('key')).get()).generation).toBe(token.generation);
  });
});

it('L3: a user that the upstream has changed is told, and only where it is another one', async () => {
  const handle = await open('vending');
  const told: string[] = [];
  handle.on('usernameChanged', ({ before, token }) => told.push(`${before ?? ''} -> ${token.username ?? ''}`));
  expect((await handle.get()).username).toBe('app-blue');
  const renewed = async (): Promise<Token> => {
    const { generation } = await handle.get();
    await revoke('vending');
    return eventually(
      async () => {
        const token = await handle.get();
        return token.generation === generation ? undefined : token;
      },
      { what: 'the next password' },
    );
  };
  expect((await renewed()).username).toBe('app-blue');
  expect(told).toEqual([]);
  bed.vending.user = 'app-green';
  expect((await renewed()).username).toBe('app-green');
  expect(told).toEqual(['app-blue -> app-green']);
});

describe('L1: a source that is removed', () => {
  async function remove(...sources: readonly string[]): Promise<void> {
    await bed.stack.rewrite((settings) => ({
      ...settings,
      sources: Object.fromEntries(
        Object.entries(settings['sources'] as Settings).filter(([name]) => !sources.includes(name)),
      ),
    }));
    await reload();
  }

  const reload = (): Promise<unknown> => Promise.all(bed.stack.brokers.map((broker) => broker.reload()));
  const upstreamCalls = (): Promise<number[]> =>
    Promise.all((['aws', 'program', 'vending'] as const).map((source) => bed.upstreamCalls(source)));

  /** The sealed credentials that Redis has of these slots; what has no credential in it only keeps one from coming back. */
  async function sealedOf(handles: readonly SourceHandle[]): Promise<string[]> {
    const redis = new Redis({ host: bed.stack.redis.host, port: bed.stack.redis.port });
    try {
      const keys = await redis.keys('*:record:*');
      const ofSlots = keys.filter((key) => handles.some(({ slot }) => key.endsWith(`:record:${slot}`)));
      const records = await Promise.all(ofSlots.map((key) => redis.hgetall(key)));
      return records.flatMap(({ sealed }) => sealed ?? []);
    } finally {
      redis.disconnect();
    }
  }

  it('while its credential is fetched: the caller is told, and what comes after it is written nowhere', async () => {
    await revoke(...SLOW);
    const slow = await Promise.all(SLOW.map(open));
    const [waiting, before] = [bed.gate.waiting(), await sealedOf(slow)];
    bed.gate.close();
    const outcomes = slow.map((handle) =>
      handle.get({ timeoutMs: 30_000 }).then(
        () => 'a token',
        (error: unknown) => (error as { code: string }).code,
      ),
    );
    await eventually(() => bed.gate.waiting() >= waiting + 3, { what: 'the calls', withinMs: 15_000 });
    await remove(...SLOW);
    bed.gate.open();
    for (const outcome of await Promise.all(outcomes)) expect(outcome).not.toBe('a token');
    for (const sealed of await sealedOf(slow)) expect(before).toContain(sealed);
  }, 60_000);

  it('of each kind: near caches drop it, nobody gets it, and nobody renews it, nor gives out the old one when it is back', async () => {
    const names = [...SOURCES, 'warm'];
    const handles = await Promise.all(names.map(open));
    const old = await Promise.all(handles.map((handle) => handle.get()));
    let removed: Settings = {};
    await bed.stack.rewrite((settings) => {
      removed = settings['sources'] as Settings;
      return { ...settings, sources: { other: { provider: 'static', value: 'canary-other' } } };
    });
    await reload();
    for (const handle of handles) {
      await eventually(() => handle.current === undefined, { what: `the near cache to drop ${handle.source}` });
      await expect(handle.get()).rejects.toMatchObject({ code: 'UNKNOWN_SOURCE' });
    }
    const calls = await upstreamCalls();
    const before = await sealedOf(handles);
    // Longer than a credential of `warm` would have lived.
    const endsAtMs = clock.elapsedMs() + SHORT_LIFE_MS;
    await eventually(() => clock.elapsedMs() > endsAtMs, {
      what: 'renewals not to come',
      withinMs: 15_000,
      everyMs: 200,
    });
    expect(await upstreamCalls()).toEqual(calls);
    for (const sealed of await sealedOf(handles)) expect(before).toContain(sealed);

    await bed.stack.rewrite((settings) => ({ ...settings, sources: removed }));
    await reload();
    for (const [index, handle] of handles.entries()) {
      const token = await eventually(() => handle.get(), { what: `${handle.source} to be back` });
      expect(token.generation).toBeGreaterThan(old[index]?.generation ?? 0);
      if (handle.source !== 'key') expect(token.accessToken).not.toBe(old[index]?.accessToken);
    }
  }, 60_000);
});

it('in all that, no secret of a source and no credential was logged', () => {
  const lines = bed.stack.logLines.join('\n');
  expect(lines).not.toContain('canary');
});
