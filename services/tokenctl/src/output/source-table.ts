import type { StatusReply } from '@token-broker/protocol';
import { callForOperator, heldBack } from './source-pages.js';
import { printable, type Style } from './style.js';
import { renderTable } from './table.js';

type Source = StatusReply['sources'][number];

const FIGURES = ['HELD', 'REQUESTS', 'FROM MEMORY', 'REFUSED', 'IDP CALLS', 'IDP ERRORS', 'CALLS SAVED'];

/** Each source in a row, with the sums over all replicas where brokers tell of them. */
export function renderSourceTable(sources: readonly Source[], style: Style): string {
  if (sources.length === 0) return 'There is no source.\n';
  const columns = [
    { heading: 'SOURCE' },
    { heading: 'PROVIDER' },
    ...FIGURES.map((heading) => ({ heading, isFigure: true })),
    { heading: 'STATE' },
  ];
  const rows = sources.map((source) => {
    const { name, provider, all } = source;
    const figures =
      all === undefined
        ? [source.heldSlots, '', '', '', source.idpCalls, source.idpErrors, source.callsSaved]
        : [all.held, all.requests, shareOf(all), all.refusals, all.idpCalls, all.idpErrors, all.callsSaved];
    const state = stateOf(source);
    return [name, printable(provider), ...figures.map(String), state === 'ok' ? style.good(state) : style.bad(state)];
  });
  return renderTable(columns, rows);
}

/** How many requests memory has answered, as a percentage. */
function shareOf({ memoryHits, requests }: { readonly memoryHits: number; readonly requests: number }): string {
  return requests === 0 ? '-' : `${String(Math.round((100 * memoryHits) / requests))} %`;
}

/** `ok`, or why callers do not get new tokens. */
function stateOf({ refreshToken, budget }: Source): string {
  const why = [
    ...(refreshToken !== undefined && callForOperator(refreshToken) !== undefined ? ['REAUTH_REQUIRED'] : []),
    ...(budget === undefined ? [] : heldBack(budget)),
  ];
  return why.length === 0 ? 'ok' : why.join(', ');
}
