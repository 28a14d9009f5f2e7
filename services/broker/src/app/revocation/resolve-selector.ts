import { failure, type Failure, type Selector } from '@token-broker/protocol';
import type { Memory } from '../memory/memory.js';
import type { ListedSlot, Store } from '../ports/store.js';
import type { RevokedBy } from '../ports/telemetry.js';
import type { Sources } from '../sources/sources.js';
import { onBehalfOf, selectSlots, withToken, type FoundSlot, type SelectionPorts, type Wanted } from './selection.js';
import type { RevocationTarget } from './revocation-order.js';

/** Slots that are listed one by one, at most. */
const LIST_LIMIT = 100_000;
/** How far the clocks of an operator and of Redis may be apart before a moment is one of the future. */
const CLOCK_TOLERANCE_MS = 5_000;

export interface ResolvePorts extends SelectionPorts {
  readonly store: Store;
  readonly memory: Memory;
  readonly sources: Sources;
  /** Redis time, as far as this broker knows it; `undefined`: it has not read Redis yet. */
  readonly redisMs: () => number | undefined;
}

/** What a selector means now. */
export interface Resolved {
  readonly selectedBy: RevokedBy;
  /** None: nothing there is meant. */
  readonly targets: readonly RevocationTarget[];
  /** The slots that are meant, where they were looked up one by one. Absent: whole sources go, with what is in the air. */
  readonly found?: readonly FoundSlot[];
  readonly inFlight?: number;
  readonly unjudged?: number;
}

/** What metrics call it, before it is looked up. */
export function selectedByOf(selector: Selector): RevokedBy {
  if ('slot' in selector) return 'slot';
  if ('all' in selector) return 'all';
  if ('provider' in selector) return 'provider';
  if ('caller' in selector) return 'caller';
  if ('tokenSha256' in selector) return 'token';
  if ('subject' in selector) return 'subject';
  return 'issuedBeforeMs' in selector ? 'issued-before' : 'source';
}

export async function resolveSelector(ports: ResolvePorts, selector: Selector): Promise<Resolved | Failure> {
  if ('slot' in selector) {
    const { slot } = selector;
    const { slots } = await ports.store.list({ slot, partition: ports.memory.partitionOf(slot) }, LIST_LIMIT);
    return { selectedBy: 'slot', targets: [{ target: { kind: 'slot', slot } }], found: slots };
  }
  if ('all' in selector) return { selectedBy: 'all', targets: [{ target: { kind: 'all' } }] };
  if ('provider' in selector) return ofProvider(ports, selector.provider);
  if ('caller' in selector) return ofCaller(ports, selector.caller);
  const { source } = selector;
  if (source !== undefined && ports.sources.source(source) === undefined)
    return failure('UNKNOWN_SOURCE', `there is no source "${source}"`);
  if ('tokenSha256' in selector) return searched(ports, 'token', withToken(selector.tokenSha256, source));
  if ('subject' in selector) return searched(ports, 'subject', onBehalfOf(selector.subject, source, ports.sources));
  if ('issuedBeforeMs' in selector) return issuedBefore(ports, selector.issuedBeforeMs, source);
  return { selectedBy: 'source', targets: [{ target: { kind: 'source', source: selector.source } }] };
}

/**
 * The slots that are meant, one by one. Of whole sources that takes a while (a second for 50,000), in which their tokens live:
 * only for those who need them before they end.
 */
export async function slotsOf(
  { store, sources }: Pick<ResolvePorts, 'store' | 'sources'>,
  { found, targets }: Resolved,
): Promise<readonly FoundSlot[]> {
  if (found !== undefined) return found;
  const [only] = targets;
  const filter = targets.length === 1 && only?.target.kind === 'source' ? { source: only.target.source } : {};
  const { slots } = await store.list(filter, LIST_LIMIT);
  return slots.filter((slot) => targets.some((of) => isMeant(slot, of, sources)));
}

function isMeant(
  { slot, source, generation }: ListedSlot,
  { target, upTo = Infinity }: RevocationTarget,
  sources: Sources,
): boolean {
  if (generation > upTo) return false;
  switch (target.kind) {
    case 'slot':
      return target.slot === slot;
    case 'source':
      return target.source === source;
    case 'provider':
      return (sources.source(source)?.configuration.provider as string | undefined) === target.provider;
    case 'all':
      return true;
  }
}

function ofProvider({ sources }: ResolvePorts, provider: string): Resolved | Failure {
  const has = [...sources.current.sources.values()].some(
    ({ configuration }) => (configuration.provider as string) === provider,
  );
  if (!has) return failure('BAD_REQUEST', `no source has the provider "${provider}"`);
  return { selectedBy: 'provider', targets: [{ target: { kind: 'provider', provider } }] };
}

/**
 * What a caller may have is shared with all who may have it too, so that its sources go as a whole. A caller of every source
 * may have had tokens of all.
 */
function ofCaller({ sources }: ResolvePorts, name: string): Resolved | Failure {
  const caller = sources.caller(name);
  if (caller === undefined) return failure('BAD_REQUEST', `there is no caller "${name}"`);
  if (caller.grants.has('*')) return { selectedBy: 'caller', targets: [{ target: { kind: 'all' } }] };
  const granted = [...caller.grants.keys()].filter((source) => sources.source(source) !== undefined);
  return { selectedBy: 'caller', targets: granted.map((source) => ({ target: { kind: 'source', source } })) };
}

async function searched(ports: ResolvePorts, selectedBy: RevokedBy, wanted: Wanted): Promise<Resolved> {
  const { slots, inFlight, unjudged } = await selectSlots(ports, ports.memory.views.length, wanted);
  const targets = slots.map(({ slot }) => ({ target: { kind: 'slot', slot } }) as const);
  return { selectedBy, targets, found: slots, inFlight, unjudged };
}

/** Generations are the time at which a token was asked for, in microseconds of Redis: a floor says it all. */
function issuedBefore(ports: ResolvePorts, beforeMs: number, source: string | undefined): Resolved | Failure {
  const nowMs = ports.redisMs();
  if (nowMs === undefined) return failure('STORE_UNAVAILABLE', 'this broker has not read Redis yet');
  if (beforeMs > nowMs + CLOCK_TOLERANCE_MS)
    return failure('BAD_REQUEST', 'selector.issuedBeforeMs: is in the future by the clock of Redis');
  const target = source === undefined ? ({ kind: 'all' } as const) : ({ kind: 'source', source } as const);
  return { selectedBy: 'issued-before', targets: [{ target, upTo: beforeMs * 1_000 - 1 }] };
}
