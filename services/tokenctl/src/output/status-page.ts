import { formatDuration } from '@token-broker/foundation';
import type { StatusReply } from '@token-broker/protocol';
import { agreements, renderReplicas } from './replicas-page.js';
import { renderBudgets, renderPaused, renderRefreshTokens } from './source-pages.js';
import { printable, type Style } from './style.js';
import { renderTable } from './table.js';
import { counted } from './texts.js';

/** Near caches by name, beyond which only their number is of use. */
const NEAR_CACHES_SHOWN = 20;

export function renderStatus(status: StatusReply, style: Style): string {
  const { replicas, silent = [], sources, nearCaches, nearCachesTotal = nearCaches.length } = status;
  const facts: [string, string][] = [
    ...(replicas === undefined ? ownFacts(status, style) : agreements(status, style)),
    ['Partitions', describePartitions(status.partitions)],
    ['Near caches', counted(nearCachesTotal, 'near cache')],
  ];
  const parts = [
    facts.map(([name, text]) => `${style.bold(name.padEnd(12))} ${text}\n`).join(''),
    replicas === undefined ? '' : renderReplicas(replicas, silent, style),
    renderSources(sources),
    renderPaused(sources, style),
    renderRefreshTokens(sources, style),
    renderBudgets(sources),
    renderNearCaches(nearCaches, nearCachesTotal),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** Of a broker that does not ask its peers: it is older than that. */
function ownFacts(status: StatusReply, style: Style): [string, string][] {
  const { broker, version, uptimeMs, ready, nats, redis, brokers } = status;
  const lease = redis.leaseAgeMs === null ? 'never read' : `read ${formatDuration(redis.leaseAgeMs)} ago`;
  return [
    [
      'Broker',
      `${broker} (${printable(version)}), up ${formatDuration(uptimeMs)}, ${ready ? style.good('ready') : style.bad('not ready')}`,
    ],
    ['Brokers', brokers.length === 0 ? style.warn('none has a lease') : brokers.join(', ')],
    ['NATS', nats.connected ? style.good('connected') : style.bad('away')],
    ['Redis', `${redis.available ? style.good('available') : style.bad('away')}, ${lease}`],
  ];
}

function describePartitions(partitions: StatusReply['partitions']): string {
  const invalidations = partitions.reduce((sum, { vseq }) => sum + vseq, 0);
  const unread = partitions.filter(({ epoch }) => epoch === 0).length;
  const state = unread === 0 ? '' : `, ${String(unread)} not read yet`;
  return `${String(partitions.length)}, ${counted(invalidations, 'invalidation')}${state}`;
}

/** Where brokers tell of all replicas these are the sums over those that answered, else the figures of the one. */
function renderSources(sources: StatusReply['sources']): string {
  if (sources.length === 0) return '';
  const columns = [
    { heading: 'SOURCE' },
    { heading: 'PROVIDER' },
    ...['HELD', 'IDP CALLS', 'IDP ERRORS', 'CALLS SAVED'].map((heading) => ({ heading, isFigure: true })),
  ];
  const rows = sources.map((source) => {
    const { held, idpCalls, idpErrors, callsSaved } = source.all ?? { ...source, held: source.heldSlots };
    return [source.name, printable(source.provider), ...[held, idpCalls, idpErrors, callsSaved].map(String)];
  });
  return renderTable(columns, rows);
}

function renderNearCaches(nearCaches: StatusReply['nearCaches'], total: number): string {
  if (nearCaches.length === 0) return '';
  const columns = [{ heading: 'NEAR CACHE' }, { heading: 'SEEN', isFigure: true }];
  const rows = nearCaches
    .slice(0, NEAR_CACHES_SHOWN)
    .map(({ caller, instance, seenMs }) => [`${caller}/${instance}`, `${formatDuration(seenMs)} ago`]);
  const hidden = total - rows.length;
  return `${renderTable(columns, rows)}${hidden > 0 ? `and ${String(hidden)} more (--json names most)\n` : ''}`;
}
