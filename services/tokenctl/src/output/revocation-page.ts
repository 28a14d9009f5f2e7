import { formatDuration } from '@token-broker/foundation';
import type { RevokeReply, Selector } from '@token-broker/protocol';
import type { Style } from './style.js';
import { counted, percentile } from './texts.js';

/** Near caches that are named: beyond it only their number is of use. */
const STRAGGLERS_SHOWN = 50;

export function describeSelector(selector: Selector): string {
  if ('source' in selector) return `the tokens of source ${selector.source}`;
  return 'slot' in selector ? `the token of slot ${selector.slot}` : 'EVERY token of EVERY source';
}

/** What is true after a revocation, in plain words: never more than the brokers said. */
export function renderRevocation(selector: Selector, reply: RevokeReply, style: Style): string {
  const lines = reply.dryRun ? dryRunLines(selector, reply) : doneLines(selector, reply, style);
  return lines.map((line) => `${line}\n`).join('');
}

function dryRunLines(selector: Selector, { slots, nearCaches }: RevokeReply): string[] {
  const what = describeSelector(selector);
  return [
    slots === 0
      ? `Nothing matches ${what}.`
      : `Would revoke ${what}: ${counted(slots, 'token')}, with ${counted(nearCaches, 'near cache')} connected.`,
    'Nothing was changed.',
  ];
}

function doneLines(selector: Selector, reply: RevokeReply, style: Style): string[] {
  const { id, slots, complete, durable, broadcast, brokers, nearCaches, receipts, provider, tookMs } = reply;
  const what = describeSelector(selector);
  const verdict = complete
    ? `${style.good('Revoked')} ${what}: ${counted(slots, 'token')}, in ${formatDuration(tookMs)}.`
    : `${style.bad('INCOMPLETE')}: revoking ${what} (${counted(slots, 'token')}) did not finish in ${formatDuration(tookMs)}.`;
  const lines = [verdict];
  if (slots === 0)
    lines.push('Nothing matched: no such token is held. Fetches that were in flight are discarded all the same.');
  lines.push(`Brokers: ${String(brokers.acked)} of ${String(brokers.expected)} have confirmed.`);
  if (!complete)
    lines.push('  A broker may still answer with a revoked token, or Redis lost the revocation. Revoke again now.');
  if (!durable)
    lines.push(
      `${style.warn('Not durable')}: too few replicas of Redis have confirmed the write, or it is not yet on disk. A failover of Redis now could lose it.`,
    );
  if (!broadcast)
    lines.push(
      `${style.bad('Not broadcast')}: NATS was away. Near caches learn of it when they ask a broker, or stop within their staleness bound.`,
    );
  if (receipts !== undefined) lines.push(...receiptLines(receipts, style));
  else if (broadcast && nearCaches > 0)
    lines.push(`Near caches: ${counted(nearCaches, 'was', 'were')} told; --wait says who has confirmed.`);
  if (provider !== undefined) lines.push(...providerLines(provider, style));
  lines.push(style.dim(`Revocation ${id}`));
  return lines;
}

function providerLines(
  { asked, revoked, unsupported, failed }: NonNullable<RevokeReply['provider']>,
  style: Style,
): string[] {
  if (asked === 0) return ['Taken back at the identity provider: none, since none was held.'];
  const left = [
    ...(failed > 0 ? [`${String(failed)} failed`] : []),
    ...(unsupported > 0 ? [`${String(unsupported)} of a source that has no way to`] : []),
  ].join(', ');
  const line = `Taken back at the identity provider: ${String(revoked)} of ${String(asked)}`;
  if (revoked === asked) return [`${line}.`];
  return [
    `${line} (${style.bad(left === '' ? `${String(asked - revoked)} failed` : left)}).`,
    '  Whoever has one of the others may use it until it expires: end it there by hand. The brokers’ log says why.',
  ];
}

function receiptLines(receipts: NonNullable<RevokeReply['receipts']>, style: Style): string[] {
  const { expected, confirmed, stragglers } = receipts;
  if (expected === 0) return ['Near caches: none was connected.'];
  const lines = [`Near caches: ${String(expected - stragglers.length)} of ${String(expected)} have confirmed.`];
  const times = confirmed.map(({ afterMs }) => afterMs).sort((a, b) => a - b);
  if (times.length > 0) {
    const [p50, p99, max] = [percentile(times, 0.5), percentile(times, 0.99), percentile(times, 1)].map(formatDuration);
    lines.push(`  after: p50 ${p50 ?? ''}, p99 ${p99 ?? ''}, max ${max ?? ''}`);
  }
  if (stragglers.length === 0) return lines;
  const shown = stragglers.slice(0, STRAGGLERS_SHOWN);
  const hidden = stragglers.length - shown.length;
  return [
    ...lines,
    `${style.bad('Stragglers')}, which may serve revoked tokens up to their staleness bound:`,
    ...shown.map(({ caller, instance }) => `  ${caller}/${instance}`),
    ...(hidden > 0 ? [`  and ${String(hidden)} more (--json names them all)`] : []),
  ];
}
