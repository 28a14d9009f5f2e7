import { failure, type Failure, type Selector } from '@token-broker/protocol';
import type { Memory } from '../memory/memory.js';
import type { InvalidationTarget, Store } from '../ports/store.js';
import type { RevokedBy } from '../ports/telemetry.js';
import type { Sources } from '../sources/sources.js';
import { onBehalfOf, selectSlots, withToken, type FoundSlot, type SelectionPorts, type Wanted } from './selection.js';
import type { RevocationTarget } from './revocation-order.js';

/** What is counted of what goes, at most. */
const COUNT_LIMIT = 100_000;
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
  /** Tokens that go, as far as they are known. */
  readonly slots: readonly FoundSlot[];
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
    const { slots } = await ports.store.list({ slot, partition: ports.memory.partitionOf(slot) }, COUNT_LIMIT);
    return { selectedBy: 'slot', targets: [{ target: { kind: 'slot', slot } }], slots };
  }
  if ('all' in selector) return whole(ports, 'all', [{ kind: 'all' }], () => true);
  if ('provider' in selector) return ofProvider(ports, selector.provider);
  if ('caller' in selector) return ofCaller(ports, selector.caller);
  const { source } = selector;
  if (source !== undefined && ports.sources.source(source) === undefined)
    return failure('UNKNOWN_SOURCE', `there is no source "${source}"`);
  if ('tokenSha256' in selector) return searched(ports, 'token', withToken(selector.tokenSha256, source));
  if ('subject' in selector) return searched(ports, 'subject', onBehalfOf(selector.subject, source, ports.sources));
  if ('issuedBeforeMs' in selector) return issuedBefore(ports, selector.issuedBeforeMs, source);
  return whole(ports, 'source', [{ kind: 'source', source: selector.source }], (name) => name === selector.source);
}

/** Sources as a whole, with what is in the air, whatever of it was counted. */
async function whole(
  { store }: ResolvePorts,
  selectedBy: RevokedBy,
  targets: readonly InvalidationTarget[],
  isMeant: (source: string) => boolean,
): Promise<Resolved> {
  const [only] = targets;
  const filter = targets.length === 1 && only?.kind === 'source' ? { source: only.source } : {};
  const { slots } = await store.list(filter, COUNT_LIMIT);
  return {
    selectedBy,
    targets: targets.map((target) => ({ target })),
    slots: slots.filter(({ source }) => isMeant(source)),
  };
}

async function ofProvider(ports: ResolvePorts, provider: string): Promise<Resolved | Failure> {
  const named = [...ports.sources.current.sources.values()].flatMap(({ configuration }) =>
    (configuration.provider as string) === provider ? [configuration.name] : [],
  );
  if (named.length === 0) return failure('BAD_REQUEST', `no source has the provider "${provider}"`);
  return whole(ports, 'provider', [{ kind: 'provider', provider }], (source) => named.includes(source));
}

/**
 * What a caller may have is shared with all who may have it too, so that its sources go as a whole. A caller of every source
 * may have had tokens of all.
 */
async function ofCaller(ports: ResolvePorts, name: string): Promise<Resolved | Failure> {
  const caller = ports.sources.caller(name);
  if (caller === undefined) return failure('BAD_REQUEST', `there is no caller "${name}"`);
  if (caller.grants.has('*')) return whole(ports, 'caller', [{ kind: 'all' }], () => true);
  const granted = [...caller.grants.keys()].filter((source) => ports.sources.source(source) !== undefined);
  const targets = granted.map((source) => ({ kind: 'source', source }) as const);
  return whole(ports, 'caller', targets, (source) => granted.includes(source));
}

async function searched(ports: ResolvePorts, selectedBy: RevokedBy, wanted: Wanted): Promise<Resolved> {
  const { slots, inFlight, unjudged } = await selectSlots(ports, ports.memory.views.length, wanted);
  const targets = slots.map(({ slot }) => ({ target: { kind: 'slot', slot } }) as const);
  return { selectedBy, targets, slots, inFlight, unjudged };
}

/** Generations are the time at which a token was asked for, in microseconds of Redis: a floor says it all. */
async function issuedBefore(
  ports: ResolvePorts,
  beforeMs: number,
  source: string | undefined,
): Promise<Resolved | Failure> {
  const nowMs = ports.redisMs();
  if (nowMs === undefined) return failure('STORE_UNAVAILABLE', 'this broker has not read Redis yet');
  if (beforeMs > nowMs + CLOCK_TOLERANCE_MS)
    return failure('BAD_REQUEST', 'selector.issuedBeforeMs: is in the future by the clock of Redis');
  const upTo = beforeMs * 1_000 - 1;
  const { slots } = await ports.store.list(source === undefined ? {} : { source }, COUNT_LIMIT);
  return {
    selectedBy: 'issued-before',
    targets: [{ target: source === undefined ? { kind: 'all' } : { kind: 'source', source }, upTo }],
    slots: slots.filter(({ generation }) => generation <= upTo),
  };
}
