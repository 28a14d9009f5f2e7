import {
  decode,
  failure,
  LIMITS,
  revokeRequestSchema,
  type Failure,
  type RevokeReply,
  type RevokeRequest,
} from '@token-broker/protocol';
import type { LeaseKeeper } from '../cluster/lease-keeper.js';
import type { ServiceRequest } from '../ports/bus.js';
import { StoreError } from '../ports/store.js';
import { countEnded, countFound, countStanding } from '../revocation/counting.js';
import { fetchSuccessors, type GracefulPorts } from '../revocation/graceful.js';
import {
  doomedTokens,
  takeAllBack,
  type Doomed,
  type ProviderRevocationPorts,
} from '../revocation/provider-revocation.js';
import { resolveSelector, selectedByOf, slotsOf, type Resolved } from '../revocation/resolve-selector.js';
import type { RevocationOrder, RevocationResult } from '../revocation/revocation-order.js';
import { aboutOf } from '../revocation/revocation-records.js';
import { revoke, type RevocationPorts } from '../revocation/revocation.js';
import type { FoundSlot } from '../revocation/selection.js';
import { askedBy } from './asked-by.js';
import type { Span, SpanEnd, SpanFacts, Tracing } from '../ports/tracing.js';
import { isFailure } from './refusal.js';

const DEFAULT_WAIT_MS = 10_000;
/** How long a revocation waits for identity providers, unless the order says. */
const DEFAULT_PROVIDER_MS = 30_000;

export interface RevokeVerbPorts extends RevocationPorts, ProviderRevocationPorts, GracefulPorts {
  readonly leaseKeeper: LeaseKeeper;
  readonly tracing: Tracing;
}

/** The verb `revoke`: finds what is meant, says what would go, or ends it. Rejects with a `StoreError` where Redis is away. */
export async function revokeAsOrdered(ports: RevokeVerbPorts, request: ServiceRequest): Promise<RevokeReply | Failure> {
  const span = ports.tracing.start('revoke', request.trace, { caller: request.caller });
  try {
    const reply = await ordered(ports, request, span);
    if (!isFailure(reply)) span.set(factsOf(reply));
    span.end(endOf(reply));
    return reply;
  } catch (error) {
    span.end(error instanceof StoreError ? 'STORE_UNAVAILABLE' : 'INTERNAL');
    throw error;
  }
}

function factsOf({ dryRun, slots, complete, durable, broadcast }: RevokeReply): SpanFacts {
  return { dry_run: dryRun, ...(slots === undefined ? {} : { slots }), complete, durable, broadcast };
}

function endOf(reply: RevokeReply | Failure): SpanEnd {
  if (isFailure(reply)) return reply.code;
  return reply.dryRun || reply.complete ? 'ok' : 'incomplete';
}

async function ordered(ports: RevokeVerbPorts, request: ServiceRequest, span: Span): Promise<RevokeReply | Failure> {
  const decoded = decode(revokeRequestSchema, request.body, LIMITS.requestBytes);
  if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
  const order = decoded.value;
  const startedAtMs = ports.clock.elapsedMs();
  const resolving = { ...ports, redisMs: () => redisTime(ports) };
  const looked = <T>(look: () => Promise<T>): Promise<T> => lookedUp(ports, order, startedAtMs, look);
  const resolved = await looked(() => resolveSelector(resolving, order.selector));
  if (isFailure(resolved)) return resolved;
  span.set({ selector: resolved.selectedBy, targets: resolved.targets.length });
  if (order.graceful === true && resolved.selectedBy !== 'slot' && resolved.selectedBy !== 'source')
    return failure('BAD_REQUEST', 'graceful: is for a slot or a source');
  if (order.dryRun === true) return rehearse(ports, resolved, startedAtMs);
  // Who needs them one by one needs them before they end.
  const slots =
    order.graceful === true || order.atProvider === true ? await looked(() => slotsOf(ports, resolved)) : [];
  if (order.graceful === true) return replace(ports, request, order, slots, startedAtMs, span);
  const doomed = order.atProvider === true ? await looked(() => doomedTokens(ports, slots)) : undefined;
  const reply = await end(ports, request, order, resolved, startedAtMs, span);
  return doomed === undefined ? reply : withProvider(ports, request, order, reply, doomed, span);
}

/** What would go. */
async function rehearse(ports: RevokeVerbPorts, resolved: Resolved, startedAtMs: number): Promise<RevokeReply> {
  const { store, memory, clock, leaseKeeper } = ports;
  const { found, targets } = resolved;
  const counts = found === undefined ? await countStanding(store, targets, memory.views.length) : countFound(found);
  const present = await store.presences();
  return {
    ...{ v: 1, id: '', dryRun: true, ...counts, ...doubtsOf(resolved), nearCaches: present.length },
    ...{ durable: false, broadcast: false, complete: false },
    brokers: { expected: leaseKeeper.brokers.length, acked: 0 },
    tookMs: clock.elapsedMs() - startedAtMs,
  };
}

/** An order that fails while it is looked up what it means is a revocation that has failed: whoever watches must see it. */
async function lookedUp<T>(
  { clock, metrics }: RevokeVerbPorts,
  { selector, dryRun }: RevokeRequest,
  startedAtMs: number,
  look: () => Promise<T>,
): Promise<T> {
  try {
    return await look();
  } catch (error) {
    const tookMs = clock.elapsedMs() - startedAtMs;
    if (dryRun !== true) metrics.revocationDone(selectedByOf(selector), 'failed', tookMs);
    throw error;
  }
}

/** Last: the tokens are dead here, whatever their identity provider says. */
async function withProvider(
  ports: RevokeVerbPorts,
  request: ServiceRequest,
  { timeoutMs = DEFAULT_PROVIDER_MS }: RevokeRequest,
  reply: EndReply,
  doomed: Doomed,
  span: Span,
): Promise<RevokeReply> {
  const provider = await takeAllBack(ports, doomed, timeoutMs);
  span.event('taken back', provider);
  const isAudited = await ports.audit.write({
    ...askedBy(request),
    event: 'revocation.taken-back',
    ...(reply.id === '' ? {} : { revocation: reply.id }),
    result: provider.revoked === provider.asked ? 'done' : 'incomplete',
    facts: provider,
  });
  return { ...reply, provider, audited: reply.audited && isAudited };
}

/** Graceful: what has a successor goes, and nothing else. */
async function replace(
  ports: RevokeVerbPorts,
  request: ServiceRequest,
  order: RevokeRequest,
  slots: readonly FoundSlot[],
  startedAtMs: number,
  span: Span,
): Promise<RevokeReply> {
  const limitMs = order.timeoutMs ?? DEFAULT_PROVIDER_MS;
  const { targets, doomed, outcome } = await fetchSuccessors(ports, slots, limitMs, span);
  const gone = new Set(targets.flatMap(({ target }) => (target.kind === 'slot' ? [target.slot] : [])));
  const found = slots.filter(({ slot }) => gone.has(slot));
  const ended = await end(ports, request, order, { selectedBy: 'graceful', targets, found }, startedAtMs, span);
  const reply = { ...ended, graceful: outcome };
  return order.atProvider === true ? withProvider(ports, request, order, reply, doomed, span) : reply;
}

/** What the end of tokens is answered with. */
type EndReply = RevokeReply & Pick<RevocationResult, 'audited'>;

/** Ends the targets, and counts what went: a token must not live for as long as its likes are counted. */
async function end(
  ports: RevokeVerbPorts,
  request: ServiceRequest,
  { selector, reason = '', wait, timeoutMs }: RevokeRequest,
  resolved: Resolved,
  startedAtMs: number,
  span: Span,
): Promise<EndReply> {
  const { targets, selectedBy, found } = resolved;
  const within = 'source' in selector && selector.source !== undefined ? { source: selector.source } : {};
  const waiting = wait === true ? { waitMs: timeoutMs ?? DEFAULT_WAIT_MS } : {};
  const order = { ...askedBy(request), ...within, targets, selectedBy, reason, span, ...waiting };
  const { ended, ...result } = targets.length > 0 ? await revoke(ports, order) : await endNothing(ports, order);
  const tookMs = ports.clock.elapsedMs() - startedAtMs;
  const counts = found === undefined ? await countEnded(ports.store, ended) : countFound(found);
  if (counts.slots === undefined)
    ports.log.warn('revocation: what it has ended could not be counted', { revocation: result.id });
  return { v: 1, dryRun: false, ...counts, ...doubtsOf(resolved), ...result, tookMs };
}

/** Nothing is meant, so that nothing is left to be done. */
async function endNothing({ audit, store }: RevokeVerbPorts, order: RevocationOrder): Promise<RevocationResult> {
  const { reason } = order;
  const audited = await audit.write({ ...aboutOf(order), event: 'revocation.ended', reason, result: 'done' });
  const present = await store.presences();
  return {
    ...{ id: '', nearCaches: present.length, durable: true, broadcast: true, complete: true, audited, ended: [] },
    brokers: { expected: 0, acked: 0 },
    tookMs: 0,
  };
}

function doubtsOf({ inFlight, unjudged }: Resolved): Pick<RevokeReply, 'inFlight' | 'unjudged'> {
  return { ...(inFlight === undefined ? {} : { inFlight }), ...(unjudged === undefined ? {} : { unjudged }) };
}

/** Counted on from the last lease. */
function redisTime({ memory, clock }: RevokeVerbPorts): number | undefined {
  const [view] = memory.views;
  return view?.leasedAtMs === undefined ? undefined : view.leasedRedisMs + clock.elapsedMs() - view.leasedAtMs;
}
