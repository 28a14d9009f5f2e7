import type { EventLoop } from './event-loop.js';
import { MachineClock } from './machine-clock.js';

export type ProcessState = 'running' | 'stopped' | 'dead';

/**
 * A process of the simulated world. Nothing reaches it and nothing leaves it but through {@link SimulatedProcess.enter} and
 * {@link SimulatedProcess.leave}: so it can be stopped and killed between any two of its steps, also in the middle of what
 * the real code does without an await.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly clock: MachineClock;
  readonly #loop: EventLoop;
  state: ProcessState = 'running';
  /** Called at each step out of the process, with its name: the place for a fault. */
  onStep: (step: string) => void = () => undefined;
  #stops = 0;
  #continuedAtMs = Number.NEGATIVE_INFINITY;
  #entering: (() => void)[] = [];
  #leaving: (() => void)[] = [];

  constructor(loop: EventLoop, name: string, clockRate = 1) {
    this.#loop = loop;
    this.name = name;
    this.clock = new MachineClock(loop, clockRate, (fire) => {
      this.enter(fire);
    });
  }

  /** It runs, and has caught up with what it found when it last went on. */
  get hasSettled(): boolean {
    return this.state === 'running' && this.#loop.nowMs > this.#continuedAtMs + 1;
  }

  get isDead(): boolean {
    return this.state === 'dead';
  }

  /** Something arrives: a reply, a message, a timer. A stopped process finds it when it goes on. */
  enter(arrive: () => void): void {
    if (this.state === 'running') arrive();
    else if (this.state === 'stopped') this.#entering.push(arrive);
  }

  /** Something is sent. What a process would send after it was stopped goes out when it goes on; after death, never. */
  leave(step: string, send: () => void): void {
    if (this.state === 'running') this.onStep(step);
    // The step may have been the last one.
    if (this.state === 'running') send();
    else if (this.state === 'stopped') this.#leaving.push(send);
  }

  /** SIGSTOP. */
  stop(): void {
    if (this.isDead) return;
    this.#stops++;
    this.state = 'stopped';
  }

  /** SIGCONT: first what it was about to send, then what has arrived meanwhile. */
  continue(): void {
    // Stopped by two, it goes on when both let it.
    if (this.state !== 'stopped' || --this.#stops > 0) return;
    this.state = 'running';
    this.#continuedAtMs = this.#loop.nowMs;
    for (const send of this.#leaving.splice(0)) send();
    // Each in a turn of its own, as an event loop would.
    for (const arrive of this.#entering.splice(0))
      this.#loop.after(0, () => {
        this.enter(arrive);
      });
  }

  /** SIGKILL. */
  kill(): void {
    this.state = 'dead';
    this.#entering = [];
    this.#leaving = [];
    this.clock.stop();
  }
}
