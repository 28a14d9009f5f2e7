import { Redacted, type Clock } from '@token-broker/foundation';
import {
  decode,
  emptyRequestSchema,
  encode,
  failure,
  LIMITS,
  listRequestSchema,
  reloadRequestSchema,
  setRefreshTokenRequestSchema,
  type Failure,
  type ListReply,
  type ReloadReply,
  type SetRefreshTokenReply,
} from '@token-broker/protocol';
import type { LeaseKeeper } from '../cluster/lease-keeper.js';
import type { Memory } from '../memory/memory.js';
import type { ServiceRequest } from '../ports/bus.js';
import { StoreError, type ListedSlot, type Store } from '../ports/store.js';
import { askedBy } from './asked-by.js';
import { isFailure } from './refusal.js';
import { describe, type DescribePorts } from './describe.js';
import { pauseSource } from './pausing.js';
import { refresh, type RefreshPorts } from './refresh.js';
import { revokeAsOrdered, type RevokeVerbPorts } from './revoking.js';
import { status, type StatusPorts } from './status.js';
import type { Sources } from '../sources/sources.js';

const DEFAULT_LIST_LIMIT = 100;
const UNKNOWN_VERB =
  'unknown verb; there are revoke, pause, resume, list, status, describe, refresh, refresh-token and reload';
const MAX_VERB_CHARACTERS = 20;

export interface AdministrationPorts extends RevokeVerbPorts, StatusPorts, DescribePorts, RefreshPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly memory: Memory;
  readonly sources: Sources;
  readonly leaseKeeper: LeaseKeeper;
  /** Reads the configuration again, here; the peers are told by {@link AdministrationPorts.publisher}. */
  readonly reload: () => Promise<Omit<ReloadReply, 'v'>>;
}

/** The operators' verbs. Who may use them stands in the configuration: `admin: true`. */
export class Administration {
  readonly #ports: AdministrationPorts;

  constructor(ports: AdministrationPorts) {
    this.#ports = ports;
  }

  async handle(request: ServiceRequest): Promise<Uint8Array> {
    const outcome = await this.#outcome(request);
    return encode(isFailure(outcome) ? { v: 1, error: outcome } : outcome);
  }

  async #outcome(request: ServiceRequest): Promise<object> {
    const { caller, target: operation } = request;
    const { sources, audit, log } = this.#ports;
    if (sources.caller(caller)?.admin !== true) {
      audit.note({
        ...askedBy(request),
        event: 'admin.refused',
        result: 'refused',
        facts: { operation: shown(operation) },
      });
      return failure('FORBIDDEN', `the caller "${caller}" is not an operator`);
    }
    try {
      switch (operation) {
        case 'revoke':
          return await revokeAsOrdered(this.#ports, request);
        case 'list':
          return await this.#list(request);
        case 'status':
          return this.#refuseBody(request) ?? (await status(this.#ports));
        case 'describe':
          return await describe(this.#ports, request.body);
        case 'refresh':
          return await refresh(this.#ports, request);
        case 'refresh-token':
          return await this.#setRefreshToken(request);
        case 'pause':
        case 'resume':
          return await pauseSource(this.#ports, request, operation === 'pause');
        case 'reload':
          return await this.#reload(request);
        default:
          return failure('BAD_REQUEST', UNKNOWN_VERB);
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const facts = { operation: shown(operation), detail: error.message };
      audit.note({ ...askedBy(request), event: 'admin.failed', result: 'failed', facts });
      // The trail may be elsewhere, and whoever mends Redis reads the log.
      log.error('admin: failed, nothing is promised', { caller, operation: facts.operation, reason: error.message });
      return failure('STORE_UNAVAILABLE', `Redis did not take the command ${error.command}: nothing is promised`);
    }
  }

  async #setRefreshToken(request: ServiceRequest): Promise<SetRefreshTokenReply | Failure> {
    const decoded = decode(setRefreshTokenRequestSchema, request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    const { sources, refreshTokens, audit } = this.#ports;
    const { source: name, refreshToken, reason } = decoded.value;
    const source = sources.source(name);
    if (source === undefined) return failure('UNKNOWN_SOURCE', `there is no source "${name}"`);
    if (!source.provider.capabilities.mayRotate)
      return failure('BAD_REQUEST', `the source "${name}" spends no refresh tokens: its grant is another one`);
    const seeded = await refreshTokens.seed(source, new Redacted(refreshToken));
    audit.note({
      ...askedBy(request),
      event: 'refresh-token.set',
      source: name,
      result: seeded.kind === 'spent' ? 'refused' : 'done',
      ...(reason === undefined ? {} : { reason }),
    });
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

  async #reload(request: ServiceRequest): Promise<ReloadReply | Failure> {
    const decoded = decode(reloadRequestSchema, request.body.length === 0 ? EMPTY : request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    const { publisher, reload, audit } = this.#ports;
    publisher.reload();
    const ended = await reload();
    audit.note({
      ...askedBy(request),
      event: 'configuration.reload',
      result: ended.outcome === 'refused' ? 'refused' : 'done',
      facts: { outcome: ended.outcome },
      ...(decoded.value.reason === undefined ? {} : { reason: decoded.value.reason }),
    });
    return { v: 1, ...ended };
  }

  #refuseBody(request: ServiceRequest): Failure | undefined {
    if (request.body.length === 0) return undefined;
    const decoded = decode(emptyRequestSchema, request.body, LIMITS.requestBytes);
    return decoded.ok ? undefined : failure('BAD_REQUEST', decoded.error);
  }
}

const EMPTY = new TextEncoder().encode('{}');

/** A verb as the audit trail has it: a longer name is none, and may be a token in the wrong place. */
function shown(operation: string): string {
  return operation.length <= MAX_VERB_CHARACTERS ? operation : 'unknown';
}

function listed(slot: ListedSlot): ListReply['slots'][number] {
  const { source, partition, epoch, generation } = slot;
  return { source, slot: slot.slot, partition, epoch, generation, expiresInMs: Math.max(0, slot.remainingMs) };
}
