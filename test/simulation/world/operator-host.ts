import { createOperator, type Operator } from '@token-broker/client/operator';
import { delay } from '@token-broker/foundation';
import { TokenBrokerError } from '@token-broker/protocol';
import type { SeededRandom, SimulatedProcess } from '@token-broker/testing';
import { OPERATOR } from './configuration.js';
import type { Surroundings } from './surroundings.js';

/** How long it takes until somebody has read that a source needs a new refresh token, and has one. */
const ATTENTIVE_MS = 1_000;
const SLOW_MS = 6_000;
const RETRY_MS = 500;

type Order = Parameters<Operator['revoke']>[0];

/** Operations: they revoke, and they give sources refresh tokens. */
export class OperatorHost {
  readonly process: SimulatedProcess;
  readonly #world: Surroundings;
  readonly #operator: Operator;
  readonly #random: SeededRandom;
  /** Sources that somebody sees to. */
  readonly #seenTo = new Set<string>();
  /** Revocations that were answered, and those that failed. */
  readonly counts = { complete: 0, incomplete: 0, failed: 0 };
  /** Slots of graceful revocations: their fetches may outlive the answer, and be made again by others. */
  readonly #replaced = new Set<string>();

  constructor(world: Surroundings) {
    this.#world = world;
    this.#random = world.randomOf('reauthorisation');
    this.process = world.createProcess(OPERATOR);
    this.#operator = createOperator({
      connection: world.nats.connect(this.process, { name: OPERATOR }),
      caller: OPERATOR,
      clock: this.process.clock,
      random: world.randomOf(OPERATOR),
    });
  }

  async revoke(selector: Order['selector'], wait: boolean): Promise<void> {
    await this.#order({ selector, ...(wait ? { wait, timeoutMs: 2_000 } : {}) });
  }

  /** Fetches successors first. A fetch that was begun may go on after the answer. */
  async replace(slot: string): Promise<void> {
    this.#replaced.add(slot);
    await this.#order({ selector: { slot }, graceful: true, timeoutMs: 4_000 });
  }

  /** Whether the token of a slot is to be replaced before its time. */
  replaces(slot: string): boolean {
    return this.#replaced.has(slot);
  }

  async #order(order: Omit<Order, 'reason'>): Promise<void> {
    this.#world.pass('revocation-ordered', undefined);
    try {
      const { complete } = await this.#operator.revoke({ ...order, reason: 'simulated' });
      this.counts[complete ? 'complete' : 'incomplete']++;
    } catch {
      this.counts.failed++;
    }
  }

  /** Gets a refresh token for a source, and sends it until it is taken. */
  authorise(source: string): void {
    void this.#give(source, this.#world.idp.families.begin(source));
  }

  /** A source needs a new one: some time later it has it. */
  reauthorise(source: string): void {
    if (this.#seenTo.has(source)) return;
    this.#seenTo.add(source);
    this.process.clock.startTimer(ATTENTIVE_MS + (SLOW_MS - ATTENTIVE_MS) * this.#random.uniform(), () => {
      void this.#give(source, this.#world.idp.families.begin(source)).finally(() => this.#seenTo.delete(source));
    });
  }

  async #give(source: string, refreshToken: string): Promise<void> {
    for (;;) {
      try {
        await this.#operator.setRefreshToken({ source, refreshToken });
        return;
      } catch (error) {
        if (!(error instanceof TokenBrokerError)) throw error;
        // It was taken before, and has been spent since.
        if (error.code === 'BAD_REQUEST') return;
      }
      await delay(this.process.clock, RETRY_MS);
    }
  }
}
