import { formatDuration } from '@token-broker/foundation';
import type { BudgetStatus, RefreshTokenStatus, StatusReply } from '@token-broker/protocol';
import { printable, type Style } from './style.js';
import { renderTable } from './table.js';
import { timeOf } from './texts.js';

type Source = StatusReply['sources'][number];

const NONE = '-';

/** Where the refresh tokens of sources stand, and what an operator has to do. Empty where no broker tells of any. */
export function renderRefreshTokens(sources: readonly Source[], style: Style): string {
  const told = sources.flatMap(({ name, refreshToken }) =>
    refreshToken === undefined ? [] : [{ name, refreshToken }],
  );
  if (told.length === 0) return '';
  const columns = [
    { heading: 'SOURCE' },
    { heading: 'REFRESH TOKEN' },
    { heading: 'ROTATIONS', isFigure: true },
    { heading: 'CHANGED (UTC)' },
  ];
  const rows = told.map(({ name, refreshToken: { state, sequence, changedAtMs } }) => [
    name,
    state,
    String(sequence),
    changedAtMs === 0 ? NONE : timeOf(changedAtMs),
  ]);
  const calls = told.flatMap(({ name, refreshToken }) => {
    const why = callForOperator(refreshToken);
    if (why === undefined) return [];
    return [`${style.bad('REAUTH_REQUIRED')} ${name}: ${why}; \`tokenctl refresh-token set ${name}\` puts one there\n`];
  });
  return `${renderTable(columns, rows)}${calls.join('')}`;
}

/** What an operator has to know of a refresh token; `undefined`: nothing. */
export function callForOperator({ state }: RefreshTokenStatus): string | undefined {
  if (state === 'missing') return 'no refresh token was ever put there';
  return state === 'exhausted' ? 'the identity provider refuses its refresh token' : undefined;
}

/** Sources that an operator has paused. Empty where there is none. */
export function renderPaused(sources: readonly Source[], style: Style): string {
  return sources
    .flatMap(({ name, pausedSinceMs }) =>
      pausedSinceMs === undefined
        ? []
        : [
            `${style.warn('PAUSED')} ${name}: since ${timeOf(pausedSinceMs)} (UTC); \`tokenctl resume ${name}\` lets it go on\n`,
          ],
    )
    .join('');
}

/**
 * What is left of the budgets: a row for each limit, and one for a source without any whose calls are held back. Empty where
 * no broker tells of any.
 */
export function renderBudgets(sources: readonly Source[]): string {
  const rows = sources.flatMap(({ name, budget }) => (budget === undefined ? [] : budgetRows(name, budget)));
  if (rows.length === 0) return '';
  const columns = [
    { heading: 'BUDGET' },
    { heading: 'WINDOW', isFigure: true },
    { heading: 'CALLS', isFigure: true },
    { heading: 'RESERVE', isFigure: true },
    { heading: 'UNDER WAY', isFigure: true },
    { heading: 'STATE' },
  ];
  return renderTable(columns, rows);
}

function budgetRows(name: string, budget: BudgetStatus): string[][] {
  const held = heldBack(budget);
  const state = held.length === 0 ? 'ok' : held.join(', ');
  const [first, ...others] = budget.limits.map(({ limit, window, used, reserve, reserveUsed }) => [
    printable(window),
    `${String(used)}/${String(Math.max(0, limit - reserve))}`,
    reserve === 0 ? NONE : `${String(reserveUsed)}/${String(reserve)}`,
  ]);
  if (first === undefined && held.length === 0) return [];
  return [
    [name, ...(first ?? [NONE, NONE, NONE]), String(budget.open), state],
    // The rest of the row is that of the source: it stands in its first row.
    ...others.map((cells) => ['', ...cells]),
  ];
}

/** Why calls are not made now, beside full windows. Empty: they are. */
export function heldBack({ pausedMs, breaker, credentialPausedMs }: BudgetStatus): string[] {
  return [
    ...(pausedMs > 0 ? [`paused for ${formatDuration(pausedMs)}`] : []),
    ...(breaker === 'open' ? ['failing'] : []),
    ...(breaker === 'half-open' ? ['failing, being tried'] : []),
    ...(credentialPausedMs > 0 ? [`credential refused, tried again in ${formatDuration(credentialPausedMs)}`] : []),
  ];
}
