import type { Clock } from '@token-broker/foundation';
import type { BudgetStatus, RefreshTokenStatus, StatusReply } from '@token-broker/protocol';
import type { BudgetWatch } from '../upstream/budget-watch.js';
import type { Governor } from '../upstream/governor.js';
import { countBySource } from '../memory/holdings.js';
import type { Memory } from '../memory/memory.js';
import type { RefreshTokens } from '../upstream/refresh-tokens.js';
import type { Source, Sources } from '../sources/sources.js';
import type { Tally } from './tally.js';
import { windowText } from '../upstream/window-text.js';

export interface SourceStatusPorts {
  readonly clock: Clock;
  readonly sources: Sources;
  readonly memory: Memory;
  readonly tally: Tally;
  readonly governor: Governor;
  readonly budgetWatch: BudgetWatch;
  readonly refreshTokens: RefreshTokens;
}

/** What `status` tells of each source. Without Redis it tells what this replica knows alone. */
export async function sourceStatuses(
  ports: SourceStatusPorts,
  paused: ReadonlyMap<string, number>,
): Promise<StatusReply['sources']> {
  const { clock, sources, memory, tally } = ports;
  const heldBySource = await countBySource(memory, clock);
  return Promise.all(
    [...sources.current.sources.values()].map(async (source) => {
      const { name, provider } = source.configuration;
      const pausedSinceMs = paused.get(name);
      const [budget, refreshToken] = await Promise.all([budgetOf(ports, source), refreshTokenOf(ports, source)]);
      const { idpCalls, idpErrors, callsSaved } = tally.of(name);
      return {
        ...{ name, provider, heldSlots: heldBySource.get(name) ?? 0, idpCalls, idpErrors, callsSaved },
        ...(budget === undefined ? {} : { budget }),
        ...(refreshToken === undefined ? {} : { refreshToken }),
        ...(pausedSinceMs === undefined ? {} : { pausedSinceMs }),
      };
    }),
  );
}

/** Where the budget of a source stands, and when it would run out; `undefined`: it could not be read. */
export async function budgetOf(
  { governor, budgetWatch }: Pick<SourceStatusPorts, 'governor' | 'budgetWatch'>,
  source: Source,
): Promise<BudgetStatus | undefined> {
  const [state] = await Promise.all([governor.state(source).catch(() => undefined), budgetWatch.look()]);
  if (state === undefined) return undefined;
  const watched = budgetWatch.budgets.find((budget) => budget.source === source.configuration.name);
  const { used, open, pausedMs, breaker, credentialPausedMs } = state;
  const limits = source.quota.map(({ limit, window, reserve }, index) => ({
    ...{ limit, reserve, window: windowText(window) },
    used: used[index]?.common ?? 0,
    reserveUsed: used[index]?.reserve ?? 0,
    ...forecast(watched?.limits[index]?.exhaustedInMs),
  }));
  return { limits, open, pausedMs, breaker, credentialPausedMs };
}

function forecast(exhaustedInMs: number | undefined): { readonly exhaustedInMs?: number } {
  return exhaustedInMs === undefined || !Number.isFinite(exhaustedInMs)
    ? {}
    : { exhaustedInMs: Math.max(0, Math.floor(exhaustedInMs)) };
}

/** Where the line of refresh tokens of a source stands; `undefined`: it spends none, or it could not be read. */
export async function refreshTokenOf(
  { refreshTokens }: Pick<SourceStatusPorts, 'refreshTokens'>,
  source: Source,
): Promise<RefreshTokenStatus | undefined> {
  if (!source.provider.capabilities.mayRotate) return undefined;
  const state = await refreshTokens.state(source).catch(() => undefined);
  return state === undefined
    ? undefined
    : { state: state.kind, sequence: state.sequence, changedAtMs: state.changedAtMs };
}
