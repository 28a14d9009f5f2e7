import type { BudgetStatus, StatusReply } from '@token-broker/protocol';
import type { Pace, Paces } from '../top/rates.js';
import { bar } from './bar.js';
import { heldBack } from './source-pages.js';
import { printable, type Style } from './style.js';
import { renderTable } from './table.js';
import { counted } from './texts.js';

/** Sources that one view shows: the busiest. */
const SOURCES_SHOWN = 20;

/** One view of `top`; `at` is ISO 8601. */
export function renderTop(at: string, status: StatusReply, paces: Paces, style: Style): string {
  const { replicas = [], silent = [], nearCaches, nearCachesTotal = nearCaches.length } = status;
  const brokers = `${String(replicas.length)} of ${counted(replicas.length + silent.length, 'broker')}`;
  const { whole } = paces;
  const head = [
    `${style.bold('Token Broker')}  ${brokers}, ${counted(nearCachesTotal, 'near cache')}, ${style.dim(at.slice(11, 19))}`,
    `${style.bold(figure(whole.requestsPerSecond))} requests/s, ${share(whole)} from memory, ${style.bold(figure(whole.idpCallsPerSecond))} IdP calls/s, ${figure(whole.refusalsPerSecond)} refused/s`,
  ];
  return [`${head.join('\n')}\n`, brokerTable(status, paces, style), sourceTable(status, paces, style)].join('\n');
}

function brokerTable({ replicas = [], silent = [] }: StatusReply, { brokers }: Paces, style: Style): string {
  const columns = [
    { heading: 'BROKER' },
    ...['REQUESTS/S', 'FROM MEMORY', 'IDP CALLS/S', 'HELD'].map((heading) => ({ heading, isFigure: true })),
    { heading: 'STATE' },
  ];
  const rows = replicas.map(({ broker, counts, ready, problems }) => [
    broker,
    ...figuresOf(brokers.get(broker)),
    String(counts.held),
    ready ? style.good('ready') : `${style.bad('not ready')}: ${problems.map(printable).join('; ')}`,
  ]);
  return renderTable(columns, [...rows, ...silent.map((broker) => [broker, '', '', '', '', style.bad('no answer')])]);
}

function sourceTable({ sources }: StatusReply, paces: Paces, style: Style): string {
  const columns = [
    { heading: 'SOURCE' },
    ...['REQUESTS/S', 'FROM MEMORY', 'IDP CALLS/S', 'HELD'].map((heading) => ({ heading, isFigure: true })),
    { heading: 'QUOTA' },
  ];
  const pace = (name: string): number => paces.sources.get(name)?.requestsPerSecond ?? 0;
  const rows = sources
    .toSorted((a, b) => pace(b.name) - pace(a.name))
    .slice(0, SOURCES_SHOWN)
    .map(({ name, all, heldSlots, budget }) => [
      name,
      ...figuresOf(paces.sources.get(name)),
      String(all?.held ?? heldSlots),
      quotaOf(budget, style),
    ]);
  const hidden = sources.length - rows.length;
  return `${renderTable(columns, rows)}${hidden > 0 ? `and ${String(hidden)} more: \`tokenctl sources\`\n` : ''}`;
}

/** The limit of which the most is used, and why calls are held back. */
function quotaOf(budget: BudgetStatus | undefined, style: Style): string {
  if (budget === undefined) return '-';
  const held = heldBack(budget);
  const limits = budget.limits.map(({ limit, reserve, used, window }) => ({
    used,
    common: Math.max(0, limit - reserve),
    window,
  }));
  const [fullest] = limits.sort((a, b) => b.used / Math.max(1, b.common) - a.used / Math.max(1, a.common));
  const shown =
    fullest === undefined
      ? []
      : [
          `${bar(fullest.used, fullest.common, style)} ${String(fullest.used)}/${String(fullest.common)} in ${printable(fullest.window)}`,
        ];
  const parts = [...shown, ...(held.length === 0 ? [] : [style.bad(held.join(', '))])];
  return parts.length === 0 ? '-' : parts.join(' ');
}

function figuresOf(pace: Pace | undefined): string[] {
  if (pace === undefined) return ['-', '-', '-'];
  return [figure(pace.requestsPerSecond), share(pace), figure(pace.idpCallsPerSecond)];
}

function figure(perSecond: number): string {
  return perSecond >= 100 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}

function share({ memoryShare }: Pace): string {
  return memoryShare === undefined ? '-' : `${String(Math.round(100 * memoryShare))} %`;
}
