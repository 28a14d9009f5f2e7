import { createHash } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '@token-broker/foundation';

/** So long after the last notice nothing must have come: editors and Kubernetes change a file in several steps. */
const QUIET_MS = 200;

/** Looked at anyway, since some file systems (network mounts, overlays) give no notice. */
const LOOK_ANYWAY_MS = 30_000;

/** A watch on files that ends with {@link FileWatch.close}. */
export interface FileWatch {
  /** Resolves when the watch stands: a change from then on is reported. */
  readonly started: Promise<void>;
  close(): void;
}

/**
 * Calls `onChange` with the paths whose contents differ from when they were last read: also for files that appear, vanish
 * or cannot be read any more. It compares hashes, not times: Kubernetes swaps a link to a folder, and a file that was
 * written anew with the same text is no change. `onChange` must not throw.
 *
 * Folders are watched, not files: a file that is replaced by a rename takes its watch away with it.
 */
export function watchFiles(
  paths: readonly string[],
  onChange: (changed: readonly string[]) => void,
  clock: Clock,
): FileWatch {
  const hashes = new Map<string, string>();
  const watchers = new Map<string, FSWatcher>();
  let quiet: Timer | undefined;
  let anyway: Timer | undefined;
  let closed = false;
  let looking: Promise<void> = Promise.resolve();

  const notice = (): void => {
    if (closed) return;
    quiet?.cancel();
    quiet = clock.startTimer(QUIET_MS, queueLook);
  };

  const queueLook = (): void => {
    looking = looking.then(look);
  };

  const look = async (): Promise<void> => {
    await watchFolders();
    const changed: string[] = [];
    for (const path of paths) {
      const hash = await hashOf(path);
      if (hashes.get(path) !== hash) changed.push(path);
      hashes.set(path, hash);
    }
    if (closed) return;
    anyway?.cancel();
    anyway = clock.startTimer(LOOK_ANYWAY_MS, queueLook);
    if (changed.length > 0) onChange(changed);
  };

  /** The folders of the names and of what the names lead to; the latter change when a link is swapped. */
  const watchFolders = async (): Promise<void> => {
    const folders = new Set<string>();
    for (const path of paths) {
      folders.add(dirname(path));
      const real = await realpath(path).catch(() => path);
      folders.add(dirname(real));
    }
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    if (closed) return;
    for (const folder of folders) if (!watchers.has(folder)) watchFolder(folder);
  };

  const watchFolder = (folder: string): void => {
    const forget = (): void => {
      watchers.get(folder)?.close();
      watchers.delete(folder);
    };
    try {
      const watcher = watch(folder, { persistent: false }, notice);
      watcher.on('error', () => {
        forget();
        notice();
      });
      watchers.set(folder, watcher);
    } catch {
      // The folder is not there, or the system has no watches left: looking anyway covers for it.
    }
  };

  const start = async (): Promise<void> => {
    for (const path of paths) hashes.set(path, await hashOf(path));
    // What changes between this and the watches is found by the look that follows them.
    await look();
  };
  const started = start();
  looking = started;

  return {
    started,
    close() {
      closed = true;
      quiet?.cancel();
      anyway?.cancel();
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

/** The hash of the contents; for a file that cannot be read, why not. */
async function hashOf(path: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFile(path))
      .digest('base64');
  } catch (error) {
    return `unreadable: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'}`;
  }
}
