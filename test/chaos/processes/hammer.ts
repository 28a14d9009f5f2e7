import type { NatsConnection } from 'nats';
import { ask } from '../../integration/asking.js';
import type { Stack } from '../../integration/stack.js';

/** One request without a near cache, and what came of it. */
export interface Blow {
  /** How many of what {@link Hammer.mark} counts had happened when it was sent. */
  readonly marksBefore: number;
  readonly generation: number;
}

/** Callers on connections of their own that ask again as soon as they are answered, so that every replica is always asked. */
export class Hammer {
  readonly blows: Blow[] = [];
  readonly errors: string[] = [];
  #marks = 0;
  #stopped = false;
  #loops: Promise<unknown> = Promise.resolve();

  static async start(stack: Stack, source: string, connections: number, callersOnEach: number): Promise<Hammer> {
    const hammer = new Hammer();
    const links = await Promise.all(Array.from({ length: connections }, () => stack.connectAs('orders')));
    const callers = links.flatMap((link) => Array.from({ length: callersOnEach }, () => link));
    hammer.#loops = Promise.all(callers.map((link) => hammer.#beat(link, source)));
    return hammer;
  }

  /** Counts an event, such as the acknowledgement of a revocation: requests from here on are told from those before. */
  mark(): number {
    return ++this.#marks;
  }

  /** Resolves when every request has been answered, or has run into its time. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loops;
  }

  async #beat(link: NatsConnection, source: string): Promise<void> {
    while (!this.#stopped) {
      const marksBefore = this.#marks;
      try {
        const { generation } = await ask(link, 'orders', source);
        this.blows.push({ marksBefore, generation });
      } catch (error) {
        // One error says all: a caller whose connection is closed would get one after the other.
        this.errors.push(String(error));
        return;
      }
    }
  }
}
