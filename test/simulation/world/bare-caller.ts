import { createSubjects } from '@token-broker/protocol';
import type { SimulatedConnection, SimulatedProcess } from '@token-broker/testing';
import { CALLER } from './configuration.js';
import type { Surroundings } from './surroundings.js';

/** With each revocation it asks so often, so far apart: at first while that is executed, and until leases have run out. */
const ASKS = 60;
const FIRST_ASKS = 20;
const FIRST_EVERY_MS = 5;
const EVERY_MS = 100;
const EMPTY = new Uint8Array(0);

/**
 * A caller without a near cache: what brokers answer in the moments after a revocation is seen only where somebody asks
 * them. Nobody reads the replies; the observer has them where they leave.
 */
export class BareCaller {
  readonly #world: Surroundings;
  readonly #process: SimulatedProcess;
  readonly #connection: SimulatedConnection;
  readonly #subjects = createSubjects();
  #left = 0;
  #asked = 0;
  #isOver = false;

  constructor(world: Surroundings) {
    this.#world = world;
    this.#process = world.createProcess('bare');
    this.#connection = world.nats.connect(this.#process, { name: 'bare' });
  }

  /** A revocation is under way: it is the moment to ask. */
  wake(): void {
    const isAsking = this.#left > 0;
    this.#left = ASKS;
    if (!isAsking && !this.#isOver) this.#ask();
  }

  /** Nothing is to be seen any more. */
  end(): void {
    this.#isOver = true;
  }

  #ask(): void {
    const isFirst = this.#left > ASKS - FIRST_ASKS;
    this.#process.clock.startTimer(isFirst ? FIRST_EVERY_MS : EVERY_MS, () => {
      const slot = this.#world.slots[this.#asked % this.#world.slots.length];
      this.#left--;
      this.#asked++;
      if (slot !== undefined) {
        const body = slot.audience === undefined ? EMPTY : Buffer.from(JSON.stringify({ audience: slot.audience }));
        const reply = `_INBOX.${CALLER}.bare.${String(this.#asked)}`;
        this.#connection.publish(this.#subjects.get(CALLER, slot.source), body, { reply });
      }
      if (this.#left > 0 && !this.#isOver) this.#ask();
    });
  }
}
