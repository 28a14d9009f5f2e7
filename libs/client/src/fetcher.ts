import { postponeRefresh } from './near-cache/entry.js';
import type { NearCache } from './near-cache/near-cache.js';
import type { SlotState } from './near-cache/slot-state.js';
import { Flight, type FlightParts } from './flight.js';
import type { FetchWish } from './request-body.js';
import type { Token } from './token.js';
import { followed, type TracedEnd, type TracedRequest, type Tracing } from './traced-requests.js';

export interface FetcherOptions extends Omit<FlightParts, 'counters' | 'closing' | 'landed'> {
  readonly cache: NearCache;
  readonly tracing: Tracing | undefined;
}

/** Asks brokers for tokens: at most one request per slot is in the air. */
export class Fetcher {
  readonly counters = { requests: 0, joined: 0 };
  readonly #options: FetcherOptions;
  readonly #parts: FlightParts;
  /** Of slots that were pushed out while they waited, and may be made anew meanwhile. The others are held by their slots. */
  readonly #strays = new Map<string, Promise<Token>>();
  readonly #closing = new AbortController();
  /** By slot, where somebody follows requests. */
  readonly #followed = new Map<string, TracedRequest>();

  constructor(options: FetcherOptions) {
    this.#options = options;
    const { clock, random, requester, subjects, caller, cache, requestTimeoutMs, listen } = options;
    const landed = (state: SlotState): void => {
      state.flight = undefined;
      if (!state.attached) this.#strays.delete(state.slot);
    };
    this.#parts = {
      ...{ clock, random, requester, subjects, caller, cache, requestTimeoutMs, listen },
      ...{ counters: this.counters, closing: this.#closing.signal, landed },
    };
  }

  isFetching(state: SlotState): boolean {
    return this.#flightOf(state) !== undefined;
  }

  /**
   * The token of a slot from a broker; joins the fetch that is in the air. It has a deadline of its own. Whoever leaves it has
   * to see to its failure.
   */
  fetch(state: SlotState, wish: FetchWish = {}, nowMs: number = this.#options.clock.elapsedMs()): Promise<Token> {
    const joined = this.#flightOf(state);
    if (joined !== undefined) {
      this.counters.joined += 1;
      return joined;
    }
    const { tracing } = this.#options;
    if (tracing !== undefined) return this.#fetchTraced(tracing, state, wish, nowMs);
    const flight = new Flight(this.#parts, state, wish, nowMs, undefined);
    if (!flight.isOver) this.#took(state, flight.token);
    return flight.token;
  }

  /**
   * Shows in the trace of one more caller that it waits for the fetch in the air; to be told how that ended. `undefined`:
   * nobody follows requests.
   */
  follow({ slot }: SlotState): ((how: TracedEnd) => void) | undefined {
    return this.#followed.get(slot)?.joined();
  }

  /** Renews a held token while it is still served. A failure only puts off the next try. */
  renew(state: SlotState): void {
    const { clock, cache } = this.#options;
    const before = state.entry;
    if (before === undefined || this.isFetching(state) || this.#closing.signal.aborted) return;
    const postpone = (): void => {
      if (state.entry === before) postponeRefresh(before, clock.elapsedMs(), cache.timing.minLifetimeMs);
    };
    this.fetch(state, { isBackground: true }).then(postpone, postpone);
  }

  /** The slot was pushed out. */
  evicted({ slot, flight }: SlotState): void {
    if (flight !== undefined) this.#strays.set(slot, flight);
  }

  close(): void {
    this.#closing.abort();
  }

  #flightOf({ slot, flight }: SlotState): Promise<Token> | undefined {
    return flight ?? (this.#strays.size === 0 ? undefined : this.#strays.get(slot));
  }

  #took(state: SlotState, flight: Promise<Token>): void {
    state.flight = flight;
    if (!state.attached) this.evicted(state);
  }

  #fetchTraced(tracing: Tracing, state: SlotState, wish: FetchWish, nowMs: number): Promise<Token> {
    const { source, slot } = state;
    const request = tracing.begin({ operation: 'get', source, slot, isBackground: wish.isBackground === true });
    this.#followed.set(slot, request);
    const begun: { flight?: Flight } = {};
    const token = followed(request, (headers) => {
      begun.flight = new Flight(this.#parts, state, wish, nowMs, headers);
      return begun.flight.token;
    }).finally(() => this.#followed.delete(slot));
    if (begun.flight?.isOver !== true) this.#took(state, token);
    return token;
  }
}
