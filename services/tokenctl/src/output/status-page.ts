import { formatDuration } from '@token-broker/foundation';
import type { StatusReply } from '@token-broker/protocol';
import { renderBudgets, renderPaused, renderRefreshTokens } from './source-pages.js';
import { printable, type Style } from './style.js';
import { renderTable } from './table.js';
import { counted } from './texts.js';

/** Near caches by name, beyond which only their number is of use. */
const NEAR_CACHES_SHOWN = 20;

export function renderStatus(status: StatusReply, style: Style): string {
  const { broker, version, uptimeMs, ready, nats, redis, brokers } = status;
  const lease = redis.leaseAgeMs === null ? 'never read' : `read ${formatDuration(redis.leaseAgeMs)} ago`;
  const facts: [string, string][] = [
    [
      'Broker',
      `${broker} (${printable(version)}), up ${formatDuration(uptimeMs)}, ${ready ? style.good('ready') : style.bad('not ready')}`,
    ],
    ['Brokers', brokers.length === 0 ? style.warn('none has a lease') : brokers.join(', ')],
    ['NATS', nats.connected ? style.good('connected') : style.bad('away')],
    ['Redis', `${redis.available ? style.good('available') : style.bad('away')}, ${lease}`],
    ['Partitions', describePartitions(status.partitions)],
    ['Near caches', counted(status.nearCaches.length, 'near cache')],
  ];
  const head = facts.map(([name, text]) => `${style.bold(name.padEnd(12))} ${text}\n`).join('');
  const parts = [
    head,
    renderSources(status.sources),
    renderPaused(status.sources, style),
    renderRefreshTokens(status.sources, style),
    renderBudgets(status.sources),
    renderNearCaches(status.nearCaches),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function describePartitions(partitions: StatusReply['partitions']): string {
  const invalidations = partitions.reduce((sum, { vseq }) => sum + vseq, 0);
  const unread = partitions.filter(({ epoch }) => epoch === 0).length;
  const state = unread === 0 ? '' : `, ${String(unread)} not read yet`;
  return `${String(partitions.length)}, ${counted(invalidations, 'invalidation')}${state}`;
}

function renderSources(sources: StatusReply['sources']): string {
  if (sources.length === 0) return '';
  const columns = [
    { heading: 'SOURCE' },
    { heading: 'PROVIDER' },
    ...['HELD', 'IDP CALLS', 'IDP ERRORS', 'CALLS SAVED'].map((heading) => ({ heading, isFigure: true })),
  ];
  const rows = sources.map(({ name, provider, heldSlots, idpCalls, idpErrors, callsSaved }) => [
    name,
    printable(provider),
    ...[heldSlots, idpCalls, idpErrors, callsSaved].map(String),
  ]);
  return renderTable(columns, rows);
}

function renderNearCaches(nearCaches: StatusReply['nearCaches']): string {
  if (nearCaches.length === 0) return '';
  const columns = [{ heading: 'NEAR CACHE' }, { heading: 'SEEN', isFigure: true }];
  const rows = nearCaches
    .slice(0, NEAR_CACHES_SHOWN)
    .map(({ caller, instance, seenMs }) => [`${caller}/${instance}`, `${formatDuration(seenMs)} ago`]);
  const hidden = nearCaches.length - rows.length;
  return `${renderTable(columns, rows)}${hidden > 0 ? `and ${String(hidden)} more (--json names them all)\n` : ''}`;
}
