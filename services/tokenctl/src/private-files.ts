import { constants, type Stats } from 'node:fs';
import { chmod, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { randomId, type Random } from '@token-broker/foundation';

// Files that hold secrets, in directories of this user alone. What somebody else may have put or read there counts as not
// there: a link to elsewhere, a foreign owner, rights of others.

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const OF_OTHERS = 0o077;

/** The file or directory is there, but not as this program leaves it. The message names no content. */
class NotPrivate extends Error {}

/** Says in few words why a file could not be used: an error code of the file system, or what is wrong with its rights. */
export function reasonOf(error: unknown): string {
  if (error instanceof NotPrivate) return error.message;
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/**
 * The text of a file that only this user can read, or `undefined` where there is none.
 *
 * @throws {Error} for a link, a foreign owner, rights of others, or more than `maxBytes`; {@link reasonOf} puts it in words
 */
export async function readPrivateFile(path: string, maxBytes: number): Promise<string | undefined> {
  let file;
  try {
    // A pipe that somebody put there would be waited for without an end.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new NotPrivate('it is no file');
    requirePrivate(stats);
    if (stats.size > maxBytes) throw new NotPrivate('it is too large');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** @throws {Error} unless the directory is this user's, no link, and closed to others */
export async function requirePrivateDirectory(path: string): Promise<void> {
  const stats = await lstat(path);
  if (!stats.isDirectory()) throw new NotPrivate('it is no directory');
  requirePrivate(stats);
}

/** Whether it is a directory of this user, and no link. What others have put elsewhere is none of our business. */
export async function isOwnDirectory(path: string): Promise<boolean> {
  try {
    const stats = await lstat(path);
    requireOwn(stats);
    return stats.isDirectory();
  } catch (error) {
    if (isMissing(error) || error instanceof NotPrivate) return false;
    throw error;
  }
}

/** Makes a directory with all above it where it is missing, and takes the rights of others away from one of this user. */
export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
  const stats = await lstat(path);
  if (!stats.isDirectory()) throw new NotPrivate('it is no directory');
  requireOwn(stats);
  if (isOpenToOthers(stats)) await chmod(path, DIRECTORY_MODE);
}

/**
 * Writes a file so that a reader, or a crash in the middle, sees the one before or the new one, and nothing between.
 *
 * @param wallMs becomes its time of change
 */
export async function writePrivateFile(path: string, text: string, random: Random, wallMs: number): Promise<void> {
  const unfinished = `${path}.${randomId(random)}.tmp`;
  try {
    const file = await open(unfinished, 'wx', FILE_MODE);
    try {
      await file.writeFile(text);
      await file.utimes(wallMs / 1_000, wallMs / 1_000);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw error;
  }
}

function requirePrivate(stats: Stats): void {
  requireOwn(stats);
  if (isOpenToOthers(stats)) throw new NotPrivate('others may read or write it');
}

function requireOwn({ uid }: Stats): void {
  // Where there are no user ids (Windows), the profile's own access list protects it.
  const own = process.getuid?.();
  if (own !== undefined && uid !== own) throw new NotPrivate('it belongs to another user');
}

function isOpenToOthers({ mode }: Stats): boolean {
  return process.getuid !== undefined && (mode & OF_OTHERS) !== 0;
}
