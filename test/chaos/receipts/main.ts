import { parseArgs } from 'node:util';
import { measureReceipts, type ReceiptRound } from './receipt-figures.js';
import { measureSearches, type SearchFigures } from './search-figures.js';

/**
 * Measures what receipts of many near caches, and revocations of many slots, cost the broker that collects them, on real
 * servers on this machine:
 *
 *   npm run figures:receipts -- [--json] [--near-caches 100,1000,10000] [--rounds 10] [--slots 10000]
 *
 * Progress goes to standard error where that is a terminal.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    'near-caches': { type: 'string', default: '100,1000,10000' },
    rounds: { type: 'string', default: '10' },
    slots: { type: 'string', default: '10000' },
  },
});

const receipts: { readonly nearCaches: number; readonly silent: number; readonly rounds: readonly ReceiptRound[] }[] =
  [];
const sizes = values['near-caches']
  .split(',')
  .filter((text) => text !== '')
  .map(Number);
for (const [nearCaches, silent, rounds] of [
  ...sizes.map((size) => [size, 0, Number(values.rounds)] as const),
  ...sizes.slice(-1).map((size) => [size, size / 5, 1] as const),
]) {
  const connections = Math.min(50, nearCaches);
  const measured = await measureReceipts({ nearCaches, connections, processes: 2, rounds, silent, progress });
  receipts.push({ nearCaches, silent, rounds: measured });
}
const slots = Number(values.slots);
const searches = slots > 0 ? await measureSearches({ slots, progress }) : undefined;
progress('');
console.log(values.json ? JSON.stringify({ receipts, searches }) : summary());
// What a library may have left open must not keep this process: everything that was started has been stopped.
process.exit(0);

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

function summary(): string {
  const lines = receipts.map(({ nearCaches, silent, rounds }) => {
    const most = (of: (round: ReceiptRound) => number): string => Math.max(...rounds.map(of)).toFixed(1);
    const median = (of: (round: ReceiptRound) => number): string => middle(rounds.map(of)).toFixed(1);
    return [
      `${String(nearCaches)} near caches, ${String(silent)} silent: confirmed ${most(({ counts }) => counts.confirmed)};`,
      `reply after ${median(({ tookMs }) => tookMs)} ms (most ${most(({ tookMs }) => tookMs)});`,
      `receipts p50 ${median(({ afterMs }) => afterMs.p50)}, p99 ${median(({ afterMs }) => afterMs.p99)},`,
      `max ${median(({ afterMs }) => afterMs.max)} ms (most ${most(({ afterMs }) => afterMs.max)});`,
      `event loop blocked ${median(({ blockedMs }) => blockedMs)} ms (most ${most(({ blockedMs }) => blockedMs)}),`,
      `idle ${median(({ idleBlockedMs }) => idleBlockedMs)} ms;`,
      `processor ${median(({ processorMs }) => processorMs)} ms; reply of ${most(({ replyBytes }) => replyBytes)} bytes`,
    ].join(' ');
  });
  return [...lines, ...(searches === undefined ? [] : searchLines(searches))].join('\n');
}

function searchLines(figures: SearchFigures): string[] {
  return Object.entries(figures).map(
    ([what, { slots: count, tookMs, blockedMs }]) =>
      `${what}: ${String(count)} slots in ${tookMs.toFixed(0)} ms, event loop blocked ${blockedMs.toFixed(1)} ms at most`,
  );
}

function middle(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}
