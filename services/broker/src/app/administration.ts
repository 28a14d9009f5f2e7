import type { Clock } from '@token-broker/foundation';
import {
  decode,
  emptyRequestSchema,
  encode,
  failure,
  LIMITS,
  listRequestSchema,
  revokeRequestSchema,
  type Failure,
  type ListReply,
  type ReloadReply,
  type RevokeReply,
  type RevokeRequest,
  type Selector,
  type StatusReply,
} from '@token-broker/protocol';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Memory } from './memory.js';
import type { ServiceRequest } from './ports/bus.js';
import { StoreError, type InvalidationTarget, type ListedSlot, type Store } from './ports/store.js';
import type { Log } from './ports/telemetry.js';
import { isFailure } from './refusal.js';
import { revoke, type RevocationPorts } from './revocation.js';
import type { Sources } from './sources.js';
import { PRESENT_FOR_MS } from './sync.js';
import type { Tally } from './tally.js';

const DEFAULT_WAIT_MS = 10_000;
const DEFAULT_LIST_LIMIT = 100;
/** A dry run, and the count of a revocation, look at no more tokens than this. */
const COUNT_LIMIT = 100_000;

export interface AdministrationPorts extends RevocationPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly memory: Memory;
  readonly sources: Sources;
  readonly log: Log;
  readonly leaseKeeper: LeaseKeeper;
  readonly tally: Tally;
  readonly version: string;
  readonly isReady: () => boolean;
  readonly natsConnected: () => boolean;
  /** Reads the configuration again, here; the peers are told by {@link AdministrationPorts.publisher}. */
  readonly reload: () => Promise<Omit<ReloadReply, 'v'>>;
}

/** The operators' verbs. Who may use them stands in the configuration: `admin: true`. */
export class Administration {
  readonly #ports: AdministrationPorts;
  readonly #startedAtMs: number;

  constructor(ports: AdministrationPorts) {
    this.#ports = ports;
    this.#startedAtMs = ports.clock.elapsedMs();
  }

  async handle(request: ServiceRequest): Promise<Uint8Array> {
    const outcome = await this.#outcome(request);
    return encode(isFailure(outcome) ? { v: 1, error: outcome } : outcome);
  }

  async #outcome(request: ServiceRequest): Promise<object> {
    const { caller, target: operation } = request;
    const { sources, log } = this.#ports;
    if (sources.caller(caller)?.admin !== true) {
      log.audit('admin: refused', { caller, operation });
      return failure('FORBIDDEN', `the caller "${caller}" is not an operator`);
    }
    try {
      switch (operation) {
        case 'revoke':
          return await this.#revoke(request);
        case 'list':
          return await this.#list(request);
        case 'status':
          return await this.#status(request);
        case 'reload':
          return await this.#reload(request);
        default:
          return failure('BAD_REQUEST', 'unknown verb; there are revoke, list, status and reload');
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      log.audit('admin: failed, nothing is promised', { caller, operation, reason: error.message });
      return failure('STORE_UNAVAILABLE', `Redis did not take the command ${error.command}: nothing is promised`);
    }
  }

  async #revoke(request: ServiceRequest): Promise<RevokeReply | Failure> {
    const decoded = decode(revokeRequestSchema, request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    const order = decoded.value;
    if ('source' in order.selector && this.#ports.sources.source(order.selector.source) === undefined) {
      return failure('UNKNOWN_SOURCE', `there is no source "${order.selector.source}"`);
    }
    const slots = await this.#count(order.selector);
    if (order.dryRun === true) return this.#dryRun(slots);
    const result = await revoke(this.#ports, {
      target: targetOf(order.selector),
      by: request.caller,
      reason: order.reason ?? '',
      ...waitOf(order),
    });
    return { v: 1, dryRun: false, slots, ...result };
  }

  async #dryRun(slots: number): Promise<RevokeReply> {
    const { store, leaseKeeper, clock } = this.#ports;
    const startedAtMs = clock.elapsedMs();
    const present = await store.presences();
    return {
      v: 1,
      id: '',
      dryRun: true,
      slots,
      nearCaches: present.length,
      durable: false,
      broadcast: false,
      complete: false,
      brokers: { expected: leaseKeeper.brokers.length, acked: 0 },
      tookMs: clock.elapsedMs() - startedAtMs,
    };
  }

  async #count(selector: Selector): Promise<number> {
    const filter =
      'source' in selector ? { source: selector.source } : 'slot' in selector ? this.#slotFilter(selector.slot) : {};
    return (await this.#ports.store.list(filter, COUNT_LIMIT)).slots.length;
  }

  #slotFilter(slot: string): { readonly slot: string; readonly partition: number } {
    return { slot, partition: this.#ports.memory.partitionOf(slot) };
  }

  async #list(request: ServiceRequest): Promise<ListReply | Failure> {
    const decoded = decode(listRequestSchema, request.body.length === 0 ? EMPTY : request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    const { source, limit = DEFAULT_LIST_LIMIT } = decoded.value;
    const { slots, truncated } = await this.#ports.store.list(source === undefined ? {} : { source }, limit);
    return { v: 1, slots: slots.map(listed), truncated };
  }

  async #status(request: ServiceRequest): Promise<StatusReply | Failure> {
    const refused = this.#refuseBody(request);
    if (refused !== undefined) return refused;
    const { clock, store, memory, sources, leaseKeeper, tally, broker, version, isReady, natsConnected } = this.#ports;
    const heldBySource = memory.countBySource();
    const leaseAgeMs = leaseKeeper.leaseAgeMs;
    return {
      v: 1,
      broker,
      version,
      uptimeMs: Math.floor(clock.elapsedMs() - this.#startedAtMs),
      ready: isReady(),
      nats: { connected: natsConnected() },
      redis: { available: store.isAvailable(), leaseAgeMs: leaseAgeMs === undefined ? null : Math.floor(leaseAgeMs) },
      brokers: [...leaseKeeper.brokers],
      partitions: memory.views.map(({ epoch, applied }) => ({ epoch, vseq: applied })),
      sources: [...sources.current.sources.values()].map(({ configuration: { name, provider } }) => ({
        name,
        provider,
        heldSlots: heldBySource.get(name) ?? 0,
        ...tally.of(name),
      })),
      nearCaches: await this.#nearCaches(),
    };
  }

  async #nearCaches(): Promise<StatusReply['nearCaches']> {
    const { store } = this.#ports;
    // Status is most wanted when something is away: it does without what Redis would have said.
    const present = await store.presences().catch(() => []);
    return present.map(({ caller, instance, untilMs }) => ({
      caller,
      instance,
      seenMs: Math.max(0, PRESENT_FOR_MS - untilMs),
    }));
  }

  async #reload(request: ServiceRequest): Promise<ReloadReply | Failure> {
    const refused = this.#refuseBody(request);
    if (refused !== undefined) return refused;
    this.#ports.publisher.reload();
    return { v: 1, ...(await this.#ports.reload()) };
  }

  #refuseBody(request: ServiceRequest): Failure | undefined {
    if (request.body.length === 0) return undefined;
    const decoded = decode(emptyRequestSchema, request.body, LIMITS.requestBytes);
    return decoded.ok ? undefined : failure('BAD_REQUEST', decoded.error);
  }
}

const EMPTY = new TextEncoder().encode('{}');

function waitOf(order: RevokeRequest): { readonly waitMs?: number } {
  return order.wait === true ? { waitMs: order.timeoutMs ?? DEFAULT_WAIT_MS } : {};
}

function targetOf(selector: Selector): InvalidationTarget {
  if ('slot' in selector) return { kind: 'slot', slot: selector.slot };
  if ('source' in selector) return { kind: 'source', source: selector.source };
  return { kind: 'all' };
}

function listed(slot: ListedSlot): ListReply['slots'][number] {
  const { source, partition, epoch, generation } = slot;
  return { source, slot: slot.slot, partition, epoch, generation, expiresInMs: Math.max(0, slot.remainingMs) };
}
