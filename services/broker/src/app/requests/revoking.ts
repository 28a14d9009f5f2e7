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
import { fetchSuccessors, type GracefulPorts } from '../revocation/graceful.js';
import {
  doomedTokens,
  takeAllBack,
  type Doomed,
  type ProviderRevocationPorts,
} from '../revocation/provider-revocation.js';
import { resolveSelector, type Resolved } from '../revocation/resolve-selector.js';
import { revoke, type RevocationPorts, type RevocationResult } from '../revocation/revocation.js';
import type { FoundSlot } from '../revocation/selection.js';
import { isFailure } from './refusal.js';

const DEFAULT_WAIT_MS = 10_000;
/** How long a revocation waits for identity providers, unless the order says. */
const DEFAULT_PROVIDER_MS = 30_000;
/** Sources that a reply counts by name. */
const SOURCES_NAMED = 1_000;

export interface RevokeVerbPorts extends RevocationPorts, ProviderRevocationPorts, GracefulPorts {
  readonly leaseKeeper: LeaseKeeper;
}

/** The verb `revoke`: finds what is meant, says what would go, or ends it. Rejects with a `StoreError` where Redis is away. */
export async function revokeAsOrdered(
  ports: RevokeVerbPorts,
  { body, caller }: ServiceRequest,
): Promise<RevokeReply | Failure> {
  const decoded = decode(revokeRequestSchema, body, LIMITS.requestBytes);
  if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
  const order = decoded.value;
  const startedAtMs = ports.clock.elapsedMs();
  const redisMs = (): number | undefined => redisTime(ports);
  const resolved = await resolveSelector({ ...ports, redisMs }, order.selector);
  if (isFailure(resolved)) return resolved;
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
  if (order.graceful === true) return replace(ports, order, resolved, caller, startedAtMs);
  const doomed = order.atProvider === true ? await doomedTokens(ports, resolved.slots) : undefined;
  const result = await end(ports, order, resolved, caller, startedAtMs);
  if (doomed === undefined) return { v: 1, dryRun: false, ...counts, ...result };
  return { v: 1, dryRun: false, ...counts, ...result, provider: await atProvider(ports, order, result.id, doomed) };
}

/** Last: the tokens are dead here, whatever their identity provider says. */
async function atProvider(
  ports: RevokeVerbPorts,
  { timeoutMs = DEFAULT_PROVIDER_MS }: RevokeRequest,
  id: string,
  doomed: Doomed,
): Promise<NonNullable<RevokeReply['provider']>> {
  const provider = await takeAllBack(ports, doomed, timeoutMs);
  ports.log.audit('revocation: taken back at the identity provider', { id, ...provider });
  return provider;
}

/** Graceful: what has a successor goes, and nothing else. */
async function replace(
  ports: RevokeVerbPorts,
  order: RevokeRequest,
  resolved: Resolved,
  caller: string,
  startedAtMs: number,
): Promise<RevokeReply> {
  const limitMs = order.timeoutMs ?? DEFAULT_PROVIDER_MS;
  const { targets, doomed, outcome } = await fetchSuccessors(ports, resolved.slots, limitMs);
  const gone = new Set(targets.flatMap(({ target }) => (target.kind === 'slot' ? [target.slot] : [])));
  const slots = resolved.slots.filter(({ slot }) => gone.has(slot));
  const result = await end(ports, order, { selectedBy: 'graceful', targets, slots }, caller, startedAtMs);
  const reply: RevokeReply = { v: 1, dryRun: false, ...countsOf({ slots }), ...result, graceful: outcome };
  return order.atProvider === true ? { ...reply, provider: await atProvider(ports, order, result.id, doomed) } : reply;
}

/** Ends the targets; where there are none, nothing is left to be done, and that is all. */
async function end(
  ports: RevokeVerbPorts,
  { reason = '', wait, timeoutMs }: RevokeRequest,
  { targets, selectedBy }: Resolved,
  by: string,
  startedAtMs: number,
): Promise<RevocationResult> {
  if (targets.length > 0) {
    const waiting = wait === true ? { waitMs: timeoutMs ?? DEFAULT_WAIT_MS } : {};
    const result = await revoke(ports, { targets, selectedBy, by, reason, ...waiting });
    return { ...result, tookMs: ports.clock.elapsedMs() - startedAtMs };
  }
  ports.log.audit('revocation: nothing is meant by it', { selectedBy, by, reason });
  const present = await ports.store.presences();
  return {
    ...{ id: '', nearCaches: present.length, durable: true, broadcast: true, complete: true },
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
