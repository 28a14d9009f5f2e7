import { formatDuration, type Timer } from '@token-broker/foundation';
import type { Surroundings } from '../surroundings.js';

const TICK_MS = 1_000;

/** Says what is waited for, and on a terminal for how long already. Returns what ends it. */
export function showWaiting({ stderr, clock }: Surroundings, awaited: string, limitMs: number): () => void {
  const text = `Waiting for ${awaited}, at most ${formatDuration(limitMs)}`;
  if (!stderr.isTTY) {
    stderr.write(`${text}.\n`);
    return () => undefined;
  }
  const startedAtMs = clock.elapsedMs();
  let timer: Timer;
  const tick = (): void => {
    stderr.write(`\r${text} (${String(Math.round((clock.elapsedMs() - startedAtMs) / 1_000))} s)`);
    timer = clock.startTimer(TICK_MS, tick);
  };
  tick();
  return () => {
    timer.cancel();
    stderr.write('\r\u001b[K');
  };
}
