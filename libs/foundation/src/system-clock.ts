import type { Clock, Timer } from './clock.js';

/** The longest delay that `setTimeout` takes (2^31 - 1 ms, 24.8 days); a longer one would fire at once, so it is waited in steps. */
const LONGEST_TIMEOUT_MS = 0x7fffffff;

/** The clock of the machine. The only place, beside its peers in `libs/testing`, that reads real time. */
export function createSystemClock(): Clock {
  // The global is a getter, which takes as long as the reading itself.
  const { performance } = globalThis;
  let elapsedMs = 0;
  let lastMonotonicMs = performance.now();
  let lastWallMs = Date.now();
  return {
    wallMs: () => Date.now(),
    elapsedMs() {
      const monotonicMs = performance.now();
      const wallMs = Date.now();
      elapsedMs += Math.max(0, monotonicMs - lastMonotonicMs, Math.floor(wallMs - lastWallMs - 1));
      lastMonotonicMs = monotonicMs;
      lastWallMs = wallMs;
      return elapsedMs;
    },
    startTimer(delayMs, fire): Timer {
      let leftMs = Math.max(0, delayMs);
      // `setTimeout` takes no less than a millisecond.
      if (leftMs === 0) {
        const soon = setImmediate(fire).unref();
        return {
          cancel() {
            clearImmediate(soon);
          },
        };
      }
      let handle: NodeJS.Timeout;
      const arm = (): void => {
        const stepMs = Math.min(leftMs, LONGEST_TIMEOUT_MS);
        leftMs -= stepMs;
        handle = setTimeout(leftMs > 0 ? arm : fire, stepMs);
        handle.unref();
      };
      arm();
      return {
        cancel() {
          clearTimeout(handle);
        },
      };
    },
  };
}
