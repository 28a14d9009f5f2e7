import { backoffMs, delay, type BackoffPolicy, type Clock, type Random } from '@token-broker/foundation';
import {
  decode,
  failure,
  getReplySchema,
  isUsualTokenReply,
  LIMITS,
  TokenBrokerError,
  type Failure,
  type Subjects,
} from '@token-broker/protocol';
import type { NearCache } from './near-cache/near-cache.js';
import { takeReply } from './near-cache/replies.js';
import type { SlotState } from './near-cache/slot-state.js';
import { requestBody, type FetchWish } from './request-body.js';
import type { Requester, WaitingRequest } from './requester.js';
import type { Token } from './token.js';
import type { MessageHeaders } from './traced-requests.js';

/** Requests that one fetch makes when brokers answer with less than this client knows of. */
const MAX_ATTEMPTS = 4;
/** Those that it makes when brokers say that another one may be able to: for a second or so, in which they may be too. */
const MAX_BROKERS_ASKED = 8;
/** Without a reply for so long, the request is sent again: the broker that took it may be gone, and asking twice costs nothing. */
const RESEND_AFTER_MS = 3_000;
const BEHIND_BACKOFF: BackoffPolicy = { firstMs: 20, maxMs: 500 };

/** What the fetches of one client have in common. */
export interface FlightParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly requester: Requester;
  readonly subjects: Subjects;
  readonly caller: string;
  readonly cache: NearCache;
  readonly requestTimeoutMs: number;
  /** Called before each request: the slot's events must be listened to by then. */
  readonly listen: (state: SlotState) => void;
  readonly counters: { requests: number };
  /** Aborted when the client is closed. */
  readonly closing: AbortSignal;
  /** Called when a fetch is over, before anybody who waits for it hears of that. */
  readonly landed: (state: SlotState) => void;
}

/**
 * One fetch, from its first request to a token that counts. It is driven by the callbacks of its requests: thousands of them
 * in a second have no timers, and no promises but the one that is waited for.
 */
export class Flight {
  readonly token: Promise<Token>;
  readonly #parts: FlightParts;
  readonly #state: SlotState;
  readonly #wish: FetchWish;
  readonly #headers: MessageHeaders | undefined;
  readonly #deadlineAtMs: number;
  #resolve: (token: Token) => void = unset;
  #reject: (error: Error) => void = unset;
  #isOver = false;
  /** Questions that were put; each is one request, or several where no reply comes. */
  #questions = 0;
  /** The number of the question whose reply counts. 0: none. */
  #awaited = 0;
  #refusals = 0;

  constructor(
    parts: FlightParts,
    state: SlotState,
    wish: FetchWish,
    nowMs: number,
    headers: MessageHeaders | undefined,
  ) {
    this.#parts = parts;
    this.#state = state;
    this.#wish = wish;
    this.#headers = headers;
    this.#deadlineAtMs = nowMs + Math.max(parts.requestTimeoutMs, wish.timeoutMs ?? 0);
    this.token = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#ask(nowMs);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** A reply to one of its requests. */
  replied({ question, sentAtMs }: Sent, data: Uint8Array): void {
    // Whichever reply comes first is the answer to a question.
    if (question !== this.#awaited) return;
    this.#awaited = 0;
    try {
      this.#take(data, sentAtMs);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** There will be no reply to one of its requests. */
  failed({ question }: Sent, error: TokenBrokerError): void {
    if (question === this.#awaited) this.#fail(error);
  }

  /** There is no reply to one of its requests yet: sends the question once more. `false`: nobody waits for that any more. */
  unanswered({ question, subject, data }: Sent, nowMs: number): boolean {
    if (question !== this.#awaited || nowMs >= this.#deadlineAtMs) return false;
    this.#send(subject, data, nowMs);
    return true;
  }

  #ask(nowMs: number): void {
    const { subjects, caller, listen, closing } = this.#parts;
    const state = this.#state;
    if (nowMs >= this.#deadlineAtMs) {
      this.#refuse(failure('DEADLINE', 'no broker had a current token in time'));
      return;
    }
    if (closing.aborted) {
      this.#refuse(failure('CLOSED', 'the client is closed'));
      return;
    }
    try {
      listen(state);
    } catch {
      this.#refuse(failure('BROKER_UNAVAILABLE', 'the connection to NATS is closed'));
      return;
    }
    this.#awaited = ++this.#questions;
    this.#send(subjects.get(caller, state.source), requestBody(state, this.#wish, this.#refusals > 0), nowMs);
  }

  #send(subject: string, data: Uint8Array, nowMs: number): void {
    const { counters, requester } = this.#parts;
    counters.requests += 1;
    requester.send(new Sent(this, subject, data, this.#headers, this.#awaited, nowMs, this.#deadlineAtMs));
  }

  #take(data: Uint8Array, sentAtMs: number): void {
    const { clock, cache } = this.#parts;
    const decoded = decode(getReplySchema, data, LIMITS.replyBytes, isUsualTokenReply);
    if (!decoded.ok) {
      this.#refuse(failure('INTERNAL', `a broker's reply cannot be read: ${decoded.error}`));
      return;
    }
    const reply = decoded.value;
    if ('error' in reply) {
      const { code, message, retryAfterMs } = reply.error;
      // The broker that was asked is leaving, or was too slow to fetch: it says that another one may be asked at once.
      const isOfOneBroker = code === 'BROKER_UNAVAILABLE' && retryAfterMs === 0;
      if (isOfOneBroker && this.#questions < MAX_BROKERS_ASKED) this.#askAgain();
      else this.#refuse(failure(code, message, retryAfterMs));
      return;
    }
    // The first word of a broker may be this one: how long its token may be kept is not guessed.
    if (reply.timing !== undefined) cache.adoptTiming(reply.timing);
    const taken = takeReply(cache, this.#state, reply, sentAtMs, clock.elapsedMs());
    if (taken.kind !== 'refused') {
      this.#end();
      this.#resolve(taken.token);
    } else if (++this.#refusals < MAX_ATTEMPTS) this.#askAgain();
    else {
      const message = `the brokers answer with tokens that this client knows not to count (${taken.why})`;
      this.#refuse(failure('BROKER_UNAVAILABLE', message));
    }
  }

  #askAgain(): void {
    const { clock, random, closing } = this.#parts;
    // The second try goes at once: it says what is known, which makes a broker that lags read Redis.
    if (this.#questions < 2) {
      this.#ask(clock.elapsedMs());
      return;
    }
    const pauseMs = backoffMs(BEHIND_BACKOFF, this.#questions - 1, random.uniform());
    void delay(clock, pauseMs, closing).then(() => {
      this.#ask(clock.elapsedMs());
    });
  }

  #refuse(cause: Failure): void {
    this.#fail(new TokenBrokerError(cause));
  }

  #fail(error: Error): void {
    this.#end();
    this.#reject(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#awaited = 0;
    this.#parts.landed(this.#state);
  }
}

/** A request of a flight, and when it was sent: the life of the token in its reply is counted from there. */
class Sent implements WaitingRequest {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MessageHeaders | undefined;
  readonly question: number;
  readonly sentAtMs: number;
  dueAtMs: number;
  readonly #deadlineAtMs: number;
  readonly #flight: Flight;

  constructor(
    flight: Flight,
    subject: string,
    data: Uint8Array,
    headers: MessageHeaders | undefined,
    question: number,
    sentAtMs: number,
    deadlineAtMs: number,
  ) {
    this.#flight = flight;
    this.subject = subject;
    this.data = data;
    this.headers = headers;
    this.question = question;
    this.sentAtMs = sentAtMs;
    this.#deadlineAtMs = deadlineAtMs;
    this.dueAtMs = Math.min(sentAtMs + RESEND_AFTER_MS, deadlineAtMs);
  }

  replied(data: Uint8Array): void {
    this.#flight.replied(this, data);
  }

  failed(error: TokenBrokerError): void {
    this.#flight.failed(this, error);
  }

  putsOff(nowMs: number): boolean {
    if (!this.#flight.unanswered(this, nowMs)) return false;
    // Its own reply may still be the first.
    this.dueAtMs = this.#deadlineAtMs;
    return true;
  }
}

function unset(): void {
  throw new Error('not set yet');
}
