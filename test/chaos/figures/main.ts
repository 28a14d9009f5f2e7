import { parseArgs } from 'node:util';
import { measureRevocations, share, type RevocationFigures } from './revocation-figures.js';

/**
 * Measures how fast a revocation reaches near caches, on real servers on this machine:
 *
 *   npm run figures:revocation -- [--json] [--rounds 20] [--cut-rounds 3]
 *
 * Progress goes to standard error where that is a terminal. Exit code 1: a near cache served beyond its bound.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '20' },
    'cut-rounds': { type: 'string', default: '3' },
    'near-caches': { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
  },
});

const options = {
  tickMs: 1_000,
  nearCaches: Number(values['near-caches']),
  processes: 4,
  rounds: Number(values.rounds),
  cuts: 10,
  cutRounds: Number(values['cut-rounds']),
  // The default is 60 s; what is measured is how near to the bound a near cache comes, and that does not depend on it.
  maxStalenessMs: 10_000,
  lostShare: 0.1,
  seed: Number(values.seed),
};

const figures = await measureRevocations({ ...options, progress });
progress('');
const beyond = [figures.cutOff, figures.cutOffLossy].some(({ servedMs, boundMs }) => Math.max(...servedMs) > boundMs);
console.log(values.json ? JSON.stringify({ options, figures, beyond }) : summary(figures));
// What a library may have left open must not keep this process: everything that was started has been stopped.
process.exit(beyond ? 1 : 0);

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

function summary({ connected, connectedLossy, cutOff, cutOffLossy }: RevocationFigures): string {
  const lost = `${share(options.lostShare)} lost`;
  return [
    `revoked until the last of ${String(connected.nearCaches)} near caches dropped it:`,
    `${median(connected.lastDropMs)} ms (median), ${most(connected.lastDropMs)} ms (longest of ${String(options.rounds)});`,
    `with ${lost}: ${median(connectedLossy.lastDropMs)} ms, ${most(connectedLossy.lastDropMs)} ms;`,
    `served after the cut, bound ${String(cutOff.boundMs)} ms: ${most(cutOff.servedMs)} ms at most`,
    `(${String(cutOff.servedMs.length)} cuts); with ${lost}: ${most(cutOffLossy.servedMs)} ms`,
  ].join(' ');
}

function median(figures: readonly number[]): string {
  const sorted = [...figures].sort((a, b) => a - b);
  const [below = Number.NaN, above = below] = sorted.slice((sorted.length - 1) / 2, sorted.length / 2 + 1);
  return ((below + above) / 2).toFixed(1);
}

function most(figures: readonly number[]): string {
  return Math.max(...figures).toFixed(1);
}
