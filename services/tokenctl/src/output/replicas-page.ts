import { formatDuration } from '@token-broker/foundation';
import type { ReplicaStatus, StatusReply } from '@token-broker/protocol';
import { printable, type Style } from './style.js';
import { renderTable } from './table.js';
import { counted } from './texts.js';

const COLUMNS = [
  { heading: 'BROKER' },
  { heading: 'VERSION' },
  { heading: 'UP', isFigure: true },
  { heading: 'NATS' },
  { heading: 'REDIS' },
  { heading: 'READ', isFigure: true },
  { heading: 'HELD', isFigure: true },
  { heading: 'REQUESTS', isFigure: true },
  { heading: 'STATE' },
];

/** A row for each replica: also one that did not answer, of which nothing is known but its lease. */
export function renderReplicas(replicas: readonly ReplicaStatus[], silent: readonly string[], style: Style): string {
  const rows = [
    ...replicas.map(({ broker, version, uptimeMs, nats, redis, counts, ready, problems }) => [
      broker,
      printable(version),
      formatDuration(uptimeMs),
      nats.connected ? 'connected' : 'away',
      redis.available ? 'available' : 'away',
      redis.leaseAgeMs === null ? 'never' : `${formatDuration(redis.leaseAgeMs)} ago`,
      String(counts.held),
      String(counts.requests),
      ready ? style.good('ready') : `${style.bad('not ready')}: ${problems.map(printable).join('; ')}`,
    ]),
    ...silent.map((broker) => [broker, '', '', '', '', '', '', '', style.bad('no answer')]),
  ];
  return renderTable(COLUMNS, rows);
}

/** What replicas have to agree on, and whether they do. */
export function agreements({ replicas = [], silent = [] }: StatusReply, style: Style): [string, string][] {
  const known = replicas.length + silent.length;
  const ready = replicas.filter((replica) => replica.ready).length;
  const answered = `${String(replicas.length)} of ${counted(known, 'broker')} ${replicas.length === 1 ? 'has' : 'have'} answered`;
  const isWell = silent.length === 0 && ready === replicas.length;
  const state = `${answered}, ${ready === known ? 'all ready' : `${String(ready)} ready`}`;
  return [
    ['Brokers', isWell ? style.good(state) : style.bad(state)],
    ['Versions', [...new Set(replicas.map(({ version }) => printable(version)))].join(', ')],
    ['Epochs', epochs(replicas, style)],
    ['Settings', settings(replicas, style)],
  ];
}

/** Replicas of different epochs read different data sets, or one has not read along yet. */
function epochs(replicas: readonly ReplicaStatus[], style: Style): string {
  const partitions = Math.max(0, ...replicas.map((replica) => replica.epochs.length));
  const apart = Array.from({ length: partitions }, (_, index) => index).filter(
    (index) => new Set(replicas.map((replica) => replica.epochs[index] ?? 0)).size > 1,
  );
  if (apart.length === 0) return style.good('agree');
  return `${style.bad('DISAGREE')} on ${counted(apart.length, 'partition')} (${apart.join(', ')}): ask again, and look at Redis where it lasts`;
}

function settings(replicas: readonly ReplicaStatus[], style: Style): string {
  const versions = [...new Set(replicas.map(({ policy }) => policy))];
  if (versions.length <= 1) return style.good('agree');
  const newest = Math.max(...versions);
  const behind = replicas.filter(({ policy }) => policy !== newest).map(({ broker }) => broker);
  return `${style.warn('DIFFER')}: ${behind.join(', ')} ${behind.length === 1 ? 'runs' : 'run'} an older configuration; \`tokenctl reload\``;
}
