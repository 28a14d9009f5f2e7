import type { Clock, Timer } from '@token-broker/foundation';
import { failure, inboxPrefixOf, TokenBrokerError, type Failure } from '@token-broker/protocol';
import { PendingRequests } from './pending-requests.js';
import type { MessageHeaders } from './traced-requests.js';
import { refusedPublishOf, type NatsConnectionLike, type NatsSubscriptionLike } from './nats-connection.js';

/** Requests of one client that may wait for a reply at the same time. */
export const MAX_PENDING_REQUESTS = 10_000;

const NO_RESPONDERS = 503;

export interface RequesterOptions {
  readonly connection: NatsConnectionLike;
  readonly clock: Clock;
  readonly caller: string;
  /** One token of a subject, unique among the instances of the caller. */
  readonly instance: string;
}

/** A request, and whom its reply goes to. Nothing that it does with that may throw. */
export interface WaitingRequest {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MessageHeaders | undefined;
  /** Until when a reply is waited for, on `clock.elapsedMs()`. */
  readonly dueAtMs: number;
  replied(data: Uint8Array): void;
  /** With what {@link Requester.request} throws. No reply can come any more. */
  failed(error: TokenBrokerError): void;
  /** Asked when it is due. `true`: it has put that off, and waits on. */
  putsOff(nowMs: number): boolean;
}

/**
 * Requests and replies over one wildcard subscription and one timer. The connection's own `request()` makes a
 * timer and several promises per request, and its inbox is not the one that the brokers answer to.
 */
export class Requester {
  readonly #options: RequesterOptions;
  readonly #prefix: string;
  readonly #subscription: NatsSubscriptionLike;
  readonly #pending = new PendingRequests<WaitingRequest>();
  #timer: Timer | undefined;
  #timerDueAtMs = Number.POSITIVE_INFINITY;
  #connected = true;
  #closed = false;
  /** Set when no reply can come any more. */
  #deaf: Failure | undefined;

  constructor(options: RequesterOptions) {
    this.#options = options;
    this.#prefix = `${inboxPrefixOf(options.caller)}.${options.instance}.`;
    this.#subscription = options.connection.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => {
        if (error === null) this.#settle(message.subject, message.data, message.headers?.code);
        else this.#loseInbox();
      },
    });
  }

  /** Requests that wait for a reply. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Sends a request and gives the first reply.
   *
   * @throws {TokenBrokerError} `DEADLINE` when none came in time, `BROKER_UNAVAILABLE` when nobody serves the subject or
   * the connection is down, `FORBIDDEN` when the server refuses the subject, `CLOSED`
   */
  request(subject: string, data: Uint8Array, timeoutMs: number, headers?: MessageHeaders): Promise<Uint8Array> {
    return new Promise((replied, failed) => {
      const dueAtMs = this.#options.clock.elapsedMs() + Math.max(0, timeoutMs);
      this.send({ subject, data, headers, dueAtMs, replied, failed, putsOff: () => false });
    });
  }

  /** The same without a promise. It may fail before this returns. */
  send(request: WaitingRequest): void {
    const refused = this.#refusal();
    if (refused !== undefined) {
      request.failed(new TokenBrokerError(refused));
      return;
    }
    const token = this.#pending.add(request);
    if (request.dueAtMs < this.#timerDueAtMs) this.#startTimer(request.dueAtMs);
    this.#publish(token, request);
  }

  /** Sends a request whose reply nobody reads. */
  post(subject: string, data: Uint8Array): void {
    if (this.#closed) return;
    try {
      const reply = this.#prefix + this.#pending.reserve();
      this.#options.connection.publish(subject, data, { reply });
    } catch {
      // The connection is closed or closing: nobody waits for this message.
    }
  }

  /** To be told of each status of the connection. */
  onStatus(status: { readonly type: string }): void {
    if (status.type === 'disconnect') this.#connected = false;
    if (status.type === 'reconnect') {
      this.#connected = true;
      // What was published into the broken connection is gone, and so are the replies. Every request of the protocol
      // may be sent twice.
      for (const [token, pending] of this.#pending.entries()) this.#publish(token, pending);
    }
    const refused = refusedPublishOf(status);
    if (refused === undefined) return;
    for (const [token, pending] of this.#pending.entries()) {
      if (pending.subject === refused.subject)
        this.#fail(
          token,
          failure('FORBIDDEN', `the NATS server does not let this client publish to ${refused.subject}`),
        );
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.unsubscribe();
    this.#timer?.cancel();
    for (const [token] of this.#pending.entries()) this.#fail(token, failure('CLOSED', 'the client was closed'));
  }

  #refusal(): Failure | undefined {
    if (this.#closed) return failure('CLOSED', 'the client is closed');
    if (this.#deaf !== undefined) return this.#deaf;
    if (this.#pending.size < MAX_PENDING_REQUESTS) return undefined;
    return failure('BROKER_UNAVAILABLE', `${String(MAX_PENDING_REQUESTS)} requests wait for a reply already`);
  }

  #publish(token: string, { subject, data, headers }: WaitingRequest): void {
    try {
      const reply = this.#prefix + token;
      this.#options.connection.publish(
        subject,
        data,
        headers === undefined ? { reply } : { reply, headers: headers as never },
      );
    } catch {
      this.#fail(token, failure('BROKER_UNAVAILABLE', 'the connection to NATS is closed'));
    }
  }

  #settle(subject: string, data: Uint8Array, code: number | undefined): void {
    const token = subject.slice(this.#prefix.length);
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    if (code === NO_RESPONDERS && data.length === 0) {
      this.#fail(token, failure('BROKER_UNAVAILABLE', `no broker serves ${pending.subject}`));
      return;
    }
    this.#pending.delete(token);
    pending.replied(data);
  }

  /** The server has refused the subscription, and will not think again before the client is made anew. */
  #loseInbox(): void {
    const inbox = `${this.#prefix}*`;
    this.#deaf = failure('FORBIDDEN', `the NATS server does not let this client listen to ${inbox}`);
    for (const [token] of this.#pending.entries()) this.#fail(token, this.#deaf);
  }

  #fail(token: string, cause: Failure): void {
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    this.#pending.delete(token);
    pending.failed(new TokenBrokerError(cause));
  }

  /**
   * One timer for all: it is set to the earliest deadline when it was started, and moved on when it fires. Requests that
   * were answered leave it alone, so that all are looked through about once per timeout.
   */
  #startTimer(dueAtMs: number): void {
    this.#timer?.cancel();
    this.#timerDueAtMs = dueAtMs;
    const { clock } = this.#options;
    this.#timer = clock.startTimer(Math.max(0, dueAtMs - clock.elapsedMs()), () => {
      this.#timerDueAtMs = Number.POSITIVE_INFINITY;
      this.#expire();
    });
  }

  #expire(): void {
    const nowMs = this.#options.clock.elapsedMs();
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const [token, pending] of this.#pending.entries()) {
      if (pending.dueAtMs > nowMs || pending.putsOff(nowMs)) earliestMs = Math.min(earliestMs, pending.dueAtMs);
      else if (this.#connected) this.#fail(token, failure('DEADLINE', `no reply on ${pending.subject} in time`));
      else this.#fail(token, failure('BROKER_UNAVAILABLE', 'the connection to NATS is down'));
    }
    if (earliestMs < this.#timerDueAtMs) this.#startTimer(earliestMs);
  }
}
