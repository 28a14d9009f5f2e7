import { writeSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Loaded before a broker (`--import`, with `--expose-gc`): at SIGUSR2 it prints how much memory is in use after a collection,
 * and from there until the next SIGUSR2 it watches the event loop. That one prints for how long the loop could do nothing
 * else, at most. What watches costs processor time, so it never runs unasked.
 */
const loop = monitorEventLoopDelay({ resolution: 1 });
let watching = false;
let reports = 0;

process.on('SIGUSR2', () => {
  reports++;
  if (watching) {
    loop.disable();
    writeSync(1, `report ${String(reports)} ${String(loop.max / 1e6)}\n`);
  } else {
    globalThis.gc?.();
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    writeSync(1, `report ${String(reports)} ${String(heapUsed + external)}\n`);
    loop.reset();
    loop.enable();
  }
  watching = !watching;
});
