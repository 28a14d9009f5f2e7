import { formatDuration } from '@token-broker/foundation';
import type { BudgetStatus } from '@token-broker/protocol';
import { bar } from './bar.js';
import { heldBack } from './source-pages.js';
import { printable, type Style } from './style.js';

export interface SourceBudget {
  readonly name: string;
  /** Absent: no broker could read it. */
  readonly budget?: BudgetStatus;
}

/** A bar for each limit of each source. */
export function renderQuota(sources: readonly SourceBudget[], style: Style): string {
  if (sources.length === 0) return 'There is no source.\n';
  return sources.map(({ name, budget }) => blockOf(name, budget, style)).join('');
}

function blockOf(name: string, budget: BudgetStatus | undefined, style: Style): string {
  if (budget === undefined) return `${style.bold(name)}  not known: the brokers cannot read Redis\n`;
  const held = heldBack(budget);
  const state = held.length === 0 ? style.good('ok') : style.bad(held.join(', '));
  const underWay = budget.open === 0 ? '' : `, ${String(budget.open)} under way`;
  const head = `${style.bold(name)}  ${state}${underWay}\n`;
  if (budget.limits.length === 0) return `${head}  no limit\n`;
  return head + budget.limits.map((limit) => linesOf(limit, style)).join('');
}

function linesOf(limit: BudgetStatus['limits'][number], style: Style): string {
  const common = Math.max(0, limit.limit - limit.reserve);
  const window = printable(limit.window).padStart(6);
  const calls = `  ${window}  ${bar(limit.used, common, style)} ${String(limit.used)} of ${String(common)} calls${forecastOf(limit, common, style)}\n`;
  if (limit.reserve === 0) return calls;
  const reserve = `${String(limit.reserveUsed)} of ${String(limit.reserve)} of the reserve`;
  return `${calls}  ${' '.repeat(6)}  ${bar(limit.reserveUsed, limit.reserve, style)} ${reserve}\n`;
}

function forecastOf({ used, exhaustedInMs }: BudgetStatus['limits'][number], common: number, style: Style): string {
  if (used >= common) return `, ${style.bad('used up')}`;
  return exhaustedInMs === undefined
    ? ''
    : `, ${style.warn(`used up in ${formatDuration(exhaustedInMs)}`)} at this pace`;
}
