import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Token } from '@token-broker/client';
import { delay } from '@token-broker/foundation';
import type { Selector } from '@token-broker/protocol';
import {
  isMissing,
  isOwnDirectory,
  makePrivateDirectory,
  readPrivateFile,
  reasonOf,
  requirePrivateDirectory,
  writePrivateFile,
} from '../private-files.js';
import { entryOf, isFresh, MAX_ENTRY_BYTES, readEntry, tokenOf, writeEntry, type CacheEntry } from './cache-entry.js';
import type { CacheKey } from './cache-place.js';
import { takeFetchLock, type FetchLock, type LockContext } from './fetch-lock.js';

const POLL_MS = 50;
/** No process fetches for so long: whoever had a lock of this age has left it. */
const FORGOTTEN_LOCK_MS = 10 * 60_000;
/** `<source>.<slot>.<login>` and what is kept of it: the token, the lock, the token while it is written. */
const FILE = /^(?<source>[\w-]{1,64})\.(?<slot>[\w-]{22})\.[\w-]{22}\.(?<kind>json|lock|json\.[\w-]{22}\.tmp)$/;

export interface TokenCacheOptions extends LockContext {
  /** The directory of this user's cache. */
  readonly directory: string;
  /** How long a token is kept, beside its own life. */
  readonly ttlMs: number;
  /** Takes a line for whoever wants to know why a token was fetched. */
  readonly debug: (text: string) => void;
}

/** How a token is to be had. */
export interface Wish {
  readonly minTtlMs: number | undefined;
  /** How long to wait at most for another process that fetches it already. */
  readonly waitMs: number;
  /** How long a fetch may take at most. */
  readonly fetchMs: number;
}

/** What is dropped: as in a revocation, of one place or all of them. */
export type Dropped = Selector | { readonly place: string };

/**
 * Tokens that outlive the process, in files of this user alone. Whatever is wrong with a file or a directory, a token is
 * still to be had: it is fetched. Nothing here connects to anything.
 */
export class TokenCache {
  readonly #options: TokenCacheOptions;
  /** All tokens are below it: the directory itself may have been chosen, and shared, by people. */
  readonly #root: string;
  readonly #said = new Set<string>();

  constructor(options: TokenCacheOptions) {
    this.#options = options;
    this.#root = join(options.directory, 'tokens');
  }

  /** The token of the cache, or else the one that `fetch` gets, which is kept. Processes that start at once fetch once. */
  async obtain(key: CacheKey, wish: Wish, fetch: () => Promise<Token>): Promise<{ token: Token; isCached: boolean }> {
    const { clock } = this.#options;
    const givenUpAtMs = clock.elapsedMs() + wish.waitMs;
    let isReady = false;
    for (;;) {
      const held = await this.#read(key, wish.minTtlMs);
      if (held !== undefined) return { token: held, isCached: true };
      isReady ||= await this.#makeDirectories(key);
      const lock = isReady ? await this.#lock(key, wish.fetchMs) : 'unusable';
      if (lock === 'taken' && clock.elapsedMs() < givenUpAtMs) {
        await delay(clock, POLL_MS);
        continue;
      }
      if (lock === 'taken') this.#debug('another process has been fetching this token for too long');
      if (typeof lock === 'string') return { token: await fetch(), isCached: false };
      try {
        // Whoever had the lock before may have stored it since it was looked for.
        const stored = await this.#read(key, wish.minTtlMs);
        if (stored !== undefined) return { token: stored, isCached: true };
        const token = await fetch();
        await this.#store(key, token, lock);
        return { token, isCached: false };
      } finally {
        await lock.release().catch(() => undefined);
      }
    }
  }

  /**
   * Drops what the cache has, and what fetches that are under way in other processes would put there.
   *
   * @returns how many tokens went
   * @throws {Error} where a file cannot be removed
   */
  async drop(which: Dropped): Promise<number> {
    const places = 'place' in which ? [which.place] : await this.#places();
    let dropped = 0;
    for (const place of places) {
      const directory = join(this.#root, place);
      const files = (await namesIn(directory)).map((name) => ({ name, parts: FILE.exec(name)?.groups }));
      const matching = files.filter(({ parts }) => parts !== undefined && isMeant(parts, which));
      // Locks first: who finds its lock gone takes back what it stored.
      const inOrder = matching.sort(
        (a, b) => Number(b.parts?.['kind'] === 'lock') - Number(a.parts?.['kind'] === 'lock'),
      );
      for (const { name, parts } of inOrder) {
        await rm(join(directory, name), { force: true });
        if (parts?.['kind'] === 'json') dropped += 1;
      }
      if (matching.length === files.length) await rmdir(directory).catch(() => undefined);
    }
    return dropped;
  }

  async #read(key: CacheKey, minTtlMs: number | undefined): Promise<Token | undefined> {
    const { clock, ttlMs } = this.#options;
    const path = this.#pathOf(key, 'json');
    let entry: CacheEntry | undefined;
    try {
      for (const directory of [this.#root, join(this.#root, key.place)]) await requirePrivateDirectory(directory);
      const text = await readPrivateFile(path, MAX_ENTRY_BYTES);
      if (text === undefined) return undefined;
      entry = readEntry(text, key);
    } catch (error) {
      if (!isMissing(error)) this.#debug(`${path} is ignored (${reasonOf(error)})`);
      return undefined;
    }
    if (entry === undefined) {
      this.#debug(`${path} is ignored (it holds no token of this request)`);
      return undefined;
    }
    const wallMs = clock.wallMs();
    if (isFresh(entry, { wallMs, ttlMs, minTtlMs })) return tokenOf(entry, wallMs);
    return undefined;
  }

  async #store(key: CacheKey, token: Token, lock: FetchLock): Promise<void> {
    const { clock, ttlMs, random } = this.#options;
    const wallMs = clock.wallMs();
    const entry = entryOf(key, token, wallMs);
    // What a broker without Redis says is for one use.
    if (!token.verified || !isFresh(entry, { wallMs, ttlMs, minTtlMs: undefined })) return;
    const path = this.#pathOf(key, 'json');
    try {
      await this.#sweep(wallMs).catch(() => undefined);
      if (!(await lock.isHeld())) return;
      await writePrivateFile(path, writeEntry(entry), random, wallMs);
      // It was revoked, or logged out, between the two: whoever did that looked before this was there.
      if (!(await lock.isHeld())) await rm(path, { force: true });
    } catch (error) {
      this.#debug(`${path} cannot be written (${reasonOf(error)})`);
    }
  }

  /** Removes what no run has use for: nobody else would, where a token is asked for once. */
  async #sweep(wallMs: number): Promise<void> {
    for (const place of await this.#places()) {
      const directory = join(this.#root, place);
      for (const name of (await namesIn(directory)).filter((name) => FILE.test(name))) {
        const path = join(directory, name);
        const stats = await lstat(path).catch(() => undefined);
        const keptMs = name.endsWith('.lock') ? FORGOTTEN_LOCK_MS : this.#options.ttlMs;
        if (stats !== undefined && wallMs - stats.mtimeMs >= keptMs) await rm(path, { force: true });
      }
    }
  }

  async #makeDirectories({ place }: CacheKey): Promise<boolean> {
    try {
      for (const directory of [this.#root, join(this.#root, place)]) await makePrivateDirectory(directory);
      return true;
    } catch (error) {
      this.#debug(`${this.#root} cannot be used (${reasonOf(error)})`);
      return false;
    }
  }

  async #lock(key: CacheKey, fetchMs: number): Promise<FetchLock | 'taken' | 'unusable'> {
    try {
      return (await takeFetchLock(this.#pathOf(key, 'lock'), fetchMs, this.#options)) ?? 'taken';
    } catch (error) {
      this.#debug(`${this.#root} cannot be written (${reasonOf(error)})`);
      return 'unusable';
    }
  }

  /** The same is said once in a run. */
  #debug(text: string): void {
    if (!this.#said.has(text)) this.#options.debug(`cache: ${text}`);
    this.#said.add(text);
  }

  async #places(): Promise<string[]> {
    return (await namesIn(this.#root)).filter((name) => /^[\w-]{22}$/.test(name));
  }

  #pathOf({ place, source, slot, login }: CacheKey, kind: 'json' | 'lock'): string {
    return join(this.#root, place, `${source}.${slot}.${login}.${kind}`);
  }
}

/** Nothing is looked for, or removed, behind a link or in what belongs to somebody else: no token is read there either. */
async function namesIn(directory: string): Promise<string[]> {
  return (await isOwnDirectory(directory)) ? readdir(directory) : [];
}

function isMeant(parts: Readonly<Record<string, string>>, which: Dropped): boolean {
  // What is meant by a token, a subject or a caller is not written on a file: all that may be is dropped.
  if ('source' in which && which.source !== undefined) return parts['source'] === which.source;
  return 'slot' in which ? parts['slot'] === which.slot : true;
}
