import { isErrorCode } from '@token-broker/protocol';
import { StoreError } from '../../app/ports/store.js';
import type {
  BudgetState,
  LimitCeilings,
  PermitReply,
  PermitRequest,
  SettleRequest,
  UpstreamBudgets,
} from '../../app/ports/upstream-budgets.js';
import { createKeys, type Keys } from './keys.js';
import { numberOf, textOf } from './replies.js';
import { Scripts, type RedisClient } from './scripts.js';

export interface RedisUpstreamBudgetsOptions {
  readonly client: RedisClient;
  readonly namespace: string;
  readonly onError: (command: string) => void;
}

const REASONS = ['limit', 'paused', 'breaker', 'credential'] as const;

/** The budgets on a real Redis: each method is one script of `lua/` on one upstream's keys. */
export class RedisUpstreamBudgets implements UpstreamBudgets {
  readonly #scripts: Scripts;
  readonly #keys: Keys;

  constructor({ client, namespace, onError }: RedisUpstreamBudgetsOptions) {
    this.#scripts = new Scripts(client, onError);
    this.#keys = createKeys(namespace);
  }

  async permit(request: PermitRequest): Promise<PermitReply> {
    const { call, callMs, first, limits } = request;
    const ceilings = limits.flatMap((limit) => [windowOf(limit), limit.common, limit.reserve]);
    const reply = await this.#run('permit', request, [call, callMs, first, ...ceilings]);
    const [kind, reason, code = '', message = '', retryAfterMs = ''] = reply;
    if (kind === 'go') return { kind };
    const why = REASONS.find((name) => name === reason);
    if (kind !== 'refused' || why === undefined)
      throw new StoreError('permit', 'unknown', `unexpected reply ${kind ?? ''}`);
    // A code of a later version.
    const known = isErrorCode(code) ? code : 'IDP_UNAVAILABLE';
    return { kind, why, code: known, message, retryAfterMs: numberOf(retryAfterMs) };
  }

  async settle(request: SettleRequest): Promise<void> {
    const { call, limits, outcome, observed, uniform } = request;
    const longestMs = Math.max(0, ...limits.map(({ window }) => (window.kind === 'sliding' ? window.ms : 0)));
    await this.#run('settle', request, [
      call,
      outcome.kind,
      'code' in outcome ? outcome.code : '',
      'message' in outcome ? outcome.message : '',
      'pauseMs' in outcome ? outcome.pauseMs : 0,
      uniform,
      observed?.remaining ?? '',
      observed?.resetMs ?? 0,
      longestMs,
    ]);
  }

  async state(
    upstream: string,
    credential: string,
    limits: readonly Pick<LimitCeilings, 'window'>[],
  ): Promise<BudgetState> {
    const reply = await this.#run('budgetState', { upstream, credential }, limits.map(windowOf));
    const [open = '', pausedMs = '', standing, credentialPausedMs = '', ...used] = reply;
    return {
      upstream,
      used: limits.map((_, index) => ({
        common: numberOf(used[index * 2] ?? ''),
        reserve: numberOf(used[index * 2 + 1] ?? ''),
      })),
      open: numberOf(open),
      pausedMs: numberOf(pausedMs),
      breaker: standing === 'open' || standing === 'half-open' ? standing : 'closed',
      credentialPausedMs: numberOf(credentialPausedMs),
    };
  }

  async #run(
    name: 'permit' | 'settle' | 'budgetState',
    { upstream, credential }: { readonly upstream: string; readonly credential: string },
    args: readonly (string | number)[],
  ): Promise<readonly string[]> {
    const reply = await this.#scripts.run(name, this.#keys.budget(upstream, credential), args);
    return reply.map((value) => textOf(value));
  }
}

/** The spelling of a window in the scripts: its length in milliseconds, or its period. */
function windowOf({ window }: Pick<LimitCeilings, 'window'>): string {
  return window.kind === 'sliding' ? String(window.ms) : window.period;
}
