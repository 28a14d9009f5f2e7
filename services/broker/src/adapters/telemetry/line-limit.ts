import type { Clock } from '@token-broker/foundation';

/** Lines of one message within one window, before the rest is only counted. */
const LINES_PER_WINDOW = 20;

const WINDOW_MS = 10_000;

/** Messages that are told apart at the same time. They are fixed texts of the source, so this is never reached. */
const MAX_MESSAGES = 1_000;

/** Bounds the lines of each message: an outage at a high request rate must not become an outage of the disk. */
export interface LineLimit {
  /** Whether a line of this message may be written now. If not, it is counted. */
  admit(message: string): boolean;
  /** Says now what was left out. */
  flush(): void;
}

/** `summarise` is called at the end of a window in which lines were left out. */
export function createLineLimit(clock: Clock, summarise: (message: string, leftOut: number) => void): LineLimit {
  const windows = new Map<string, { written: number; leftOut: number }>();

  const close = (message: string): void => {
    const window = windows.get(message);
    windows.delete(message);
    if (window !== undefined && window.leftOut > 0) summarise(message, window.leftOut);
  };

  return {
    admit(message) {
      const name = windows.has(message) || windows.size < MAX_MESSAGES ? message : '(other messages)';
      let window = windows.get(name);
      if (window === undefined) {
        window = { written: 0, leftOut: 0 };
        windows.set(name, window);
        const opened = window;
        clock.startTimer(WINDOW_MS, () => {
          if (windows.get(name) === opened) close(name);
        });
      }
      if (window.written < LINES_PER_WINDOW) {
        window.written += 1;
        return true;
      }
      window.leftOut += 1;
      return false;
    },
    flush() {
      for (const message of [...windows.keys()]) close(message);
    },
  };
}
