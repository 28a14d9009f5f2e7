import type { Clock } from '@token-broker/foundation';
import { encode, type Failure } from '@token-broker/protocol';
import type { Memory } from '../memory/memory.js';
import type { ServiceRequest } from '../ports/bus.js';
import type { Layer, Metrics } from '../ports/telemetry.js';
import { noSpan, type Span, type SpanFacts, type Tracing } from '../ports/tracing.js';
import type { Held } from '../tokens/held.js';
import type { Route } from './routes.js';

/** A request that is not answered at once. */
export interface Asked {
  readonly arrivedAtMs: number;
  readonly span: Span;
}

export interface GetRepliesPorts {
  readonly clock: Clock;
  readonly memory: Memory;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
}

/** What a `get` is answered with. Each answer is counted once, and shown in its trace. */
export class GetReplies {
  readonly #clock: Clock;
  readonly #memory: Memory;
  readonly #metrics: Metrics;
  readonly #tracing: Tracing;

  constructor({ clock, memory, metrics, tracing }: GetRepliesPorts) {
    this.#clock = clock;
    this.#memory = memory;
    this.#metrics = metrics;
    this.#tracing = tracing;
  }

  /** Begins the span of a request that waits for something. */
  begin(request: ServiceRequest, arrivedAtMs: number): Asked {
    return { arrivedAtMs, span: this.#start(request, { source: request.target }) };
  }

  /** A token out of memory, without a wait: most of all answers. Nothing is made for it but the reply. */
  tokenAtOnce(request: ServiceRequest, held: Held, route: Route, nowMs: number): Uint8Array {
    if (this.#isWorthASpan(request)) this.#start(request, { source: request.target, layer: 'memory' }).end('ok');
    route.countHit ??= this.#metrics.hitCounter(route.address.source, route.caller);
    route.countHit();
    return this.#rendered(held, route, nowMs, nowMs, true);
  }

  token(held: Held, route: Route, layer: Layer, asked: Asked, nowMs: number, verified: boolean): Uint8Array {
    asked.span.set({ layer, slot: route.address.slot, generation: held.generation, verified });
    asked.span.end('ok');
    return this.#token(held, route, layer, asked.arrivedAtMs, nowMs, verified);
  }

  /** A token that was fetched without Redis: it is rendered by who fetched it. */
  fetchedAlone({ address, caller }: Route, { arrivedAtMs, span }: Asked, reply: Uint8Array): Uint8Array {
    span.set({ layer: 'flight', slot: address.slot, verified: false });
    span.end('ok');
    this.#metrics.requestServed(address.source, caller, 'flight', 'ok', this.#clock.elapsedMs() - arrivedAtMs);
    return reply;
  }

  refusalAtOnce(request: ServiceRequest, cause: Failure, arrivedAtMs: number): Uint8Array {
    if (this.#isWorthASpan(request)) {
      // What was not found to be a source may be anything, put in the wrong place.
      const isSource = cause.code !== 'UNKNOWN_SOURCE' && cause.code !== 'BAD_REQUEST';
      this.#start(request, { layer: 'none', ...(isSource ? { source: request.target } : {}) }).end(cause.code);
    }
    return this.#refusal(request.target, request.caller, cause, arrivedAtMs);
  }

  refusal({ address, caller }: Route, cause: Failure, { arrivedAtMs, span }: Asked): Uint8Array {
    span.set({ layer: 'none', slot: address.slot });
    span.end(cause.code);
    return this.#refusal(address.source, caller, cause, arrivedAtMs);
  }

  #token(held: Held, route: Route, layer: Layer, arrivedAtMs: number, nowMs: number, verified: boolean): Uint8Array {
    const { source } = route.address;
    this.#metrics.requestServed(source, route.caller, layer, 'ok', nowMs - arrivedAtMs);
    if (layer !== 'flight' && layer !== 'idp') this.#metrics.callSaved(source);
    return this.#rendered(held, route, arrivedAtMs, nowMs, verified);
  }

  #rendered(held: Held, route: Route, arrivedAtMs: number, nowMs: number, verified: boolean): Uint8Array {
    held.wantedAtMs = nowMs;
    held.wantedBy = route.caller;
    return held.template.render({
      asOf: this.#memory.asOfNow(held),
      expiresInMs: held.remainingMs(nowMs),
      atMs: held.redisMs(nowMs),
      heldMs: nowMs - arrivedAtMs,
      verified,
    });
  }

  #refusal(source: string, caller: string, cause: Failure, arrivedAtMs: number): Uint8Array {
    this.#metrics.requestServed(source, caller, 'none', cause.code, this.#clock.elapsedMs() - arrivedAtMs);
    return encode({ v: 1, error: cause });
  }

  /** Of what is answered at once: only where its caller has the trace recorded. It is most of what a broker does. */
  #isWorthASpan(request: ServiceRequest): boolean {
    return this.#tracing.isOn && request.trace?.isSampled === true;
  }

  #start(request: ServiceRequest, facts: SpanFacts): Span {
    if (!this.#tracing.isOn) return noSpan;
    return this.#tracing.start('get', request.trace, { caller: request.caller, ...facts });
  }
}
