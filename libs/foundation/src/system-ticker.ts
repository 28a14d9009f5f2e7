import { Worker } from 'node:worker_threads';
import type { Clock } from './clock.js';

/** How often the worker writes the time. */
const TICK_MS = 10;
/** Added to what it wrote: what is read is early rather than late, and lifetimes end too soon rather than too late. */
const EARLY_MS = 2 * TICK_MS;
/** The worker sleeps when nobody has read for so long. */
const IDLE_MS = 1_000;
/** So many reads within a second are worth a worker; fewer are not. */
const HOT_READS = 1_000;
const SECOND_MS = 1_000;
/** How often this thread looks whether the worker still ticks. */
const LOOK_EVERY_MS = 250;
/** A wall clock that has run ahead of the monotonic one by this, between two ticks: the machine was suspended. */
const JUMP_MS = 100;

/**
 * Cells of the shared memory. `HALTED`: 1, the worker sleeps, or is about to; what it wrote is not a number then. `READ`: 1,
 * somebody has read. `BEATS`: ticks so far. `PAUSE`: always 0, to wait at.
 */
const [HALTED, READ, BEATS, CELLS] = [0, 1, 2, 4] as const;

/** What the worker runs. A text, so that a bundled application has no further file to ship. */
const PROGRAM = `
const { cells, ticks, tickMs, idleMs, jumpMs } = require('node:worker_threads').workerData;
const [HALTED, READ, BEATS, PAUSE] = [0, 1, 2, 3];
const [s, ns] = process.hrtime();
const origin = s * 1e3 + ns / 1e6 - performance.now();
const nowMs = () => origin + performance.now();
let mono = nowMs(), wall = Date.now(), readAt = mono;
for (;;) {
  if (Atomics.load(cells, HALTED) === 1) {
    Atomics.wait(cells, HALTED, 1);
    mono = readAt = nowMs();
    wall = Date.now();
  }
  Atomics.wait(cells, PAUSE, 0, tickMs);
  const [wasMono, wasWall] = [mono, wall];
  mono = nowMs();
  wall = Date.now();
  if (Atomics.exchange(cells, READ, 0) === 1) readAt = mono;
  Atomics.add(cells, BEATS, 1);
  if (wall - wasWall - (mono - wasMono) > jumpMs || mono - readAt > idleMs) {
    // In this order: a reader that sees no number may wake it at once, and must not be taken for one who came before.
    Atomics.store(cells, HALTED, 1);
    ticks[0] = NaN;
  } else ticks[0] = mono;
}
`;

/**
 * The time of a clock for those who read it a million times a second. A worker writes it into shared memory, so that a read
 * costs a few nanoseconds where the clocks of the machine cost about a hundred, and is right also while this thread is
 * blocked: a variable that a timer sets is not. The worker is started by the first thousand reads within a second, and sleeps
 * while nobody reads. Where it is not there, sleeps, or has fallen behind, the clock itself is read.
 */
export class Ticker {
  readonly #clock: Clock;
  readonly #cells = new Int32Array(new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT));
  readonly #ticks = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  #worker: Worker | undefined;
  /** Closed, or in a runtime without workers, or its worker has died. */
  #isOver = false;
  /** Reads of the clock since then. */
  #sinceMs = Number.NEGATIVE_INFINITY;
  #reads = 0;
  /** It runs, and has ticked when that was looked at last. */
  #isTicking = false;
  /** What is to be added to the worker's time; not a number while it does not tick. */
  #aheadMs = Number.NaN;
  #beats = 0;
  #look: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#cells[HALTED] = 1;
    this.#ticks[0] = Number.NaN;
  }

  /** Elapsed milliseconds of the clock; early by 20 ms at most while the worker ticks. */
  nowMs(): number {
    const nowMs = (this.#ticks[0] ?? 0) + this.#aheadMs;
    // One comparison for all that may be amiss: either of the two is not a number then.
    if (Number.isNaN(nowMs)) return this.#exactMs();
    this.#cells[READ] = 1;
    return nowMs;
  }

  /** Ends the worker. The clock itself is read from then on. */
  close(): void {
    const worker = this.#worker;
    this.#ended();
    void worker?.terminate();
  }

  #start(): void {
    try {
      this.#worker = this.#createWorker();
    } catch {
      this.#isOver = true;
    }
  }

  #createWorker(): Worker {
    const [cells, ticks] = [this.#cells, this.#ticks];
    const workerData = { cells, ticks, tickMs: TICK_MS, idleMs: IDLE_MS, jumpMs: JUMP_MS };
    // Nothing of the application's: neither its loaders, nor its environment.
    const resourceLimits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 };
    const worker = new Worker(PROGRAM, { eval: true, workerData, execArgv: [], env: {}, resourceLimits });
    worker.unref();
    worker.once('online', () => {
      this.#isTicking = this.#worker === worker;
    });
    for (const end of ['error', 'exit'] as const)
      worker.once(end, () => {
        if (this.#worker === worker) this.#ended();
      });
    return worker;
  }

  #ended(): void {
    this.#isOver = true;
    this.#worker = undefined;
    this.#isTicking = false;
    this.#aheadMs = Number.NaN;
    clearInterval(this.#look);
    this.#look = undefined;
  }

  /** Reads the clock. A worker that sleeps, or has seen the machine suspended, goes on from there. */
  #exactMs(): number {
    const nowMs = this.#clock.elapsedMs();
    if (this.#isTicking) {
      this.#setAhead(nowMs);
      this.#ticks[0] = monotonicMs();
      Atomics.store(this.#cells, HALTED, 0);
      Atomics.notify(this.#cells, HALTED);
      this.#look ??= setInterval(() => {
        this.#lookAfter();
      }, LOOK_EVERY_MS).unref();
    } else if (this.#worker === undefined && !this.#isOver && this.#isHot(nowMs)) this.#start();
    return nowMs;
  }

  #isHot(nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= SECOND_MS) {
      this.#sinceMs = nowMs;
      this.#reads = 0;
    }
    return ++this.#reads >= HOT_READS;
  }

  #lookAfter(): void {
    if (this.#cells[HALTED] === 1) {
      // It sleeps: whoever reads next wakes it.
      clearInterval(this.#look);
      this.#look = undefined;
      return;
    }
    const beats = Atomics.load(this.#cells, BEATS);
    // One that is given no time is not read until it ticks again.
    this.#isTicking = beats !== this.#beats;
    this.#beats = beats;
    this.#setAhead(this.#clock.elapsedMs());
  }

  #setAhead(nowMs: number): void {
    this.#aheadMs = this.#isTicking ? nowMs - monotonicMs() + EARLY_MS : Number.NaN;
  }
}

/** The same in every thread, where `performance.now()` counts from the start of each. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
