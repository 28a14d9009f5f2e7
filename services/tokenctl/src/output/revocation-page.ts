import { formatDuration } from '@token-broker/foundation';
import type { RevokeReply, Selector } from '@token-broker/protocol';
import { printable, type Style } from './style.js';
import { counted, percentile, timeOf } from './texts.js';

/** Near caches that are named: beyond it only their number is of use. */
const STRAGGLERS_SHOWN = 50;
/** Sources that are counted one by one, and successors that failed. */
const ROWS_SHOWN = 20;

export function describeSelector(selector: Selector): string {
  if ('slot' in selector) return `the token of slot ${selector.slot}`;
  if ('all' in selector) return 'EVERY token of EVERY source';
  if ('provider' in selector) return `the tokens of every source of provider ${selector.provider}`;
  if ('caller' in selector) return `the tokens of every source that ${selector.caller} may use`;
  const of = selector.source === undefined ? 'every source' : `source ${selector.source}`;
  if ('subject' in selector) return `the tokens on behalf of "${printable(selector.subject)}" of ${of}`;
  if ('tokenSha256' in selector) return `the token with SHA-256 ${selector.tokenSha256.slice(0, 12)}… of ${of}`;
  if ('issuedBeforeMs' in selector) return `the tokens from before ${timeOf(selector.issuedBeforeMs)} (UTC) of ${of}`;
  return `the tokens of source ${selector.source}`;
}

/** How many tokens went, or would go, as far as the broker has counted. */
export function tokensOf({ slots, truncated }: Pick<RevokeReply, 'slots' | 'truncated'>): string {
  if (slots === undefined) return 'an unknown number of tokens';
  return truncated === true ? `more than ${counted(slots, 'token')}` : counted(slots, 'token');
}

/** What is true after a revocation, in plain words: never more than the brokers said. */
export function renderRevocation(selector: Selector, reply: RevokeReply, style: Style): string {
  const lines = reply.dryRun ? dryRunLines(selector, reply) : doneLines(selector, reply, style);
  return lines.map((line) => `${line}\n`).join('');
}

function dryRunLines(selector: Selector, reply: RevokeReply): string[] {
  const { slots, nearCaches } = reply;
  const what = describeSelector(selector);
  return [
    slots === 0
      ? `Nothing matches ${what}.`
      : `Would revoke ${what}: ${tokensOf(reply)}, with ${counted(nearCaches, 'near cache')} connected.`,
    ...searchLines(reply),
    'Nothing was changed.',
  ];
}

/** What was found where, and what could not be looked into. */
function searchLines({ sources = [], inFlight = 0, unjudged = 0 }: RevokeReply): string[] {
  const shown = sources.length > 1 ? sources.slice(0, ROWS_SHOWN) : [];
  const hidden = sources.length > 1 ? sources.length - shown.length : 0;
  return [
    ...shown.map(({ name, slots }) => `  ${name}: ${counted(slots, 'token')}`),
    ...(hidden > 0 ? [`  and ${String(hidden)} more sources (--json names them)`] : []),
    ...(inFlight > 0
      ? [`  ${counted(inFlight, 'fetch', 'fetches')} under way among them, which nobody can judge yet.`]
      : []),
    ...(unjudged > 0
      ? [`  ${counted(unjudged, 'token')} more may be meant, and cannot be judged: revoke their source to be sure.`]
      : []),
  ];
}

function doneLines(selector: Selector, reply: RevokeReply, style: Style): string[] {
  const { id, slots, complete, durable, broadcast, audited, brokers } = reply;
  const { nearCaches, receipts, provider, graceful, tookMs } = reply;
  const what = describeSelector(selector);
  const verdict = complete
    ? `${style.good('Revoked')} ${what}: ${tokensOf(reply)}, in ${formatDuration(tookMs)}.`
    : `${style.bad('INCOMPLETE')}: revoking ${what} (${tokensOf(reply)}) did not finish in ${formatDuration(tookMs)}.`;
  // Nothing was ordered where nothing is meant.
  if (id === '') return [`Nothing matched ${what}.`, ...searchLines(reply), ...gracefulLines(graceful, style)];
  const lines = [verdict, ...searchLines(reply), ...gracefulLines(graceful, style)];
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
  if (audited === false)
    lines.push(
      `${style.bad('Not audited')}: the audit trail could not be written. It was revoked all the same: write down who did it, and why.`,
    );
  if (receipts !== undefined) lines.push(...receiptLines(receipts, style));
  else if (broadcast && nearCaches > 0)
    lines.push(`Near caches: ${counted(nearCaches, 'was', 'were')} told; --wait says who has confirmed.`);
  if (provider !== undefined) lines.push(...providerLines(provider, style));
  lines.push(
    'There is no undo. Brokers fetch again when they are asked, unless the source is paused (`tokenctl pause`).',
  );
  lines.push(style.dim(`Revocation ${id}`));
  return lines;
}

function gracefulLines(graceful: RevokeReply['graceful'], style: Style): string[] {
  if (graceful === undefined) return [];
  const { replaced, failed, failures } = graceful;
  const line = `Successors: ${String(replaced)} of ${String(replaced + failed)} were fetched first.`;
  if (failed === 0) return [line];
  const shown = failures.slice(0, ROWS_SHOWN);
  return [
    line,
    `${style.bad('Kept')}, since they have no successor; without --graceful they go at once:`,
    ...shown.map(
      ({ source, slot, code, message }) => `  ${source} ${slot}: ${printable(message)} [${printable(code)}]`,
    ),
    ...(failed > shown.length ? [`  and ${String(failed - shown.length)} more`] : []),
  ];
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
  const { expected, confirmed, stragglers, maxStalenessMs } = receipts;
  const left = receipts.counts?.stragglers ?? stragglers.length;
  if (expected === 0) return ['Near caches: none was connected.'];
  const lines = [`Near caches: ${String(expected - left)} of ${String(expected)} have confirmed.`];
  const times = confirmed.map(({ afterMs }) => afterMs).sort((a, b) => a - b);
  // Brokers of before name all of them, and no percentiles.
  const { p50, p99, max } = receipts.afterMs ?? {
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    max: percentile(times, 1),
  };
  if (times.length > 0)
    lines.push(`  after: p50 ${formatDuration(p50)}, p99 ${formatDuration(p99)}, max ${formatDuration(max)}`);
  if (left === 0) return lines;
  const shown = stragglers.slice(0, STRAGGLERS_SHOWN);
  const hidden = left - shown.length;
  const bound =
    maxStalenessMs === undefined ? 'up to their staleness bound' : `for ${formatDuration(maxStalenessMs)} at most`;
  return [
    ...lines,
    `${style.bad('Stragglers')}, which may serve revoked tokens ${bound} after they were last verified:`,
    ...shown.map(({ caller, instance }) => `  ${caller}/${instance}`),
    ...(hidden > 0 ? [`  and ${String(hidden)} more (--json names up to a thousand)`] : []),
  ];
}
