import { afterEach, expect, it } from 'vitest';
import { delay } from './clock.js';
import { createSystemClock } from './system-clock.js';
import { Ticker } from './system-ticker.js';

/** Reads that are worth a worker, and more. */
const MANY = 5_000;
/** A worker that is given its turn within this is well. Tests share their cores. */
const LATE_MS = 400;
const EARLY_MS = 20;

const system = createSystemClock();
let reads = 0;
/** The machine's clock, with its reads counted. */
const clock = {
  ...system,
  elapsedMs: () => {
    reads++;
    return system.elapsedMs();
  },
};
const tickers: Ticker[] = [];
afterEach(() => {
  for (const ticker of tickers.splice(0)) ticker.close();
});

function createTicker(): Ticker {
  const ticker = new Ticker(clock);
  tickers.push(ticker);
  return ticker;
}

function readMany(ticker: Ticker): number {
  const before = reads;
  for (let i = 0; i < MANY; i++) ticker.nowMs();
  return reads - before;
}

/** Reads until the worker is what is read. */
async function untilItTicks(ticker: Ticker): Promise<void> {
  const untilMs = system.elapsedMs() + 10_000;
  while (readMany(ticker) > MANY / 2) {
    if (system.elapsedMs() > untilMs) throw new Error('the worker has not ticked within 10 s');
    await delay(system, 1);
  }
}

/** The event loop does nothing else meanwhile. */
function block(forMs: number, act: () => void): void {
  const untilMs = system.elapsedMs() + forMs;
  while (system.elapsedMs() < untilMs) act();
}

it('reads the clock for those who seldom ask, and starts no worker for them', async () => {
  const ticker = createTicker();
  for (let i = 0; i < 100; i++) {
    const before = reads;
    ticker.nowMs();
    expect(reads).toBe(before + 1);
    await delay(system, 1);
  }
});

it('is read without the clock once it is hot', async () => {
  const ticker = createTicker();
  await untilItTicks(ticker);
  expect(readMany(ticker)).toBeLessThan(MANY / 2);
});

it('is right also while the event loop is blocked, and rather early than late', async () => {
  const ticker = createTicker();
  await untilItTicks(ticker);
  const errors: number[] = [];
  block(1_000, () => {
    const [before, read, after] = [system.elapsedMs(), ticker.nowMs(), system.elapsedMs()];
    errors.push(read < before ? read - before : Math.max(0, read - after));
  });
  expect(errors.reduce((least, error) => Math.min(least, error), 0)).toBeGreaterThan(-LATE_MS);
  expect(errors.reduce((most, error) => Math.max(most, error), 0)).toBeLessThanOrEqual(EARLY_MS + 1);
});

it('reads the clock again when the worker has gone to sleep, and wakes it', async () => {
  const ticker = createTicker();
  await untilItTicks(ticker);
  // It looks by itself whether it was read: for more than a second, nobody does.
  block(1_500, () => undefined);
  const before = reads;
  const [read, now] = [ticker.nowMs(), system.elapsedMs()];
  expect(reads).toBe(before + 1);
  expect(Math.abs(now - read)).toBeLessThan(EARLY_MS);
  await untilItTicks(ticker);
});

it('reads the clock when it is closed', async () => {
  const ticker = createTicker();
  await untilItTicks(ticker);
  ticker.close();
  expect(readMany(ticker)).toBe(MANY);
});
