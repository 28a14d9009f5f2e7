/**
 * Preloaded into a broker (`node --import`), as the variable FAULT says:
 *
 * - `at-signal:block:5000`: SIGUSR2 blocks the event loop for 5,000 ms.
 * - `at-token-reply:kill`, `…:stop`, `…:block:5000`: SIGUSR2 arms it. When the body of the next reply of a token endpoint
 *   has been read, and before the broker sees it, the process is killed, stopped, or blocked.
 */
import { subscribe } from 'node:diagnostics_channel';

const [when, what, blockMs] = (process.env.FAULT ?? '').split(':');
const cell = new Int32Array(new SharedArrayBuffer(4));
let armed = false;

function block(ms) {
  Atomics.wait(cell, 0, 0, ms);
}

function act() {
  process.stderr.write(`fault: ${what}\n`);
  if (what === 'block') block(Number(blockMs));
  if (what === 'kill') process.kill(process.pid, 'SIGKILL');
  if (what === 'stop') process.kill(process.pid, 'SIGSTOP');
  // A signal may be taken by another thread first: nothing may happen in this one until it has been.
  block(50);
}

process.on('SIGUSR2', () => {
  if (when === 'at-signal') act();
  else {
    armed = true;
    process.stderr.write('fault: armed\n');
  }
});

subscribe('undici:request:trailers', ({ request }) => {
  if (!armed || request.method !== 'POST') return;
  armed = false;
  act();
});
