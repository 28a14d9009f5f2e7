import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Token } from '@token-broker/client';
import { systemRandom } from '@token-broker/foundation';
import { eventually, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CacheKey } from './cache-place.js';
import { TokenCache, type Wish } from './token-cache.js';

const TTL_MS = 300_000;
const SLOT = 'abcdefghijklmnopqrstuv';
const key: CacheKey = { place: 'p'.repeat(22), login: 'l'.repeat(22), source: 'payments', slot: SLOT };
const WISH: Wish = { minTtlMs: undefined, waitMs: 10_000, fetchMs: 25_000 };

const tokenOf = (accessToken: string, changed: Partial<Token> = {}): Token => ({
  accessToken,
  tokenType: 'Bearer',
  scope: 'read',
  username: undefined,
  epoch: 1,
  generation: 7,
  verified: true,
  expiresInMs: 3_600_000,
  ...changed,
});

let directory = '';
let clock = new VirtualClock();
let fetched = 0;
let said: string[] = [];
let alive: number[] = [];

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'tokenctl-cache-')), 'token-broker');
  clock = new VirtualClock();
  [fetched, said, alive] = [0, [], [1, 2]];
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(join(directory, '..'), { recursive: true });
});

function cacheOf(processId = 1, ttlMs = TTL_MS): TokenCache {
  const process = { id: processId, host: 'this-machine', isRunning: (id: number) => alive.includes(id) };
  return new TokenCache({ directory, ttlMs, clock, random: systemRandom, process, debug: (text) => said.push(text) });
}

/** Gets the token as one run of the program does; what has to be fetched is numbered. */
async function get(wish: Partial<Wish> = {}, token = {}): Promise<string> {
  const obtained = await cacheOf().obtain(key, { ...WISH, ...wish }, () => {
    fetched += 1;
    return Promise.resolve(tokenOf(`token-${String(fetched)}`, token));
  });
  return obtained.token.accessToken;
}

const place = (): string => join(directory, 'tokens', key.place);
const pathOf = (kind: string): string => join(place(), `payments.${SLOT}.${key.login}.${kind}`);
const modeOf = async (path: string): Promise<number> => (await lstat(path)).mode & 0o777;

describe('a token on disk', () => {
  it('is fetched once, and as it was', async () => {
    await get();
    await clock.advance(60_000);
    const { token, isCached } = await cacheOf().obtain(key, WISH, () => Promise.reject(new Error('fetched')));
    expect(isCached).toBe(true);
    expect(token).toEqual(tokenOf('token-1', { expiresInMs: 3_540_000 }));
    expect(said).toEqual([]);
  });

  it('is in directories and files of this user alone, and nothing else is left there (D1)', async () => {
    await get();
    for (const path of [directory, join(directory, 'tokens'), place()]) expect(await modeOf(path)).toBe(0o700);
    expect(await modeOf(pathOf('json'))).toBe(0o600);
    expect(await readdir(place())).toEqual([`payments.${SLOT}.${key.login}.json`]);
  });

  it('counts for its time, and no longer than it lives (D5)', async () => {
    await get();
    await clock.advance(TTL_MS - 1);
    expect(await get()).toBe('token-1');
    await clock.advance(1);
    expect(await get()).toBe('token-2');
    await rm(pathOf('json'));
    await get({}, { expiresInMs: 90_000 });
    await clock.advance(60_000);
    expect(await get()).toBe('token-3');
    await clock.advance(1);
    expect(await get()).toBe('token-4');
  });

  it('is fetched where it has less life than is asked for', async () => {
    await get();
    expect(await get({ minTtlMs: 3_600_000 })).toBe('token-1');
    expect(await get({ minTtlMs: 3_600_001 })).toBe('token-2');
  });

  it('is not trusted after the clock was set back', async () => {
    await get();
    clock.jumpWall(-1);
    expect(await get()).toBe('token-2');
  });

  it.each([
    ['is not verified', { verified: false }],
    ['lives too short', { expiresInMs: 29_999 }],
  ])('is not kept where it %s', async (_why, token) => {
    await get({}, token);
    expect(await readdir(place())).toEqual([]);
    expect(await get()).toBe('token-2');
  });

  it('is not kept after a failure, and the next run asks again at once', async () => {
    await expect(cacheOf().obtain(key, WISH, () => Promise.reject(new Error('denied')))).rejects.toThrow('denied');
    expect(await readdir(place())).toEqual([]);
    expect(await get()).toBe('token-1');
  });

  it('goes when it is of no use any more, with what killed processes have left', async () => {
    await get();
    const leftovers = [pathOf('json').replace('payments', 'mailbox'), `${pathOf('json')}.${'r'.repeat(22)}.tmp`];
    for (const path of [...leftovers, join(place(), 'of-somebody-else')]) {
      await writeFile(path, 'token');
      await utimes(path, 0, 0);
    }
    await clock.advance(TTL_MS);
    await get();
    expect((await readdir(place())).sort()).toEqual(['of-somebody-else', `payments.${SLOT}.${key.login}.json`]);
  });
});

describe('a file or directory that is not as it should be (D3)', () => {
  const intact = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(pathOf('json'), 'utf8')) as Record<string, unknown>;
  const rewritten = (change: (fields: Record<string, unknown>) => object) => async (): Promise<void> =>
    writeFile(pathOf('json'), JSON.stringify(change(await intact())));

  it.each<[string, () => Promise<void>, RegExp]>([
    ['nothing', () => writeFile(pathOf('json'), ''), /no token of this request/],
    [
      'a torn text',
      async () => writeFile(pathOf('json'), (await readFile(pathOf('json'))).subarray(0, 100)),
      /no token/,
    ],
    ['null', () => writeFile(pathOf('json'), 'null'), /no token/],
    ['an array', () => writeFile(pathOf('json'), '[1]'), /no token/],
    ['bytes', () => writeFile(pathOf('json'), Buffer.from([0xff, 0xfe, 0])), /no token/],
    ['another version', rewritten((fields) => ({ ...fields, v: 2 })), /no token/],
    ['the token of another login', rewritten((fields) => ({ ...fields, login: 'o'.repeat(22) })), /no token/],
    ['the token of another slot', rewritten((fields) => ({ ...fields, slot: 'o'.repeat(22) })), /no token/],
    ['no end of its life', rewritten((fields) => ({ ...fields, expiresAtMs: '1e99' })), /no token/],
    ['a line end in the token', rewritten((fields) => ({ ...fields, accessToken: 'a\nb' })), /no token/],
    ['no type', rewritten((fields) => ({ ...fields, tokenType: 1 })), /no token/],
    ['more than a token', () => writeFile(pathOf('json'), 'x'.repeat(300_000)), /too large/],
    ['rights of others', () => chmod(pathOf('json'), 0o640), /others may read or write it/],
    [
      'a link',
      async () => {
        await rename(pathOf('json'), join(directory, 'elsewhere'));
        await symlink(join(directory, 'elsewhere'), pathOf('json'));
      },
      /ELOOP/,
    ],
  ])('is ignored, and put right: %s', async (_what, spoil, why) => {
    await get();
    await spoil();
    expect(await get()).toBe('token-2');
    expect(said).toEqual([expect.stringMatching(why)]);
    expect(said.join()).not.toContain('token-1');
    expect(await get()).toBe('token-2');
    expect(await modeOf(pathOf('json'))).toBe(0o600);
  });

  it('is not served where it is of another user', async () => {
    await get();
    vi.spyOn(process, 'getuid').mockReturnValue((process.getuid?.() ?? 0) + 1);
    expect(await get()).toBe('token-2');
    expect(said[0]).toContain('it belongs to another user');
    vi.restoreAllMocks();
    expect(await get()).toBe('token-1');
  });

  it('is closed to others where it is a directory: files in it have rights of their own', async () => {
    await get();
    await chmod(join(directory, 'tokens'), 0o777);
    expect(await get()).toBe('token-1');
    expect(await modeOf(join(directory, 'tokens'))).toBe(0o700);
    expect(said).toEqual([expect.stringContaining('others may read or write it')]);
  });

  it('is not used where a link stands for a directory', async () => {
    await mkdir(join(directory, 'elsewhere'), { recursive: true, mode: 0o700 });
    await symlink(join(directory, 'elsewhere'), join(directory, 'tokens'));
    expect([await get(), await get()]).toEqual(['token-1', 'token-2']);
    expect(await readdir(join(directory, 'elsewhere'))).toEqual([]);
    expect(said.join()).toContain('it is no directory');
    expect(await cacheOf().drop({ all: true })).toBe(0);
  });

  it('does no harm where nothing can be written', async () => {
    await writeFile(directory, 'a file in the place of the directory');
    expect([await get(), await get()]).toEqual(['token-1', 'token-2']);
    expect(said.join()).toContain('cannot be used');
  });

  it('does no harm where the token cannot be written', async () => {
    await get();
    await rm(pathOf('json'));
    await mkdir(pathOf('json'));
    expect([await get(), await get()]).toEqual(['token-2', 'token-3']);
    expect(said.join()).toContain('cannot be written (EISDIR)');
    expect(await readdir(place())).toHaveLength(1);
  });
});

describe('processes that start at once', () => {
  it('fetch once', async () => {
    let answer: (token: Token) => void = () => undefined;
    const first = cacheOf(1).obtain(key, WISH, () => new Promise((resolve) => (answer = resolve)));
    await eventually(async () => (await readdir(place())).length === 1, { what: 'the lock' });
    const second = cacheOf(2).obtain(key, WISH, () => Promise.reject(new Error('fetched twice')));
    await eventually(() => clock.pendingTimers === 1, { what: 'the second to wait' });
    answer(tokenOf('of-the-first'));
    expect((await first).isCached).toBe(false);
    await clock.advance(50);
    expect(await second).toMatchObject({ isCached: true, token: { accessToken: 'of-the-first' } });
    expect(await readdir(place())).toHaveLength(1);
  });

  it('do not wait for each other without an end', async () => {
    const first = cacheOf(1).obtain(key, WISH, () => new Promise<Token>(() => undefined));
    await eventually(async () => (await readdir(place())).length === 1, { what: 'the lock' });
    const second = cacheOf(2).obtain(key, { ...WISH, waitMs: 100 }, () => Promise.resolve(tokenOf('its-own')));
    for (let waits = 0; waits < 2; waits++) {
      await eventually(() => clock.pendingTimers === 1, { what: 'the second to wait' });
      await clock.advance(50);
    }
    expect(await second).toMatchObject({ isCached: false, token: { accessToken: 'its-own' } });
    expect(said).toEqual([expect.stringContaining('for too long')]);
    void first;
  });

  const lockOf = (host: string, id: number, forMs: number): string =>
    [host, id, clock.wallMs() + forMs, 'n'.repeat(22)].join('\n');

  it.each([
    ['ended', () => lockOf('this-machine', 9, 1_000), 'now'],
    ['had our own number', () => lockOf('this-machine', 1, 1_000), 'now'],
    ['is on another machine and took too long', () => lockOf('other', 9, 0), 'now'],
    ['ended while it wrote the lock', () => 'this-mach', 'long ago'],
  ])('take over from one that %s', async (_what, text, when) => {
    await get();
    await rm(pathOf('json'));
    await writeFile(pathOf('lock'), text());
    if (when === 'long ago') await utimes(pathOf('lock'), 0, 0);
    expect([await get(), await get()]).toEqual(['token-2', 'token-2']);
  });

  it('store nothing once their lock was taken away', async () => {
    const { token } = await cacheOf(1).obtain(key, WISH, async () => {
      await rm(pathOf('lock'));
      return tokenOf('late');
    });
    expect(token.accessToken).toBe('late');
    expect(await readdir(place())).toEqual([]);
  });
});

describe('dropping', () => {
  const names = ['payments', 'mailbox'];

  beforeEach(async () => {
    for (const source of names)
      for (const where of ['p', 'q'])
        await cacheOf().obtain({ ...key, source, place: where.repeat(22) }, WISH, () => Promise.resolve(tokenOf('x')));
  });

  const left = async (): Promise<string[]> =>
    (await readdir(join(directory, 'tokens'), { recursive: true })).filter((name) => name.endsWith('.json'));

  it.each([
    [{ source: 'payments' }, 2],
    [{ source: 'pay' }, 0],
    [{ slot: SLOT }, 4],
    [{ slot: 'o'.repeat(22) }, 0],
    [{ all: true as const }, 4],
    [{ place: 'q'.repeat(22) }, 2],
  ])('%j takes %i of 4', async (which, count) => {
    expect(await cacheOf().drop(which)).toBe(count);
    expect(await left()).toHaveLength(4 - count);
  });

  it('takes what a fetch that is under way would have stored', async () => {
    await cacheOf().drop({ all: true });
    await cacheOf().obtain(key, WISH, async () => {
      await cacheOf(2).drop({ source: 'payments' });
      return tokenOf('revoked');
    });
    expect(await left()).toEqual([]);
  });

  it('finds nothing where there is no cache', async () => {
    await rm(directory, { recursive: true });
    expect(await cacheOf().drop({ all: true })).toBe(0);
  });
});
