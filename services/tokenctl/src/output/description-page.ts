import { formatDuration } from '@token-broker/foundation';
import type { DescribeReply, ReplicaKnowledge } from '@token-broker/protocol';
import { renderQuota } from './quota-page.js';
import { callForOperator } from './source-pages.js';
import { printable, type Style } from './style.js';
import { renderTable } from './table.js';
import { counted, generationTime, timeOf } from './texts.js';

/** Tokens of a source that a page shows; `slots` lists all. */
const TOKENS_SHOWN = 10;

/** Everything about a source, or about one slot of it. */
export function renderDescription(reply: DescribeReply, style: Style): string {
  const head = factsOf(reply, style).map(([name, text]) => `${style.bold(name.padEnd(14))} ${text}\n`);
  const parts = [
    head.join(''),
    renderTokens(reply, style),
    renderKnowledge(reply, style),
    reply.slot === undefined ? renderUse(reply.replicas) : '',
    reply.budget === undefined ? '' : renderQuota([{ name: 'Quota', budget: reply.budget }], style),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function factsOf(reply: DescribeReply, style: Style): [string, string][] {
  const { source, slot, provider, grant, endpoint, clientId, scopes, allowed } = reply;
  const renewal = [
    reply.refreshAhead ? 'ahead of expiry' : 'when it is asked for',
    ...(reply.keepWarm ? ['kept warm'] : []),
  ].join(', ');
  return [
    ...(slot === undefined ? [] : [['Slot', slot] as [string, string]]),
    ['Source', source],
    ['Provider', [provider, grant, printable(endpoint)].map(printable).join(', ')],
    ['Client', printable(clientId)],
    ['Scopes', scopes.length === 0 ? 'none' : scopes.map(printable).join(' ')],
    ['Renewed', renewal],
    ['Next renewal', nextRenewal(reply.replicas)],
    ...(slot === undefined ? [['Last fetch', lastFetch(reply.replicas)] as [string, string]] : []),
    ['Last failure', lastFailure(reply, style)],
    ...refreshToken(reply, style),
    ['Allowed to', allowed.length === 0 ? style.warn('nobody') : allowed.join(', ')],
  ];
}

function nextRenewal(replicas: readonly ReplicaKnowledge[]): string {
  const planned = replicas.flatMap(({ broker, nextRefreshInMs: inMs }) =>
    inMs === undefined ? [] : [{ broker, inMs }],
  );
  const [next] = planned.sort((a, b) => a.inMs - b.inMs);
  return next === undefined
    ? 'none is planned'
    : `in ${formatDuration(next.inMs)}, if it is in demand (${next.broker})`;
}

function lastFetch(replicas: readonly ReplicaKnowledge[]): string {
  const known = replicas.flatMap(({ broker, lastFetch: last }) => (last === undefined ? [] : [{ broker, ...last }]));
  const [last] = known.sort((a, b) => a.agoMs - b.agoMs);
  return last === undefined
    ? 'none by these brokers'
    : `${formatDuration(last.agoMs)} ago, by ${last.broker} (${printable(last.reason)})`;
}

function lastFailure({ replicas, failure }: DescribeReply, style: Style): string {
  const known = replicas.flatMap(({ broker, lastFailure: last }) => (last === undefined ? [] : [{ broker, ...last }]));
  const [last] = known.sort((a, b) => a.agoMs - b.agoMs);
  const texts = [
    ...(failure === undefined
      ? []
      : [
          `${style.bad('now')}: ${printable(failure.message)} [${printable(failure.code)}], again in ${formatDuration(failure.retryInMs)}`,
        ]),
    ...(last === undefined ? [] : [`${formatDuration(last.agoMs)} ago, by ${last.broker} [${printable(last.code)}]`]),
  ];
  return texts.length === 0 ? 'none' : texts.join('; ');
}

function refreshToken({ source, refreshToken: state }: DescribeReply, style: Style): [string, string][] {
  if (state === undefined) return [];
  const call = callForOperator(state);
  const changed = state.changedAtMs === 0 ? '' : `, ${timeOf(state.changedAtMs)} UTC`;
  const text =
    call === undefined
      ? `${state.state}, ${counted(state.sequence, 'rotation')}${changed}`
      : `${style.bad('REAUTH_REQUIRED')}: ${call}; \`tokenctl refresh-token set ${source}\``;
  return [['Refresh token', text]];
}

function renderTokens({ tokens, truncated, slot }: DescribeReply, style: Style): string {
  if (tokens === null) return `${style.warn('Redis could not be read')}: what it holds is not known.\n`;
  if (tokens.length === 0) return 'No token is held in Redis.\n';
  const shown = tokens.slice(0, TOKENS_SHOWN);
  const columns = [
    ...(slot === undefined ? [{ heading: 'SLOT' }] : []),
    { heading: 'GENERATION (UTC)' },
    { heading: 'EXPIRES IN', isFigure: true },
  ];
  const rows = shown.map((token) => [
    ...(slot === undefined ? [token.slot] : []),
    generationTime(token.generation),
    formatDuration(token.expiresInMs),
  ]);
  const hidden = tokens.length - shown.length;
  const more =
    hidden > 0 || truncated ? `and ${truncated ? 'more' : `${String(hidden)} more`}: \`tokenctl slots\`\n` : '';
  return `${renderTable(columns, rows)}${more}`;
}

function renderKnowledge({ replicas, silent, slot }: DescribeReply, style: Style): string {
  const isSlot = slot !== undefined;
  const columns = [
    { heading: 'BROKER' },
    { heading: 'HELD', isFigure: true },
    { heading: 'IN DEMAND', isFigure: true },
    { heading: 'RENEWS IN', isFigure: true },
    ...(isSlot ? [{ heading: 'EXPIRES IN', isFigure: true }, { heading: 'LAST WANTED' }] : []),
  ];
  const rows = replicas.map(({ broker, held, inDemand, nextRefreshInMs, token }) => [
    broker,
    String(held),
    String(inDemand),
    nextRefreshInMs === undefined ? '-' : formatDuration(nextRefreshInMs),
    ...(isSlot ? [token === undefined ? '-' : formatDuration(token.expiresInMs), wantedOf(token)] : []),
  ]);
  return `${renderTable(columns, rows)}${silent.map((broker) => `${broker}: ${style.bad('no answer')}\n`).join('')}`;
}

function wantedOf(token: ReplicaKnowledge['token']): string {
  if (token === undefined || token.wantedAgoMs === null) return '-';
  return `${formatDuration(token.wantedAgoMs)} ago${token.wantedBy === undefined ? '' : ` by ${token.wantedBy}`}`;
}

/** Who has asked, and which near caches use it: sums over the replicas. */
function renderUse(replicas: readonly ReplicaKnowledge[]): string {
  const requests = new Map<string, number>();
  const nearCaches = new Map<string, Set<string>>();
  for (const { callers, nearCaches: seen } of replicas) {
    for (const { caller, requests: count } of callers) requests.set(caller, (requests.get(caller) ?? 0) + count);
    for (const { caller, instance } of seen)
      nearCaches.set(caller, (nearCaches.get(caller) ?? new Set<string>()).add(instance));
  }
  const names = [...new Set([...requests.keys(), ...nearCaches.keys()])];
  if (names.length === 0) return 'Nobody has asked these brokers for it.\n';
  const rows = names
    .map((name) => ({ name, asked: requests.get(name) ?? 0, near: nearCaches.get(name)?.size ?? 0 }))
    .sort((a, b) => b.asked - a.asked)
    .map(({ name, asked, near }) => [name, String(asked), String(near)]);
  const columns = [
    { heading: 'CALLER' },
    { heading: 'REQUESTS', isFigure: true },
    { heading: 'NEAR CACHES', isFigure: true },
  ];
  return renderTable(columns, rows);
}
