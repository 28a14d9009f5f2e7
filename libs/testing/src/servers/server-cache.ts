import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { unpackDebianPackage } from './debian-packages.js';
import { findUnpacked } from './executable-search.js';
import type { Executable, Report, ServerName } from './server-place.js';

/** `$XDG_CACHE_HOME/token-broker/servers/<platform>`, or the same below `~/.cache`. */
function serverCacheDirectory(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const configured = environment['XDG_CACHE_HOME'];
  const base = configured === undefined || configured === '' ? join(homedir(), '.cache') : configured;
  return join(base, 'token-broker', 'servers', `${process.platform}-${process.arch}`);
}

/** Finds a server that an earlier {@link fillCache} put into the cache. */
export function findCached(name: ServerName, cache = serverCacheDirectory()): Promise<Executable | undefined> {
  return findUnpacked(name, join(cache, name));
}

/** Fills `directory` with a server's files as they lie in a system: `usr/bin/…`, `bin/…`. */
export type Unpack = (name: ServerName, directory: string, scratch: string, report: Report) => Promise<void>;

/**
 * Downloads a server into the cache. Any number of processes may do so at once: each fills a directory of its own, the
 * first to finish moves it into place, and the others take what they find there.
 *
 * @throws {Error} where the download fails, or what came down does not run
 */
export async function fillCache(
  name: ServerName,
  report: Report,
  unpack: Unpack = unpackDebianPackage,
  cache = serverCacheDirectory(),
): Promise<Executable> {
  const scratch = join(cache, `.${name}-${String(process.pid)}-${randomBytes(4).toString('hex')}`);
  await mkdir(scratch, { recursive: true });
  try {
    const fresh = join(scratch, 'root');
    await unpack(name, fresh, join(scratch, 'archives'), report);
    if ((await findUnpacked(name, fresh)) === undefined) throw new Error(`the downloaded ${name} does not run here`);
    await moveIntoPlace(name, fresh, cache, scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const found = await findCached(name, cache);
  if (found === undefined) throw new Error(`${name} vanished from ${cache}`);
  report(`${name}: ready in ${cache}`);
  return found;
}

async function moveIntoPlace(name: ServerName, fresh: string, cache: string, scratch: string): Promise<void> {
  const place = join(cache, name);
  try {
    await rename(fresh, place);
    return;
  } catch (error) {
    if (!isOccupied(error)) throw error;
  }
  // Another process was faster, or an older system left a server that does not run any more.
  if ((await findCached(name, cache)) !== undefined) return;
  await rename(place, join(scratch, 'broken')).catch(() => undefined);
  await rename(fresh, place).catch((error: unknown) => {
    if (!isOccupied(error)) throw error;
  });
}

function isOccupied(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST');
}
