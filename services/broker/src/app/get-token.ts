import { SingleFlight, within, type Clock } from '@token-broker/foundation';
import {
  decode,
  encode,
  failure,
  getRequestSchema,
  LIMITS,
  type Failure,
  type GetRequest,
  type TokenParameters,
} from '@token-broker/protocol';
import { authorise } from '../domain/policy.js';
import type { FlightOutcome, FlightPlan, FlightPorts } from './flight-plan.js';
import { fly } from './flight.js';
import type { Held } from './held.js';
import type { ServiceRequest } from './ports/bus.js';
import type { SlotAddress } from './ports/store.js';
import type { CallReason, Layer } from './ports/telemetry.js';
import type { Source } from './sources.js';
import { takeRecord } from './take-record.js';

/** What one request resolves to once its caller is known to be allowed. */
export interface Route {
  readonly caller: string;
  readonly source: Source;
  readonly address: SlotAddress;
  readonly parameters: TokenParameters;
}

/** How long a request is held that does not say. */
const DEFAULT_DEADLINE_MS = 30_000;
/** How often an answer that died while it was awaited is fetched again. */
const ANSWER_TRIES = 5;
/** Plain requests that are remembered by their subject. */
const ROUTES_KEPT = 10_000;

export interface GetTokenPorts extends FlightPorts {
  readonly leaseMs: number;
  /** How long what is held may be served, flagged, while Redis is away. */
  readonly maxStalenessMs: number;
}

/** Answers `get`: from memory at once, else by a flight that all callers of the slot in this process share. */
export class GetToken {
  readonly #ports: GetTokenPorts;
  readonly #clock: Clock;
  readonly #flights = new SingleFlight<FlightOutcome>();
  readonly #routes = new Map<string, Route>();
  #routesOf: unknown;

  constructor(ports: GetTokenPorts) {
    this.#ports = ports;
    this.#clock = ports.clock;
  }

  get flights(): number {
    return this.#flights.size;
  }

  handle(request: ServiceRequest): Uint8Array | Promise<Uint8Array> {
    const arrivedAtMs = this.#clock.elapsedMs();
    const route = request.body.length === 0 ? this.#plainRoute(request) : undefined;
    if (route !== undefined) {
      const reply = this.#fromMemory(route, {}, arrivedAtMs);
      return reply ?? this.#slowly(route, {}, arrivedAtMs);
    }
    return this.#resolved(request, arrivedAtMs);
  }

  /** Obtains a token of the slot, joining a flight where one is in the air. */
  obtain(
    route: Omit<Route, 'caller'>,
    wantGreaterThan: number,
    reason: CallReason,
    options: { onlyIfFree?: boolean } = {},
  ): Promise<FlightOutcome> {
    const { address, source, parameters } = route;
    const plan: FlightPlan = {
      source,
      address,
      parameters,
      wantGreaterThan,
      reason,
      onlyIfFree: options.onlyIfFree ?? false,
      wantedAtMs: reason === 'refresh' ? Number.NEGATIVE_INFINITY : this.#clock.elapsedMs(),
    };
    const key = [address.source, address.slot, address.recipe, String(wantGreaterThan), String(plan.onlyIfFree)].join(
      ' ',
    );
    return this.#flights.join(key, () => fly(this.#ports, plan));
  }

  /** Takes what the store has into memory; never a reason to call the identity provider. */
  async look(source: Source, address: SlotAddress, above: number, wantedAtMs: number): Promise<void> {
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
    };
    if (read.kind === 'hit') takeRecord(this.#ports, plan, read, above);
  }

  /** An invalidation: callers from now on do not join what is in the air. */
  detach(matches: (slot: string, source: string) => boolean): void {
    this.#flights.detachWhere((key) => {
      const [source = '', slot = ''] = key.split(' ');
      return matches(slot, source);
    });
  }

  /** Resolves when the flights that are in the air have ended. */
  settle(): Promise<void> {
    return this.#flights.settle();
  }

  /** Who asks for what, checked against the policy; the refusal is for the caller. */
  resolve(
    caller: string,
    sourceName: string,
    asked: TokenParameters & { readonly subjectToken?: string | undefined },
  ): Route | Failure {
    const { sources } = this.#ports;
    const grant = sources.grant(caller, sourceName);
    const source = sources.source(sourceName);
    if (source === undefined) return failure('UNKNOWN_SOURCE', `there is no source "${sourceName}"`);
    if (grant === undefined)
      return failure('FORBIDDEN', `the policy does not give "${sourceName}" to the caller "${caller}"`);
    if (asked.subjectToken !== undefined)
      return failure('BAD_REQUEST', `the source "${sourceName}" takes no subject token`);
    const { scopes, audience, resource } = asked;
    const parameters: TokenParameters = {
      ...(scopes === undefined ? {} : { scopes }),
      ...(audience === undefined ? {} : { audience }),
      ...(resource === undefined ? {} : { resource }),
    };
    const allowed = authorise(grant, source.configuration, parameters);
    if (!allowed.ok) return allowed.error;
    return { caller, source, address: sources.address(source, parameters), parameters };
  }

  #resolved(request: ServiceRequest, arrivedAtMs: number): Uint8Array | Promise<Uint8Array> {
    const { caller, target } = request;
    const body: GetRequest | Failure = request.body.length === 0 ? {} : this.#parse(request);
    if (isFailure(body)) return this.#refuse(target, caller, body, arrivedAtMs);
    const route = this.resolve(caller, target, parametersOf(body));
    if (isFailure(route)) return this.#refuse(target, caller, route, arrivedAtMs);
    if (body.deadlineMs !== undefined && body.deadlineMs <= 0) {
      return this.#refuse(target, caller, failure('DEADLINE', 'the deadline is past'), arrivedAtMs);
    }
    return this.#fromMemory(route, body, arrivedAtMs) ?? this.#slowly(route, body, arrivedAtMs);
  }

  #parse(request: ServiceRequest): GetRequest | Failure {
    const decoded = decode(getRequestSchema, request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    if (decoded.value.caller !== undefined && decoded.value.caller !== request.caller) {
      return failure('BAD_REQUEST', 'caller: is not the caller of the subject');
    }
    return decoded.value;
  }

  /** The fast path: no body, a known subject, one look-up. */
  #plainRoute(request: ServiceRequest): Route | undefined {
    const { current } = this.#ports.sources;
    if (this.#routesOf !== current.sources) {
      this.#routes.clear();
      this.#routesOf = current.sources;
    }
    const known = this.#routes.get(request.subject);
    if (known !== undefined) return known;
    const route = this.resolve(request.caller, request.target, {});
    if (isFailure(route)) return undefined;
    if (this.#routes.size >= ROUTES_KEPT) this.#routes.clear();
    this.#routes.set(request.subject, route);
    return route;
  }

  #fromMemory(route: Route, wish: GetRequest, arrivedAtMs: number): Uint8Array | undefined {
    const { memory, leaseMs } = this.#ports;
    const held = memory.get(route.address.slot);
    if (held === undefined || !this.#suits(held, route, wish, arrivedAtMs)) return undefined;
    const view = memory.view(route.address.partition);
    if (held.epoch !== view.epoch || !view.hasLease(arrivedAtMs, leaseMs)) return undefined;
    const { after } = wish;
    if (after !== undefined && (after.epoch > view.epoch || (after.epoch === view.epoch && after.vseq > view.applied)))
      return undefined;
    return this.#answer(held, route, 'memory', arrivedAtMs, arrivedAtMs, true);
  }

  #suits(held: Held, route: Route, wish: GetRequest, nowMs: number): boolean {
    return (
      !held.dead &&
      held.address.recipe === route.address.recipe &&
      held.generation >= (wish.minGeneration ?? 0) &&
      held.isFreshFor(wish.minTtlMs ?? 0, nowMs)
    );
  }

  async #slowly(route: Route, wish: GetRequest, arrivedAtMs: number): Promise<Uint8Array> {
    const deadlineMs = arrivedAtMs + (wish.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const minTtlMs = wish.minTtlMs ?? 0;
    // A token that counts but is too short-lived for this caller: only a newer one will do.
    let want = this.#tooShort(route, minTtlMs);
    for (let tries = 0; tries < ANSWER_TRIES; tries++) {
      const joins = this.#flights.has(keyOf(route.address, want, false));
      const work = this.obtain(route, want, 'miss');
      const ended = await within(this.#clock, deadlineMs - this.#clock.elapsedMs(), work);
      if (!ended.inTime)
        return this.#fallback(
          route,
          wish,
          failure('DEADLINE', 'the token was not there in time; the fetch goes on'),
          arrivedAtMs,
        );
      const outcome = ended.value;
      if (outcome.kind === 'elsewhere') continue;
      if (outcome.kind === 'failure') return this.#fallback(route, wish, outcome.failure, arrivedAtMs);
      const { held, layer } = outcome;
      const nowMs = this.#clock.elapsedMs();
      // Checked when the reply is made: what was awaited may have died meanwhile.
      if (!this.#ports.memory.stillCounts(held)) continue;
      if (!held.isFreshFor(layer === 'flight' ? 0 : minTtlMs, nowMs)) {
        want = held.generation;
        continue;
      }
      if (layer === 'flight' && joins) this.#ports.metrics.callSaved(route.address.source);
      return this.#answer(held, route, layer, arrivedAtMs, nowMs, true);
    }
    return this.#refuse(
      route.address.source,
      route.caller,
      failure('REVOKED', 'the token is revoked faster than it can be fetched', 1_000),
      arrivedAtMs,
    );
  }

  #tooShort(route: Route, minTtlMs: number): number {
    const held = this.#ports.memory.peek(route.address.slot);
    if (held === undefined || held.dead || held.address.recipe !== route.address.recipe) return 0;
    return held.isFreshFor(minTtlMs, this.#clock.elapsedMs()) ? 0 : held.generation;
  }

  /** The old token while it is good, where a new one cannot be had; flagged where Redis is the reason. */
  #fallback(route: Route, wish: GetRequest, cause: Failure, arrivedAtMs: number): Uint8Array {
    const { memory, leaseMs, maxStalenessMs } = this.#ports;
    const nowMs = this.#clock.elapsedMs();
    const held = memory.peek(route.address.slot);
    const isUsable = held !== undefined && this.#suits(held, route, { ...wish, minTtlMs: 0 }, nowMs);
    if (!isUsable) return this.#refuse(route.address.source, route.caller, cause, arrivedAtMs);
    const view = memory.view(route.address.partition);
    const verified = view.hasLease(nowMs, leaseMs);
    const isWithinBound = view.leasedAtMs !== undefined && nowMs - view.leasedAtMs < maxStalenessMs;
    if (!verified && !isWithinBound) return this.#refuse(route.address.source, route.caller, cause, arrivedAtMs);
    return this.#answer(held, route, 'memory', arrivedAtMs, nowMs, verified);
  }

  #answer(held: Held, route: Route, layer: Layer, arrivedAtMs: number, nowMs: number, verified: boolean): Uint8Array {
    const { memory, metrics } = this.#ports;
    held.wantedAtMs = nowMs;
    const { source } = route.address;
    metrics.requestServed(source, route.caller, layer, 'ok', nowMs - arrivedAtMs);
    if (layer !== 'flight') metrics.callSaved(source);
    return held.template.render({
      asOf: Math.max(held.asOfVseq, memory.view(route.address.partition).applied),
      expiresInMs: held.remainingMs(nowMs),
      atMs: held.redisMs(nowMs),
      heldMs: nowMs - arrivedAtMs,
      verified,
    });
  }

  #refuse(source: string, caller: string, cause: Failure, arrivedAtMs: number): Uint8Array {
    this.#ports.metrics.requestServed(source, caller, 'none', cause.code, this.#clock.elapsedMs() - arrivedAtMs);
    return encode({ v: 1, error: cause });
  }
}

/** Flights are joined by slot, recipe and wish. The source comes first, for {@link GetToken.detach}. */
function keyOf(address: SlotAddress, wantGreaterThan: number, onlyIfFree: boolean): string {
  return [address.source, address.slot, address.recipe, String(wantGreaterThan), String(onlyIfFree)].join(' ');
}

export function isFailure(value: object): value is Failure {
  return 'code' in value && 'message' in value;
}

/** The parameters in a body, as they name a slot. */
export function parametersOf(
  body: Pick<GetRequest, 'scope' | 'audience' | 'resource' | 'subjectToken'>,
): TokenParameters & { readonly subjectToken?: string } {
  const { scope, audience, resource, subjectToken } = body;
  return {
    ...(scope === undefined ? {} : { scopes: scope }),
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
    ...(subjectToken === undefined ? {} : { subjectToken }),
  };
}
