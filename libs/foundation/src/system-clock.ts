import type { Clock, Timer } from './clock.js';

/** The longest delay that `setTimeout` takes (2^31 - 1 ms); a longer one would fire at once. */
const LONGEST_TIMEOUT_MS = 0x7fffffff;

/** The clock of the machine. The only place, beside its peers in `libs/testing`, that reads real time. */
export function createSystemClock(): Clock {
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
      const handle = setTimeout(fire, Math.min(Math.max(0, delayMs), LONGEST_TIMEOUT_MS));
      handle.unref();
      return {
        cancel() {
          clearTimeout(handle);
        },
      };
    },
  };
}
