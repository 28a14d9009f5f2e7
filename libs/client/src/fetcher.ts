import {
  backoffMs,
  delay,
  SingleFlight,
  within,
  type BackoffPolicy,
  type Clock,
  type Random,
} from '@token-broker/foundation';
import {
  decode,
  encode,
  failure,
  getReplySchema,
  LIMITS,
  TokenBrokerError,
  type GetRequest,
  type Subjects,
  type TokenReply,
} from '@token-broker/protocol';
import type { NearCache } from './near-cache/near-cache.js';
import { takeReply, type Refusal } from './near-cache/replies.js';
import { bodyOf, type SlotState } from './near-cache/slot-state.js';
import type { Requester } from './requester.js';
import type { Token } from './token.js';
import { followed, type MessageHeaders, type TracedEnd, type TracedRequest, type Tracing } from './traced-requests.js';

/** Requests that one fetch makes when brokers answer with less than this client knows of. */
const MAX_ATTEMPTS = 4;
/** Those that it makes when brokers say that another one may be able to: for a second or so, in which they may be too. */
const MAX_BROKERS_ASKED = 8;
/** Without a reply for so long, the request is sent again: the broker that took it may be gone, and asking twice costs nothing. */
const RESEND_AFTER_MS = 3_000;
const BEHIND_BACKOFF: BackoffPolicy = { firstMs: 20, maxMs: 500 };
const EMPTY = new Uint8Array(0);

export interface FetcherOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly requester: Requester;
  readonly subjects: Subjects;
  readonly caller: string;
  readonly cache: NearCache;
  readonly requestTimeoutMs: number;
  readonly tracing: Tracing | undefined;
  /** Called before each request: the slot's events must be listened to by then. */
  readonly listen: (state: SlotState) => void;
}

/** What a caller wants beyond the token of the slot. */
export interface FetchWish {
  readonly minTtlMs?: number;
  /** Raises the deadline of the fetch above the client's `requestTimeoutMs`. */
  readonly timeoutMs?: number;
  /** Nobody waits for it. */
  readonly isBackground?: boolean;
}

/** Asks brokers for tokens: at most one request per slot is in the air. */
export class Fetcher {
  readonly counters = { requests: 0, joined: 0 };
  readonly #options: FetcherOptions;
  readonly #flights = new SingleFlight<Token>();
  readonly #closing = new AbortController();
  /** By slot, where somebody follows requests. */
  readonly #followed = new Map<string, TracedRequest>();

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  isFetching(state: SlotState): boolean {
    return this.#flights.has(state.slot);
  }

  /** The token of a slot from a broker; joins the fetch that is in the air. It has a deadline of its own. */
  fetch(state: SlotState, wish: FetchWish = {}): Promise<Token> {
    if (this.#flights.has(state.slot)) this.counters.joined += 1;
    const flight = this.#flights.join(state.slot, () => this.#begin(state, wish));
    // Everybody who waits may have left by the time it fails.
    flight.catch(() => undefined);
    return flight;
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
    if (before === undefined || this.#flights.has(state.slot) || this.#closing.signal.aborted) return;
    const postpone = (): void => {
      if (state.entry === before) cache.postponeRefresh(before, clock.elapsedMs());
    };
    this.fetch(state, { isBackground: true }).then(postpone, postpone);
  }

  close(): void {
    this.#closing.abort();
  }

  #begin(state: SlotState, wish: FetchWish): Promise<Token> {
    const { tracing } = this.#options;
    if (tracing === undefined) return this.#run(state, wish);
    const { source, slot } = state;
    const request = tracing.begin({ operation: 'get', source, slot, isBackground: wish.isBackground === true });
    this.#followed.set(slot, request);
    return followed(request, (headers) => this.#run(state, wish, headers)).finally(() => this.#followed.delete(slot));
  }

  async #run(state: SlotState, wish: FetchWish, headers?: MessageHeaders): Promise<Token> {
    const { clock, random, cache, requestTimeoutMs } = this.#options;
    const deadlineAtMs = clock.elapsedMs() + Math.max(requestTimeoutMs, wish.timeoutMs ?? 0);
    let why: Refusal | undefined;
    let refusals = 0;
    for (let attempt = 1; refusals < MAX_ATTEMPTS; attempt++) {
      // The second try goes at once: it says what is known, which makes a broker that lags read Redis.
      if (attempt > 2)
        await delay(clock, backoffMs(BEHIND_BACKOFF, attempt - 2, random.uniform()), this.#closing.signal);
      let answered: Answered;
      try {
        answered = await this.#request(state, wish, deadlineAtMs, why !== undefined, headers);
      } catch (error) {
        if (attempt < MAX_BROKERS_ASKED && isOfOneBroker(error)) continue;
        throw error;
      }
      const { reply, sentAtMs } = answered;
      // The first word of a broker may be this one: how long its token may be kept is not guessed.
      if (reply.timing !== undefined) cache.adoptTiming(reply.timing);
      const taken = takeReply(cache, state, reply, sentAtMs, clock.elapsedMs());
      if (taken.kind !== 'refused') return taken.token;
      why = taken.why;
      refusals++;
    }
    const message = `the brokers answer with tokens that this client knows not to count (${why ?? 'refused'})`;
    throw new TokenBrokerError(failure('BROKER_UNAVAILABLE', message));
  }

  async #request(
    state: SlotState,
    wish: FetchWish,
    deadlineAtMs: number,
    again: boolean,
    headers: MessageHeaders | undefined,
  ): Promise<Answered> {
    const { clock, subjects, caller, listen } = this.#options;
    if (clock.elapsedMs() >= deadlineAtMs)
      throw new TokenBrokerError(failure('DEADLINE', 'no broker had a current token in time'));
    if (this.#closing.signal.aborted) throw new TokenBrokerError(failure('CLOSED', 'the client is closed'));
    try {
      listen(state);
    } catch {
      throw new TokenBrokerError(failure('BROKER_UNAVAILABLE', 'the connection to NATS is closed'));
    }
    const request = requestOf(state, wish, again);
    const body = Object.keys(request).length === 0 ? EMPTY : encode(request);
    const { data, sentAtMs } = await this.#send(subjects.get(caller, state.source), body, deadlineAtMs, headers);
    const reply = decode(getReplySchema, data, LIMITS.replyBytes);
    if (!reply.ok) throw new TokenBrokerError(failure('INTERNAL', `a broker's reply cannot be read: ${reply.error}`));
    if ('error' in reply.value) {
      const { code, message, retryAfterMs } = reply.value.error;
      throw new TokenBrokerError(failure(code, message, retryAfterMs));
    }
    return { reply: reply.value, sentAtMs };
  }

  /** Sends the request, and again while nothing is heard; whichever reply comes first is the answer. */
  async #send(
    subject: string,
    body: Uint8Array,
    deadlineAtMs: number,
    headers: MessageHeaders | undefined,
  ): Promise<Sent> {
    const { clock, requester } = this.#options;
    const sent: Promise<Sent>[] = [];
    for (;;) {
      const sentAtMs = clock.elapsedMs();
      const leftMs = deadlineAtMs - sentAtMs;
      this.counters.requests += 1;
      const reply = requester.request(subject, body, leftMs, headers).then((data) => ({ data, sentAtMs }));
      reply.catch(() => undefined);
      sent.push(reply);
      const first = Promise.race(sent);
      if (leftMs <= RESEND_AFTER_MS) return first;
      const heard = await within(clock, RESEND_AFTER_MS, first);
      if (heard.inTime) return heard.value;
    }
  }
}

/** The broker that was asked is leaving, or was too slow to fetch: it says that another one may be asked at once. */
function isOfOneBroker(error: unknown): boolean {
  return error instanceof TokenBrokerError && error.code === 'BROKER_UNAVAILABLE' && error.retryAfterMs === 0;
}

/** A reply, and when the request was sent that it answers: its life is counted from there. */
interface Sent {
  readonly data: Uint8Array;
  readonly sentAtMs: number;
}

interface Answered {
  readonly reply: TokenReply;
  readonly sentAtMs: number;
}

/**
 * What a request has to say. Nothing, as a rule: a broker answers an empty body without parsing anything. What this
 * client knows of is told when the last answer did not have it, or the answer to this request was refused.
 */
function requestOf(state: SlotState, wish: FetchWish, again: boolean): GetRequest {
  const { partition } = state;
  const tellsPosition = partition !== undefined && (again || partition.heard > partition.repliedAsOf);
  const tellsGeneration = state.greatestGeneration > 0 && (again || state.greatestGeneration > state.takenGeneration);
  return {
    ...bodyOf(state.parameters),
    ...(wish.minTtlMs === undefined ? {} : { minTtlMs: Math.ceil(wish.minTtlMs) }),
    ...(wish.timeoutMs === undefined ? {} : { deadlineMs: Math.min(LIMITS.deadlineMs, Math.ceil(wish.timeoutMs)) }),
    ...(tellsPosition ? { after: { epoch: partition.epoch, vseq: partition.heard } } : {}),
    ...(tellsGeneration ? { minGeneration: state.greatestGeneration } : {}),
  };
}
