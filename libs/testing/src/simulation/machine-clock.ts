import type { Clock, Timer } from '@token-broker/foundation';
import type { EventLoop, Scheduled } from './event-loop.js';

/** 2026-01-01T00:00:00Z: a wall time that is plainly not that of the machine that simulates. */
const WALL_START_MS = Date.UTC(2026, 0, 1);

interface PendingTimer {
  /** On the monotonic clock. */
  readonly dueMs: number;
  readonly fire: () => void;
  scheduled: Scheduled | undefined;
}

/**
 * The clocks of one simulated machine: they drift, the wall clock jumps, and during suspend the monotonic one stands still
 * while the wall clock goes on. Elapsed time is made of both by the rule of the system's clock.
 */
export class MachineClock implements Clock {
  readonly #loop: EventLoop;
  readonly #rate: number;
  /** Whatever wakes the machine passes through here: a process that is stopped is not woken. */
  readonly #wake: (fire: () => void) => void;
  readonly #timers = new Set<PendingTimer>();
  /** True time of the last jump, or of the end of the last sleep. */
  jumpedAtMs: number | undefined;
  #suspendedAtMs: number | undefined;
  /** True time that was spent suspended. */
  #suspendedMs = 0;
  #wallAheadMs = 0;
  #elapsedMs = 0;
  #lastMonotonicMs = 0;
  #lastWallMs = WALL_START_MS;
  #hasSleptUnseen = false;
  #wasSetBackUnseen = false;

  /** @param rate its time per true time: 1.001 is a second ahead after 1,000 s */
  constructor(loop: EventLoop, rate = 1, wake: (fire: () => void) => void = (fire) => fire()) {
    this.#loop = loop;
    this.#rate = rate;
    this.#wake = wake;
    this.#lastMonotonicMs = this.monotonicMs();
    this.#lastWallMs = this.wallMs();
  }

  get isSuspended(): boolean {
    return this.#suspendedAtMs !== undefined;
  }

  /**
   * It has slept since the process last looked at its clocks. A wall clock that is set back before it looks again hides that
   * sleep: neither clock has gone on.
   */
  get hasSleptUnseen(): boolean {
    return this.#hasSleptUnseen;
  }

  /** Its wall clock was set back since the process last looked: it would hide a sleep that comes before the next look. */
  get wasSetBackUnseen(): boolean {
    return this.#wasSetBackUnseen;
  }

  wallMs(): number {
    return Math.floor(WALL_START_MS + this.#loop.nowMs * this.#rate + this.#wallAheadMs);
  }

  elapsedMs(): number {
    const monotonicMs = this.monotonicMs();
    const wallMs = this.wallMs();
    this.#elapsedMs += Math.max(0, monotonicMs - this.#lastMonotonicMs, Math.floor(wallMs - this.#lastWallMs - 1));
    this.#lastMonotonicMs = monotonicMs;
    this.#lastWallMs = wallMs;
    this.#hasSleptUnseen = this.isSuspended;
    this.#wasSetBackUnseen = false;
    return this.#elapsedMs;
  }

  /** Time that the machine was awake. */
  monotonicMs(): number {
    const untilMs = this.#suspendedAtMs ?? this.#loop.nowMs;
    return (untilMs - this.#suspendedMs) * this.#rate;
  }

  startTimer(delayMs: number, fire: () => void): Timer {
    // Whole milliseconds, and one at least: as Node's timers are.
    const dueMs = this.monotonicMs() + Math.max(1, Math.trunc(delayMs));
    const timer: PendingTimer = { dueMs, fire, scheduled: undefined };
    this.#timers.add(timer);
    if (!this.isSuspended) this.#schedule(timer);
    return {
      cancel: () => {
        this.#timers.delete(timer);
        timer.scheduled?.cancel();
      },
    };
  }

  /** Sets the wall clock on, or back where negative. */
  jumpWall(ms: number): void {
    this.#wallAheadMs += ms;
    if (ms < 0) this.#wasSetBackUnseen = true;
    this.jumpedAtMs = this.#loop.nowMs;
  }

  /** The machine sleeps: timers stand still, and the wall clock does not. */
  suspend(): void {
    if (this.isSuspended) return;
    this.#suspendedAtMs = this.#loop.nowMs;
    this.#hasSleptUnseen = true;
    for (const timer of this.#timers) timer.scheduled?.cancel();
  }

  resume(): void {
    if (this.#suspendedAtMs === undefined) return;
    this.#suspendedMs += this.#loop.nowMs - this.#suspendedAtMs;
    this.#suspendedAtMs = undefined;
    this.jumpedAtMs = this.#loop.nowMs;
    for (const timer of this.#timers) this.#schedule(timer);
  }

  /** The process is gone, and its timers with it. */
  stop(): void {
    for (const timer of this.#timers) timer.scheduled?.cancel();
    this.#timers.clear();
  }

  #schedule(timer: PendingTimer): void {
    const delayMs = (timer.dueMs - this.monotonicMs()) / this.#rate;
    timer.scheduled = this.#loop.after(delayMs, () => {
      this.#wake(() => {
        if (this.#timers.delete(timer)) timer.fire();
      });
    });
  }
}
