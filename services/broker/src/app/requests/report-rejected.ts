import { randomId, type Clock, type Random } from '@token-broker/foundation';
import {
  decode,
  encode,
  failure,
  LIMITS,
  rejectedRequestSchema,
  type Failure,
  type RejectedReply,
} from '@token-broker/protocol';
import { takeToken, type Bucket, type RateLimit } from '../../domain/rate-limit.js';
import type { GetToken } from './get-token.js';
import { changeOf } from '../memory/invalidations.js';
import type { Memory } from '../memory/memory.js';
import type { ServiceRequest } from '../ports/bus.js';
import { StoreError, type Store } from '../ports/store.js';
import type { Log, Metrics } from '../ports/telemetry.js';
import type { Publisher } from '../cluster/publisher.js';
import { isFailure } from './refusal.js';
import { parametersOf, type Route, type Routes } from './routes.js';
import type { Sources } from '../sources/sources.js';
import { checkedRoute, type SubjectCheck } from './subject-check.js';

/** Reports of one caller that are looked at. A caller's 401 of something else must not drain the identity provider. */
const REPORTS_OF_CALLER: RateLimit = { burst: 50, intervalMs: 200 };
/** Between two drops of one slot: a resource server that refuses everything costs one call in this time. */
const MIN_INTERVAL_MS = 5_000;

export interface ReportRejectedPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly memory: Memory;
  readonly routes: Routes;
  readonly subjectCheck: SubjectCheck;
  readonly getToken: GetToken;
  readonly publisher: Publisher;
  readonly sources: Sources;
  readonly log: Log;
  readonly metrics: Metrics;
}

/**
 * A resource server has answered 401 to a token. Only a report of the generation that counts has an effect: it dies, near
 * caches hear of it, and a successor is fetched. 10,000 reports of one generation are one drop.
 */
export class ReportRejected {
  readonly #ports: ReportRejectedPorts;
  readonly #buckets = new Map<string, Bucket>();

  constructor(ports: ReportRejectedPorts) {
    this.#ports = ports;
  }

  async handle(request: ServiceRequest): Promise<Uint8Array> {
    const outcome = await this.#outcome(request);
    return encode(isFailure(outcome) ? { v: 1, error: outcome } : outcome);
  }

  async #outcome(request: ServiceRequest): Promise<RejectedReply | Failure> {
    const decoded = decode(rejectedRequestSchema, request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    const body = decoded.value;
    if (body.caller !== undefined && body.caller !== request.caller) {
      return failure('BAD_REQUEST', 'caller: is not the caller of the subject');
    }
    const { routes, subjectCheck } = this.#ports;
    const route = routes.resolve(request.caller, request.target, parametersOf(body));
    if (isFailure(route)) return route;
    // A report ends in a fetch: nobody has one made on behalf of a subject that is not its own.
    const checked = route.subject === undefined ? route : await checkedRoute(subjectCheck, routes, route);
    return isFailure(checked) ? checked : this.#report(checked, body.epoch, body.generation);
  }

  async #report(route: Route, epoch: number, generation: number): Promise<RejectedReply | Failure> {
    const { metrics, memory } = this.#ports;
    const { address } = route;
    const held = memory.peek(address.slot);
    const isKnownStale = held?.epoch === epoch && held.generation > generation;
    const reply = isKnownStale ? ({ v: 1, outcome: 'stale' } as const) : await this.#drop(route, epoch, generation);
    if (!isFailure(reply)) metrics.rejectedReported(address.source, reply.outcome);
    return reply;
  }

  async #drop(route: Route, epoch: number, generation: number): Promise<RejectedReply | Failure> {
    const { store, random } = this.#ports;
    const waitMs = this.#limit(route.caller);
    if (waitMs > 0) return { v: 1, outcome: 'limited', retryAfterMs: waitMs };
    try {
      const { address } = route;
      const reply = await store.reject(address, epoch, generation, MIN_INTERVAL_MS);
      if (reply.kind === 'limited') return { v: 1, outcome: 'limited', retryAfterMs: MIN_INTERVAL_MS };
      if (reply.kind === 'dropped')
        this.#broadcast(route, reply.asOf.epoch, reply.asOf.vseq, reply.floor, randomId(random));
      return { v: 1, outcome: reply.kind };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return failure('STORE_UNAVAILABLE', `Redis did not take the command ${error.command}`);
    }
  }

  #broadcast(route: Route, epoch: number, vseq: number, floor: number, id: string): void {
    const { memory, publisher, sources, getToken, log } = this.#ports;
    const { address, caller } = route;
    const entry = { vseq, floor, target: { kind: 'slot', slot: address.slot } } as const;
    memory.apply(address.partition, epoch, entry);
    publisher.invalidation({ v: 1, id, changes: [changeOf(address.partition, epoch, entry, sources)] });
    log.info('token: a resource server refused it; a new one is fetched', { source: address.source, caller });
    void getToken.obtain(route, 0, 'rejected');
  }

  #limit(caller: string): number {
    const { bucket, waitMs } = takeToken(REPORTS_OF_CALLER, this.#buckets.get(caller), this.#ports.clock.elapsedMs());
    this.#buckets.set(caller, bucket);
    return waitMs;
  }
}
