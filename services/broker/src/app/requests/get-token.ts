import { within, type Clock } from '@token-broker/foundation';
import { decode, failure, getRequestSchema, LIMITS, type Failure, type GetRequest } from '@token-broker/protocol';
import type { FlightOutcome, FlightPlan, FlightPorts } from '../flight/flight-plan.js';
import type { Memory } from '../memory/memory.js';
import type { Held } from '../tokens/held.js';
import type { ServiceRequest } from '../ports/bus.js';
import type { SlotAddress } from '../ports/store.js';
import type { CallReason } from '../ports/telemetry.js';
import { noSpan, type Span } from '../ports/tracing.js';
import { GetReplies, type Asked } from './get-replies.js';
import { JoinedFlights } from './joined-flights.js';
import { isFailure } from './refusal.js';
import { parametersOf, type Route, type Routes } from './routes.js';
import type { Source } from '../sources/sources.js';
import { checkedRoute, type SubjectCheck } from './subject-check.js';
import { takeRecord } from '../flight/take-record.js';
import type { WithoutRedis } from './without-redis.js';

/** How long a request is held that does not say. */
const DEFAULT_DEADLINE_MS = 30_000;
/** Whoever asks again at once may be answered by a broker that can. */
const ELSEWHERE = failure('BROKER_UNAVAILABLE', 'this broker cannot read Redis now, and others can', 0);
/** How often an answer that died while it was awaited is fetched again. */
const ANSWER_TRIES = 5;

export interface GetTokenPorts extends FlightPorts {
  readonly routes: Routes;
  readonly subjectCheck: SubjectCheck;
  readonly withoutRedis: WithoutRedis;
  readonly leaseMs: number;
  /** How long what is held may be served, flagged, while Redis is away. */
  readonly maxStalenessMs: number;
  /** Renews the lease and applies what was missed. `false`: Redis did not answer. */
  readonly readAlong: () => Promise<boolean>;
  /** Peers can read Redis, and this broker cannot. */
  readonly isBehindPeers: () => boolean;
}

/** Answers `get`: from memory at once, else by a flight that all callers of the slot in this process share. */
export class GetToken {
  readonly #ports: GetTokenPorts;
  // What a hit needs lies ready in fields of its own: to find it among so many ports takes longer than the rest of the hit.
  readonly #clock: Clock;
  readonly #memory: Memory;
  readonly #routes: Routes;
  readonly #leaseMs: number;
  readonly #flights: JoinedFlights;
  readonly #replies: GetReplies;

  constructor(ports: GetTokenPorts) {
    this.#ports = ports;
    this.#clock = ports.clock;
    this.#memory = ports.memory;
    this.#routes = ports.routes;
    this.#leaseMs = ports.leaseMs;
    this.#flights = new JoinedFlights(ports);
    this.#replies = new GetReplies(ports);
  }

  get flights(): number {
    return this.#flights.size;
  }

  handle(request: ServiceRequest): Uint8Array | Promise<Uint8Array> {
    const arrivedAtMs = this.#clock.elapsedMs();
    const route = request.body.length === 0 ? this.#routes.plain(request) : undefined;
    if (route === undefined) return this.#resolved(request, arrivedAtMs);
    return (
      this.#fromMemory(request, route, {}, arrivedAtMs) ??
      this.#slowly(route, {}, this.#replies.begin(request, arrivedAtMs))
    );
  }

  /** Obtains a token of the slot, joining a flight where one is in the air. Never rejects. */
  obtain(
    route: Pick<Route, 'source' | 'address' | 'parameters'> & Partial<Pick<Route, 'caller' | 'subject' | 'subjects'>>,
    wantGreaterThan: number,
    reason: CallReason,
    options: { readonly onlyIfFree?: boolean; readonly asked?: Span } = {},
  ): Promise<FlightOutcome> {
    const { address, source, parameters, caller, subject, subjects } = route;
    const { onlyIfFree = false, asked = noSpan } = options;
    const isWanted = reason !== 'refresh' && reason !== 'revoked';
    const wantedAtMs = !isWanted ? Number.NEGATIVE_INFINITY : this.#clock.elapsedMs();
    const plan = {
      ...{ source, address, parameters, wantGreaterThan, reason, onlyIfFree, wantedAtMs },
      ...(caller === undefined ? {} : { caller }),
      ...(subject === undefined ? {} : { subject }),
      ...(subjects === undefined ? {} : { subjects }),
    };
    return this.#flights.join(plan, asked);
  }

  /** Takes what the store has into memory; never a reason to call the identity provider. */
  async look(source: Source, address: SlotAddress, above: number, wantedAtMs: number, caller?: string): Promise<void> {
    const { store, sources } = this.#ports;
    const read = await store.read(address, sources.current.policy);
    const plan: FlightPlan = {
      source,
      address,
      parameters: {},
      wantGreaterThan: above,
      reason: 'refresh',
      onlyIfFree: true,
      wantedAtMs,
      span: noSpan,
      ...(caller === undefined ? {} : { caller }),
    };
    if (read.kind === 'hit') takeRecord(this.#ports, plan, read, above);
  }

  /** An invalidation: callers from now on do not join what is in the air. */
  detach(matches: (slot: string, source: string) => boolean): void {
    this.#flights.detach(matches);
    this.#ports.withoutRedis.forget(matches);
  }

  /** Resolves when the flights that are in the air have ended. */
  settle(): Promise<void> {
    return this.#flights.settle();
  }

  #resolved(request: ServiceRequest, arrivedAtMs: number): Uint8Array | Promise<Uint8Array> {
    const { caller, target } = request;
    const body: GetRequest | Failure = request.body.length === 0 ? {} : this.#parse(request);
    if (isFailure(body)) return this.#replies.refusalAtOnce(request, body, arrivedAtMs);
    const route = this.#routes.resolve(caller, target, parametersOf(body));
    if (isFailure(route)) return this.#replies.refusalAtOnce(request, route, arrivedAtMs);
    if (body.deadlineMs !== undefined && body.deadlineMs <= 0)
      return this.#replies.refusalAtOnce(request, failure('DEADLINE', 'the deadline is past'), arrivedAtMs);
    if (route.subject !== undefined) return this.#forSubject(route, body, this.#replies.begin(request, arrivedAtMs));
    return (
      this.#fromMemory(request, route, body, arrivedAtMs) ??
      this.#slowly(route, body, this.#replies.begin(request, arrivedAtMs))
    );
  }

  /** Also what is in memory already is for the owner of the subject token alone. */
  async #forSubject(route: Route, wish: GetRequest, asked: Asked): Promise<Uint8Array> {
    const { subjectCheck } = this.#ports;
    const waitMs = (wish.deadlineMs ?? DEFAULT_DEADLINE_MS) - (this.#clock.elapsedMs() - asked.arrivedAtMs);
    const ended = await within(this.#clock, waitMs, checkedRoute(subjectCheck, this.#routes, route));
    const checked = ended.inTime ? ended.value : failure('DEADLINE', 'the subject token could not be checked in time');
    asked.span.event('subject checked', { outcome: isFailure(checked) ? checked.code : 'ok' });
    if (isFailure(checked)) return this.#replies.refusal(route, checked, asked);
    const nowMs = this.#clock.elapsedMs();
    const held = this.#inMemory(checked, wish, nowMs);
    if (held === undefined) return this.#slowly(checked, wish, asked);
    return this.#replies.token(held, checked, 'memory', { ...asked, arrivedAtMs: nowMs }, nowMs, true);
  }

  #parse(request: ServiceRequest): GetRequest | Failure {
    const decoded = decode(getRequestSchema, request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    if (decoded.value.caller !== undefined && decoded.value.caller !== request.caller) {
      return failure('BAD_REQUEST', 'caller: is not the caller of the subject');
    }
    return decoded.value;
  }

  #fromMemory(request: ServiceRequest, route: Route, wish: GetRequest, nowMs: number): Uint8Array | undefined {
    const held = this.#inMemory(route, wish, nowMs);
    return held === undefined ? undefined : this.#replies.tokenAtOnce(request, held, route, nowMs);
  }

  #inMemory(route: Route, wish: GetRequest, nowMs: number): Held | undefined {
    const held = this.#memory.use(route.address.slot, nowMs);
    if (held === undefined || !this.#suits(held, route, wish, nowMs)) return undefined;
    if (held.epoch !== this.#memory.view(route.address.partition).epoch) return undefined;
    return this.#hasLease(route, nowMs) ? held : undefined;
  }

  #suits(held: Held, route: Route, wish: GetRequest, nowMs: number): boolean {
    return (
      !held.dead &&
      held.address.recipe === route.address.recipe &&
      held.generation >= (wish.minGeneration ?? 0) &&
      held.isFreshFor(wish.minTtlMs ?? 0, nowMs) &&
      this.#hasSeen(held, wish)
    );
  }

  async #slowly(first: Route, wish: GetRequest, asked: Asked): Promise<Uint8Array> {
    const deadlineMs = asked.arrivedAtMs + (wish.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const minTtlMs = wish.minTtlMs ?? 0;
    let route = first;
    // A token that counts but is too short-lived for this caller: only a newer one will do.
    let want = this.#tooShort(route, minTtlMs);
    for (let tries = 0; tries < ANSWER_TRIES; tries++) {
      const joins = this.#flights.canJoin(route.address, want);
      const work = this.#obtainLeased(route, want, asked.span);
      const ended = await within(this.#clock, deadlineMs - this.#clock.elapsedMs(), work);
      // From here to the answer nothing is awaited: what holds now holds in the reply.
      const nowMs = this.#clock.elapsedMs();
      const current = this.#routes.current(route);
      if (isFailure(current)) return this.#replies.refusal(route, current, asked);
      // What was found out about the tokens of its subject holds for the configuration of before.
      if (current !== route && current.subject !== undefined) return this.#forSubject(current, wish, asked);
      const isChanged = current.address.recipe !== route.address.recipe;
      route = current;
      if (!ended.inTime) {
        const cause = failure('DEADLINE', 'the token was not there in time; the fetch goes on');
        return this.#fallback(route, wish, cause, asked);
      }
      if (isChanged) {
        want = this.#tooShort(route, minTtlMs);
        continue;
      }
      const outcome = ended.value;
      if (outcome.kind === 'elsewhere') continue;
      if (outcome.kind === 'failure') return this.#fallback(route, wish, outcome.failure, asked);
      if (!this.#hasLease(route, nowMs)) {
        const cause = failure('STORE_UNAVAILABLE', 'this broker cannot read Redis now');
        return this.#fallback(route, wish, cause, asked);
      }
      const { held, layer } = outcome;
      // What was awaited may have died meanwhile, or have been read before what this caller knows of.
      if (!this.#memory.stillCounts(held) || !this.#hasSeen(held, wish)) continue;
      if (!held.isFreshFor(layer === 'flight' ? 0 : minTtlMs, nowMs)) {
        want = held.generation;
        continue;
      }
      if (layer === 'flight' && joins) this.#ports.metrics.callSaved(route.address.source);
      const servedBy = layer === 'flight' && !joins ? 'idp' : layer;
      return this.#replies.token(held, route, servedBy, asked, nowMs, true);
    }
    const cause = failure('REVOKED', 'the token is revoked faster than it can be fetched', 1_000);
    return this.#replies.refusal(route, cause, asked);
  }

  /**
   * A token, and the right to answer with it. A revocation waits for brokers that have a lease, and for no others: what was
   * read without one may have been revoked, completely, while its reply was on the way.
   */
  async #obtainLeased(route: Route, want: number, asked: Span): Promise<FlightOutcome> {
    const outcome = await this.obtain(route, want, 'miss', { asked });
    if (outcome.kind === 'token' && !this.#hasLease(route, this.#clock.elapsedMs())) await this.#ports.readAlong();
    return outcome;
  }

  #hasLease(route: Route, nowMs: number): boolean {
    return this.#memory.view(route.address.partition).hasLease(nowMs, this.#leaseMs);
  }

  /** Whether an answer with this token is as new as the invalidations that the caller knows of. */
  #hasSeen(held: Held, { after }: GetRequest): boolean {
    return (
      after === undefined ||
      after.epoch < held.epoch ||
      (after.epoch === held.epoch && after.vseq <= this.#memory.asOfNow(held))
    );
  }

  #tooShort(route: Route, minTtlMs: number): number {
    const held = this.#memory.peek(route.address.slot);
    if (held === undefined || held.dead || held.address.recipe !== route.address.recipe) return 0;
    return held.isFreshFor(minTtlMs, this.#clock.elapsedMs()) ? 0 : held.generation;
  }

  /** The old token while it is good, where a new one cannot be had; flagged where Redis is the reason. */
  #fallback(route: Route, wish: GetRequest, cause: Failure, asked: Asked): Uint8Array | Promise<Uint8Array> {
    const { maxStalenessMs } = this.#ports;
    const nowMs = this.#clock.elapsedMs();
    const held = this.#memory.peek(route.address.slot);
    const isUsable = held !== undefined && this.#suits(held, route, { ...wish, minTtlMs: 0 }, nowMs);
    if (!isUsable) return this.#withoutRedis(route, wish, cause, asked);
    const { leasedAtMs } = this.#memory.view(route.address.partition);
    const verified = this.#hasLease(route, nowMs);
    const isWithinBound = leasedAtMs !== undefined && nowMs - leasedAtMs < maxStalenessMs;
    if (!verified && !isWithinBound) return this.#withoutRedis(route, wish, cause, asked);
    asked.span.event('fell back', { cause: cause.code, verified });
    return this.#replies.token(held, route, 'memory', asked, nowMs, verified);
  }

  /** The last resort of sources that would rather have a token that cannot be revoked than none. */
  async #withoutRedis(route: Route, wish: GetRequest, cause: Failure, asked: Asked): Promise<Uint8Array> {
    const { withoutRedis } = this.#ports;
    const { arrivedAtMs, span } = asked;
    const leftMs = (wish.deadlineMs ?? DEFAULT_DEADLINE_MS) - (this.#clock.elapsedMs() - arrivedAtMs);
    // A lease that has run out says that Redis is away; a command that failed may have other reasons.
    const isAway = cause.code === 'STORE_UNAVAILABLE' && !this.#hasLease(route, this.#clock.elapsedMs());
    const answer = isAway ? await withoutRedis.answer(route, wish, arrivedAtMs, leftMs, span) : undefined;
    if (answer instanceof Uint8Array) return this.#replies.fetchedAlone(route, asked, answer);
    const isElsewhere = cause.code === 'STORE_UNAVAILABLE' && this.#ports.isBehindPeers();
    return this.#replies.refusal(route, answer ?? (isElsewhere ? ELSEWHERE : cause), asked);
  }
}
