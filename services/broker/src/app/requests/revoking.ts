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
import { fetchSuccessors, type GracefulPorts } from '../revocation/graceful.js';
import {
  doomedTokens,
  takeAllBack,
  type Doomed,
  type ProviderRevocationPorts,
} from '../revocation/provider-revocation.js';
import { resolveSelector, selectedByOf, type Resolved } from '../revocation/resolve-selector.js';
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
/** Sources that a reply counts by name. */
const SOURCES_NAMED = 1_000;

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
  return { dry_run: dryRun, slots, complete, durable, broadcast };
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
  const resolved = await resolve(ports, order, startedAtMs);
  if (isFailure(resolved)) return resolved;
  span.set({ selector: resolved.selectedBy, targets: resolved.targets.length });
  if (order.graceful === true && resolved.selectedBy !== 'slot' && resolved.selectedBy !== 'source')
    return failure('BAD_REQUEST', 'graceful: is for a slot or a source');
  const counts = countsOf(resolved);
  if (order.dryRun === true) {
    const present = await ports.store.presences();
    const tookMs = ports.clock.elapsedMs() - startedAtMs;
    const brokers = { expected: ports.leaseKeeper.brokers.length, acked: 0 };
    const nothing = { durable: false, broadcast: false, complete: false, brokers };
    return { v: 1, id: '', dryRun: true, ...counts, nearCaches: present.length, ...nothing, tookMs };
  }
  if (order.graceful === true) return replace(ports, request, order, resolved, startedAtMs, span);
  const doomed = order.atProvider === true ? await doomedTokens(ports, resolved.slots) : undefined;
  const result = await end(ports, request, order, resolved, startedAtMs, span);
  if (doomed === undefined) return { v: 1, dryRun: false, ...counts, ...result };
  return withProvider(ports, request, order, { v: 1, dryRun: false, ...counts, ...result }, doomed, span);
}

/** An order that fails here already is a revocation that has failed: whoever watches must see it. */
async function resolve(
  ports: RevokeVerbPorts,
  { selector, dryRun }: RevokeRequest,
  startedAtMs: number,
): Promise<Resolved | Failure> {
  try {
    return await resolveSelector({ ...ports, redisMs: () => redisTime(ports) }, selector);
  } catch (error) {
    const tookMs = ports.clock.elapsedMs() - startedAtMs;
    if (dryRun !== true) ports.metrics.revocationDone(selectedByOf(selector), 'failed', tookMs);
    throw error;
  }
}

/** Last: the tokens are dead here, whatever their identity provider says. */
async function withProvider(
  ports: RevokeVerbPorts,
  request: ServiceRequest,
  { timeoutMs = DEFAULT_PROVIDER_MS }: RevokeRequest,
  reply: RevokeReply & RevocationResult,
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
  resolved: Resolved,
  startedAtMs: number,
  span: Span,
): Promise<RevokeReply> {
  const limitMs = order.timeoutMs ?? DEFAULT_PROVIDER_MS;
  const { targets, doomed, outcome } = await fetchSuccessors(ports, resolved.slots, limitMs, span);
  const gone = new Set(targets.flatMap(({ target }) => (target.kind === 'slot' ? [target.slot] : [])));
  const slots = resolved.slots.filter(({ slot }) => gone.has(slot));
  const result = await end(ports, request, order, { selectedBy: 'graceful', targets, slots }, startedAtMs, span);
  const reply = { v: 1 as const, dryRun: false, ...countsOf({ slots }), ...result, graceful: outcome };
  return order.atProvider === true ? withProvider(ports, request, order, reply, doomed, span) : reply;
}

/** Ends the targets; where there are none, nothing is left to be done, and that is all. */
async function end(
  ports: RevokeVerbPorts,
  request: ServiceRequest,
  { selector, reason = '', wait, timeoutMs }: RevokeRequest,
  { targets, selectedBy }: Resolved,
  startedAtMs: number,
  span: Span,
): Promise<RevocationResult> {
  const within = 'source' in selector && selector.source !== undefined ? { source: selector.source } : {};
  const order: RevocationOrder = { ...askedBy(request), ...within, targets, selectedBy, reason, span };
  if (targets.length > 0) {
    const waiting = wait === true ? { waitMs: timeoutMs ?? DEFAULT_WAIT_MS } : {};
    const result = await revoke(ports, { ...order, ...waiting });
    return { ...result, tookMs: ports.clock.elapsedMs() - startedAtMs };
  }
  const audited = await ports.audit.write({ ...aboutOf(order), event: 'revocation.ended', reason, result: 'done' });
  const present = await ports.store.presences();
  return {
    ...{ id: '', nearCaches: present.length, durable: true, broadcast: true, complete: true, audited },
    brokers: { expected: 0, acked: 0 },
    tookMs: ports.clock.elapsedMs() - startedAtMs,
  };
}

function countsOf({
  slots,
  inFlight,
  unjudged,
}: Pick<Resolved, 'slots' | 'inFlight' | 'unjudged'>): Pick<
  RevokeReply,
  'slots' | 'sources' | 'inFlight' | 'unjudged'
> {
  return {
    slots: slots.length,
    sources: bySource(slots),
    ...(inFlight === undefined ? {} : { inFlight }),
    ...(unjudged === undefined ? {} : { unjudged }),
  };
}

function bySource(slots: readonly FoundSlot[]): NonNullable<RevokeReply['sources']> {
  const counts = new Map<string, number>();
  for (const { source } of slots) if (source !== '') counts.set(source, (counts.get(source) ?? 0) + 1);
  const rows = [...counts].map(([name, count]) => ({ name, slots: count }));
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, SOURCES_NAMED);
}

/** Counted on from the last lease. */
function redisTime({ memory, clock }: RevokeVerbPorts): number | undefined {
  const [view] = memory.views;
  return view?.leasedAtMs === undefined ? undefined : view.leasedRedisMs + clock.elapsedMs() - view.leasedAtMs;
}
