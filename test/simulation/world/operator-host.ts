import { createOperator, type Operator } from '@token-broker/client/operator';
import type { SimulatedProcess } from '@token-broker/testing';
import { OPERATOR } from './configuration.js';
import type { Surroundings } from './surroundings.js';

/** Operations: they revoke. */
export class OperatorHost {
  readonly process: SimulatedProcess;
  readonly #world: Surroundings;
  readonly #operator: Operator;
  /** Revocations that were answered, and those that failed. */
  readonly counts = { complete: 0, incomplete: 0, failed: 0 };

  constructor(world: Surroundings) {
    this.#world = world;
    this.process = world.createProcess(OPERATOR);
    this.#operator = createOperator({
      connection: world.nats.connect(this.process, { name: OPERATOR }),
      caller: OPERATOR,
      clock: this.process.clock,
      random: world.randomOf(OPERATOR),
    });
  }

  async revoke(selector: Parameters<Operator['revoke']>[0]['selector'], wait: boolean): Promise<void> {
    this.#world.pass('revocation-ordered', undefined);
    try {
      const request = { selector, reason: 'simulated', ...(wait ? { wait, timeoutMs: 2_000 } : {}) };
      const { complete } = await this.#operator.revoke(request);
      this.counts[complete ? 'complete' : 'incomplete']++;
    } catch {
      this.counts.failed++;
    }
  }
}
