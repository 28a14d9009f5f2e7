import { Redacted, type Clock } from '@token-broker/foundation';
import {
  decode,
  emptyRequestSchema,
  encode,
  failure,
  LIMITS,
  listRequestSchema,
  revokeRequestSchema,
  setRefreshTokenRequestSchema,
  type Failure,
  type ListReply,
  type ReloadReply,
  type RevokeReply,
  type RevokeRequest,
  type Selector,
  type SetRefreshTokenReply,
  type StatusReply,
} from '@token-broker/protocol';
import type { LeaseKeeper } from '../cluster/lease-keeper.js';
import type { Memory } from '../memory/memory.js';
import type { ServiceRequest } from '../ports/bus.js';
import { StoreError, type InvalidationTarget, type ListedSlot, type Store } from '../ports/store.js';
import type { Log } from '../ports/telemetry.js';
import { isFailure } from './refusal.js';
import { doomedTokens, takeAllBack, type ProviderRevocationPorts } from '../revocation/provider-revocation.js';
import { revoke, type RevocationPorts } from '../revocation/revocation.js';
import { sourceStatuses, type SourceStatusPorts } from './source-status.js';
import type { Sources } from '../sources/sources.js';
import { PRESENT_FOR_MS } from './sync.js';

const DEFAULT_WAIT_MS = 10_000;
const DEFAULT_LIST_LIMIT = 100;
/** How long a revocation waits for identity providers, unless the order says. */
const DEFAULT_TAKE_BACK_MS = 30_000;
/** A dry run, and the count of a revocation, look at no more tokens than this. */
const COUNT_LIMIT = 100_000;

export interface AdministrationPorts extends RevocationPorts, SourceStatusPorts, ProviderRevocationPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly memory: Memory;
  readonly sources: Sources;
  readonly log: Log;
  readonly leaseKeeper: LeaseKeeper;
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
        case 'refresh-token':
          return await this.#setRefreshToken(request);
        case 'reload':
          return await this.#reload(request);
        default:
          return failure('BAD_REQUEST', 'unknown verb; there are revoke, list, status, refresh-token and reload');
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
    const doomed =
      order.atProvider === true ? await doomedTokens(this.#ports, this.#filterOf(order.selector), slots) : undefined;
    const result = await revoke(this.#ports, {
      target: targetOf(order.selector),
      by: request.caller,
      reason: order.reason ?? '',
      ...waitOf(order),
    });
    if (doomed === undefined) return { v: 1, dryRun: false, slots, ...result };
    // Last: the tokens are dead here, whatever their identity provider says.
    const provider = await takeAllBack(this.#ports, doomed, order.timeoutMs ?? DEFAULT_TAKE_BACK_MS);
    this.#ports.log.audit('revocation: taken back at the identity provider', { id: result.id, ...provider });
    return { v: 1, dryRun: false, slots, ...result, provider };
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
    return (await this.#ports.store.list(this.#filterOf(selector), COUNT_LIMIT)).slots.length;
  }

  #filterOf(selector: Selector): Parameters<Store['list']>[0] {
    if ('source' in selector) return { source: selector.source };
    if ('all' in selector) return {};
    return { slot: selector.slot, partition: this.#ports.memory.partitionOf(selector.slot) };
  }

  async #setRefreshToken(request: ServiceRequest): Promise<SetRefreshTokenReply | Failure> {
    const decoded = decode(setRefreshTokenRequestSchema, request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    const { sources, refreshTokens, log } = this.#ports;
    const { source: name, refreshToken } = decoded.value;
    const source = sources.source(name);
    if (source === undefined) return failure('UNKNOWN_SOURCE', `there is no source "${name}"`);
    if (source.configuration.grant.kind !== 'refresh_token')
      return failure('BAD_REQUEST', `the source "${name}" spends no refresh tokens: its grant is another one`);
    const seeded = await refreshTokens.seed(source, new Redacted(refreshToken));
    log.audit('refresh token: put there by an operator', { source: name, by: request.caller, outcome: seeded.kind });
    if (seeded.kind === 'spent')
      return failure('BAD_REQUEST', 'this refresh token was put there before and is spent: have a new one issued');
    return { v: 1, source: name, sequence: 0, replicas: seeded.replicas, replaced: seeded.replaced };
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
    const { clock, store, memory, leaseKeeper, broker, version, isReady, natsConnected } = this.#ports;
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
      sources: await sourceStatuses(this.#ports),
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
