import {
  backoffMs,
  BoundedMap,
  randomId,
  SingleFlight,
  within,
  type Clock,
  type Random,
} from '@token-broker/foundation';
import { failure, type Failure, type GetRequest, type Timing } from '@token-broker/protocol';
import { requiredRemainingMs } from '../../domain/lifetime.js';
import type { Governor } from '../upstream/governor.js';
import type { Memory } from '../memory/memory.js';
import type { IssuedToken } from '../ports/provider.js';
import type { Log, Metrics } from '../ports/telemetry.js';
import { tokenOf } from '../tokens/issued.js';
import type { Span, Tracing } from '../ports/tracing.js';
import { ReplyTemplate } from '../tokens/reply-template.js';
import type { Route } from './routes.js';
import { pausedFailure } from '../flight/flight-plan.js';
import { fetchTraced, requestOf } from '../flight/upstream-call.js';

/** Tokens that one replica keeps of an outage of Redis. */
const KEPT = { maxEntries: 10_000, maxBytes: 10_000 };

/** Pauses of one slot after failures in a row, which no replica can be told of. */
const BACKOFF = { firstMs: 500, maxMs: 30_000 };

interface Fetched {
  readonly issued: IssuedToken;
  readonly fetchedAtMs: number;
  readonly expiresAtMs: number;
}

interface Refused {
  readonly cause: Failure;
  readonly inARow: number;
  readonly untilMs: number;
}

/** A call that is under way. */
interface Call {
  readonly key: string;
  /** A revocation was heard of since it began. */
  isOutrun: boolean;
}

export interface WithoutRedisPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly memory: Memory;
  readonly governor: Governor;
  readonly timing: Timing;
  readonly maxStalenessMs: number;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly isPaused: (source: string) => boolean;
}

/**
 * Fetches for a source that says `withoutRedis: fetch` while Redis is away: once for each slot in this replica, within its
 * share of the budget. Such a token has no generation of the cluster and no revocation can find it, so it is answered as
 * unverified (clients use it once, and keep it not), is kept here no longer than the staleness bound, and goes at the first
 * word of a revocation.
 */
export class WithoutRedis {
  readonly #ports: WithoutRedisPorts;
  readonly #kept = new BoundedMap<Fetched>(KEPT, () => 1);
  readonly #refused = new BoundedMap<Refused>(KEPT, () => 1);
  readonly #flights = new SingleFlight<Fetched | Failure>();
  readonly #calls = new Set<Call>();

  constructor(ports: WithoutRedisPorts) {
    this.#ports = ports;
  }

  /** The reply, or why there is none; `undefined`: this source waits for Redis. */
  async answer(
    route: Route,
    wish: GetRequest,
    arrivedAtMs: number,
    limitMs: number,
    asked: Span,
  ): Promise<Uint8Array | Failure | undefined> {
    const { clock, memory } = this.#ports;
    if (route.source.configuration.withoutRedis !== 'fetch') return undefined;
    // As far as this replica had heard of it when Redis went away.
    if (this.#ports.isPaused(route.address.source)) return pausedFailure(route.address.source);
    const view = memory.view(route.address.partition);
    // Somebody with Redis has told this caller more than this replica knows.
    const { after } = wish;
    if (after !== undefined && (after.epoch > view.epoch || (after.epoch === view.epoch && after.vseq > view.applied)))
      return undefined;
    const key = keyOf(route);
    const kept = this.#kept.get(key);
    const refused = this.#refused.get(key);
    const pauseMs = (refused?.untilMs ?? 0) - clock.elapsedMs();
    const isGood = kept !== undefined && this.#isGood(kept, wish, clock.elapsedMs());
    if (!isGood && refused !== undefined && pauseMs > 0)
      return failure(refused.cause.code, refused.cause.message, pauseMs);
    const ended = isGood
      ? { inTime: true as const, value: kept }
      : await within(
          clock,
          limitMs,
          this.#flights.join(key, () => this.#fetch(route, key, asked)),
        );
    if (!ended.inTime) return failure('DEADLINE', 'the token was not there in time; the fetch goes on');
    return 'code' in ended.value ? ended.value : this.#render(route, wish, ended.value, arrivedAtMs);
  }

  /** What was fetched before this revocation may be dead by it. */
  forget(matches: (slot: string, source: string) => boolean): void {
    const isHit = (key: string): boolean => {
      const [source = '', slot = ''] = key.split(' ');
      return matches(slot, source);
    };
    for (const [key] of this.#kept.entries()) if (isHit(key)) this.#kept.delete(key);
    this.#flights.detachWhere(isHit);
    for (const call of this.#calls) if (isHit(call.key)) call.isOutrun = true;
  }

  async #fetch(route: Route, key: string, asked: Span): Promise<Fetched | Failure> {
    const { clock, random, governor, metrics, tracing, log } = this.#ports;
    const { source, parameters, address, caller, subject } = route;
    const call = randomId(random);
    const refusal = governor.permitAlone(source, call);
    if (refusal !== undefined) return refusal;
    const startedAtMs = clock.elapsedMs();
    const under: Call = { key, isOutrun: false };
    this.#calls.add(under);
    const request = requestOf(source, parameters, subject);
    const end = await fetchTraced(tracing, source, request, 'miss', asked.context).finally(() =>
      this.#calls.delete(under),
    );
    governor.settleAlone(source, call, end);
    const outcome = end.ok ? 'ok' : end.error.code;
    if (source.provider.capabilities.callsUpstream)
      metrics.idpCalled(address.source, 'miss', outcome, clock.elapsedMs() - startedAtMs, caller);
    if (!end.ok) {
      const { code, message, detail, retryAfterMs } = end.error;
      log.warn('idp: no token', { source: address.source, code, detail });
      const inARow = (this.#refused.get(key)?.inARow ?? 0) + 1;
      const pauseMs = Math.max(retryAfterMs ?? 0, backoffMs(BACKOFF, inARow, random.uniform()));
      const cause = failure(code, message, pauseMs);
      this.#refused.set(key, { cause, inARow, untilMs: clock.elapsedMs() + pauseMs });
      return cause;
    }
    this.#refused.delete(key);
    log.warn('store: away; a token was fetched without it', { source: address.source });
    const fetched: Fetched = {
      issued: end.value,
      fetchedAtMs: startedAtMs,
      expiresAtMs: startedAtMs + end.value.lifeMs,
    };
    // Whoever waits for it asked before the revocation; nobody after it must be given it.
    if (!under.isOutrun) this.#kept.set(key, fetched);
    return fetched;
  }

  #isGood({ issued, fetchedAtMs, expiresAtMs }: Fetched, { minTtlMs = 0 }: GetRequest, nowMs: number): boolean {
    const { timing, maxStalenessMs } = this.#ports;
    const leastMs = requiredRemainingMs(timing.minLifetimeMs, minTtlMs, issued.lifeMs);
    return expiresAtMs - nowMs >= leastMs && nowMs - fetchedAtMs < maxStalenessMs;
  }

  #render(route: Route, wish: GetRequest, { issued, expiresAtMs }: Fetched, arrivedAtMs: number): Uint8Array {
    const { clock, memory, timing } = this.#ports;
    const { slot, partition } = route.address;
    const view = memory.view(partition);
    const nowMs = clock.elapsedMs();
    const { lifeMs } = issued;
    // Above what died, and below whatever Redis will claim: its generations are microseconds of its clock.
    const generation = Math.max(memory.peek(slot)?.generation ?? 0, wish.minGeneration ?? 0, view.greatestFloor) + 1;
    const fixed = { v: 1, slot, partition, epoch: view.epoch, generation, lifeMs: Math.floor(lifeMs) };
    const template = new ReplyTemplate({ ...fixed, ...tokenOf(issued) }, timing);
    return template.render({
      asOf: view.applied,
      expiresInMs: expiresAtMs - nowMs,
      atMs: view.leasedRedisMs,
      heldMs: nowMs - arrivedAtMs,
      verified: false,
    });
  }
}

/** The source comes first, for {@link WithoutRedis.forget}. */
function keyOf({ address }: Route): string {
  return [address.source, address.slot, address.recipe].join(' ');
}
