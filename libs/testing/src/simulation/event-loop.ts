/** Something that will happen, unless it is cancelled before. */
export interface Scheduled {
  cancel(): void;
}

/**
 * Between two turns that are asked for together, the machine runs all promise callbacks that are ready, and those that they
 * make ready, however long the chain.
 */
const TURNS_AT_A_TIME = 32;

interface Event {
  readonly atMs: number;
  /** Events of one moment happen in the order in which they were scheduled. */
  readonly order: number;
  fire: (() => void) | undefined;
}

/**
 * The true time of a simulated world, and all that is still to happen in it. One event happens at a time; what it sets off
 * in promise callbacks runs before the next. So a run depends on nothing but its seed, unless the
 * code in it waits for the machine: for I/O, or for a turn of the machine's own event loop.
 */
export class EventLoop {
  /** Events that have happened. */
  steps = 0;
  #nowMs = 0;
  #order = 0;
  /** A binary heap: the earliest first. */
  readonly #events: Event[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, fire: () => void): Scheduled {
    const event: Event = { atMs: Math.max(atMs, this.#nowMs), order: this.#order++, fire };
    this.#push(event);
    return {
      cancel: () => {
        event.fire = undefined;
      },
    };
  }

  after(delayMs: number, fire: () => void): Scheduled {
    return this.at(this.#nowMs + Math.max(0, delayMs), fire);
  }

  /**
   * Lets everything happen that is due until `untilMs`. `afterStep` is called when each event and what it set off are over;
   * `false` ends the run there.
   */
  run(untilMs: number, afterStep: () => boolean = () => true): Promise<void> {
    return new Promise((resolve, reject) => {
      let isStepUnderWay = false;
      let isOver = false;
      let turnsAhead = 0;
      const end = (settle: () => void): void => {
        isOver = true;
        settle();
      };
      // One event per turn, its consequences before the next turn. Turns are asked for many at a time: one by one, each would
      // cost a round of the machine's own event loop, ten times as much.
      const turn = (): void => {
        if (isOver) return;
        turnsAhead--;
        try {
          if (isStepUnderWay && !afterStep()) {
            end(resolve);
            return;
          }
          isStepUnderWay = this.#step(untilMs);
          if (!isStepUnderWay) end(resolve);
          else if (turnsAhead === 0) ask();
        } catch (error) {
          end(() => {
            reject(error instanceof Error ? error : new Error(String(error)));
          });
        }
      };
      const ask = (): void => {
        while (turnsAhead < TURNS_AT_A_TIME) {
          turnsAhead++;
          setImmediate(turn);
        }
      };
      ask();
    });
  }

  /** The next event; `false` where there is none until `untilMs`. */
  #step(untilMs: number): boolean {
    for (let event = this.#pop(untilMs); event !== undefined; event = this.#pop(untilMs)) {
      if (event.fire === undefined) continue;
      this.#nowMs = event.atMs;
      this.steps++;
      event.fire();
      return true;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
    return false;
  }

  #push(event: Event): void {
    const events = this.#events;
    let index = events.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = events[parent];
      if (above === undefined || isBefore(above, event)) break;
      events[index] = above;
      index = parent;
    }
    events[index] = event;
  }

  #pop(untilMs: number): Event | undefined {
    const events = this.#events;
    const first = events[0];
    if (first === undefined || first.atMs > untilMs) return undefined;
    const last = events.pop();
    if (last === undefined || last === first) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const [left, right] = [events[child], events[child + 1]];
      if (left === undefined) break;
      let least = left;
      if (right !== undefined && isBefore(right, left)) {
        least = right;
        child++;
      }
      if (isBefore(last, least)) break;
      events[index] = least;
      index = child;
    }
    events[index] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
