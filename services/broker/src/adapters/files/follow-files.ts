import type { Clock } from '@token-broker/foundation';
import { watchFiles, type FileWatch } from './watch-files.js';

/** A watch on files that change with what is in them: a configuration names others, and other ones tomorrow. */
export interface FollowedFiles {
  /** Resolves when the first watch stands. */
  readonly started: Promise<void>;
  /**
   * From now on these; with `isWhole: false`, since it could not be read what there are in all, beside those of before.
   * Where one is new, `onChange` is called once its watch stands: it may have changed before.
   */
  follow(paths: readonly string[], isWhole: boolean): void;
  close(): void;
}

/** Watches `paths` ({@link watchFiles}), and later those that it is told to follow. */
export function followFiles(paths: readonly string[], onChange: () => void, clock: Clock): FollowedFiles {
  let watched = new Set(paths);
  let watch: FileWatch = watchFiles(paths, onChange, clock);
  let isClosed = false;
  return {
    started: watch.started,
    follow(next, isWhole) {
      const wanted = new Set(isWhole ? next : [...watched, ...next]);
      const added = [...wanted].some((path) => !watched.has(path));
      if (isClosed || (!added && wanted.size === watched.size)) return;
      const former = watch;
      const current = watchFiles([...wanted], onChange, clock);
      watch = current;
      watched = wanted;
      former.close();
      if (!added) return;
      void current.started.then(() => {
        if (watch === current && !isClosed) onChange();
      });
    },
    close() {
      isClosed = true;
      watch.close();
    },
  };
}
