import type {
  BudgetState,
  LimitCeilings,
  PermitReply,
  PermitRequest,
  SettleRequest,
  UpstreamBudgets,
} from '../ports/upstream-budgets.js';
import { emptyBudget } from './fake-budget.js';
import { permit, settle, state, type BudgetScript } from './fake-budget-scripts.js';
import type { FakeRedis } from './fake-redis.js';
import type { Wire } from './fake-store.js';

/** What Redis runs. A simulation puts a broken one in the place of one. */
export interface BudgetScripts {
  readonly permit: typeof permit;
  readonly settle: typeof settle;
}

export const BUDGET_SCRIPTS: BudgetScripts = { permit, settle };

/** The budgets of one broker on a {@link FakeRedis}. Commands on the wire: `permit`, `settle`, `budgetState`. */
export class FakeUpstreamBudgets implements UpstreamBudgets {
  wire: Wire = {};
  readonly #redis: FakeRedis;
  readonly #scripts: BudgetScripts;

  constructor(redis: FakeRedis, scripts: BudgetScripts = BUDGET_SCRIPTS) {
    this.#redis = redis;
    this.#scripts = scripts;
  }

  permit(request: PermitRequest): Promise<PermitReply> {
    return this.#run('permit', request.upstream, (script) => this.#scripts.permit(script, request));
  }

  settle(request: SettleRequest): Promise<void> {
    return this.#run('settle', request.upstream, (script) => {
      this.#scripts.settle(script, request);
    });
  }

  state(upstream: string, credential: string, limits: readonly Pick<LimitCeilings, 'window'>[]): Promise<BudgetState> {
    return this.#run('budgetState', upstream, (script) => state(script, upstream, credential, limits));
  }

  async #run<T>(command: string, upstream: string, work: (script: BudgetScript) => T): Promise<T> {
    await this.wire.toRedis?.(command);
    const { budgets, nowMs, clock, aheadMs } = this.#redis;
    const budget = budgets.get(upstream) ?? emptyBudget();
    budgets.set(upstream, budget);
    const result = work({ budget, nowMs, endMs: Math.ceil(clock.wallMs() + aheadMs) });
    await this.wire.fromRedis?.(command);
    return result;
  }
}
