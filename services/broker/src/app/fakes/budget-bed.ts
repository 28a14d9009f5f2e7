import type { Clock } from '@token-broker/foundation';
import type {
  BudgetState,
  LimitCeilings,
  PermitReply,
  SettleRequest,
  UpstreamBudgets,
} from '../ports/upstream-budgets.js';
import { FakeRedis } from './fake-redis.js';
import { FakeUpstreamBudgets } from './fake-upstream-budgets.js';

/** Budgets on a clock that stands still until the test moves it. */
export interface BudgetBed {
  readonly budgets: UpstreamBudgets;
  /** Moves the time of Redis on, by fractions of milliseconds too; back: a server whose clock is behind has taken over. */
  pass(ms: number): Promise<unknown>;
  /** `FLUSHALL`. */
  lose(): Promise<unknown>;
}

export function fakeBudgetBed(clock: Clock & { advance(ms: number): Promise<void> }): BudgetBed & { redis: FakeRedis } {
  const redis = new FakeRedis(clock, 1);
  return {
    redis,
    budgets: new FakeUpstreamBudgets(redis),
    pass: async (ms) => {
      if (ms < 0) redis.aheadMs += ms;
      else await clock.advance(ms);
    },
    lose: () => {
      redis.flush();
      return Promise.resolve();
    },
  };
}

/**
 * @param budgets whose scripts take their time from `setTime`
 * @param flush empties the real Redis
 */
export async function realBudgetBed(
  budgets: UpstreamBudgets,
  flush: () => Promise<unknown>,
  setTime: (ms: number) => Promise<void>,
  startMs: number,
): Promise<BudgetBed> {
  let nowMs = startMs;
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms;
    await setTime(nowMs);
  };
  const lose = async (): Promise<void> => {
    await flush();
    await setTime(nowMs);
  };
  await lose();
  return { budgets, pass, lose };
}

/** What of a request is not the same in most tests. */
export interface CallOf {
  readonly limits?: readonly LimitCeilings[];
  readonly first?: 'common' | 'reserve';
  readonly callMs?: number;
  readonly credential?: string;
  readonly upstream?: string;
}

export const CALL_MS = 5_000;
export const ANSWERED = { kind: 'answered' } as const;

/** Calls of the upstream `u1` with the credential `c1`, unless said otherwise. */
export class BudgetCalls {
  readonly #budgets: UpstreamBudgets;

  constructor(budgets: UpstreamBudgets) {
    this.#budgets = budgets;
  }

  permit(call: string, of: CallOf = {}): Promise<PermitReply> {
    const { limits = [], first = 'common', callMs = CALL_MS, credential = 'c1', upstream = 'u1' } = of;
    return this.#budgets.permit({ upstream, credential, call, callMs, limits, first });
  }

  async settle(
    call: string,
    outcome: SettleRequest['outcome'] = ANSWERED,
    of: CallOf & Partial<Pick<SettleRequest, 'observed' | 'uniform'>> = {},
  ): Promise<void> {
    const { limits = [], credential = 'c1', upstream = 'u1', uniform = 0, observed } = of;
    const request = { upstream, credential, call, limits, outcome, uniform };
    await this.#budgets.settle({ ...request, ...(observed === undefined ? {} : { observed }) });
  }

  /** One call from permit to end. */
  async make(call: string, outcome: SettleRequest['outcome'] = ANSWERED, of: CallOf = {}): Promise<void> {
    const reply = await this.permit(call, of);
    if (reply.kind === 'refused') throw new Error(`${call} is refused: ${reply.why}`);
    await this.settle(call, outcome, of);
  }

  state(limits: readonly LimitCeilings[] = []): Promise<BudgetState> {
    return this.#budgets.state('u1', 'c1', limits);
  }
}
