import type { Clock } from '@token-broker/foundation';
import type { MessageHeaders } from '../traced-requests.js';
import type { NatsCallback, NatsConnectionLike, NatsMessageLike, NatsStatusLike } from '../nats-connection.js';

/** What becomes of a message: it passes, is lost, or comes once after each of the delays, in ms. */
export type Meddling = (message: Delivery) => 'pass' | 'lose' | readonly number[];

export interface Delivery extends NatsMessageLike {
  readonly reply: string | undefined;
}

interface Subscription {
  readonly pattern: string;
  readonly callback: (delivery: Delivery) => void;
}

/** A NATS server in memory: subjects with wildcards, one latency for all, no-responders. */
export class FakeNats {
  readonly clock: Clock;
  readonly latencyMs: number;
  readonly #subscriptions = new Set<Subscription>();

  constructor(clock: Clock, latencyMs = 1) {
    this.clock = clock;
    this.latencyMs = latencyMs;
  }

  connect(): FakeConnection {
    return new FakeConnection(this);
  }

  subscribe(pattern: string, callback: (delivery: Delivery) => void): () => void {
    const subscription = { pattern, callback };
    this.#subscriptions.add(subscription);
    return () => this.#subscriptions.delete(subscription);
  }

  publish(subject: string, data: Uint8Array, reply?: string): void {
    const matching = [...this.#subscriptions].filter(({ pattern }) => matches(pattern, subject));
    const delivery = { subject, data, reply };
    if (matching.length === 0 && reply !== undefined) {
      this.#deliver({ subject: reply, data: new Uint8Array(0), reply: undefined, headers: { code: 503 } });
      return;
    }
    for (const subscription of matching) this.#later(subscription, delivery);
  }

  #deliver(delivery: Delivery): void {
    for (const subscription of this.#subscriptions)
      if (matches(subscription.pattern, delivery.subject)) this.#later(subscription, delivery);
  }

  #later(subscription: Subscription, delivery: Delivery): void {
    this.clock.startTimer(this.latencyMs, () => {
      if (this.#subscriptions.has(subscription)) subscription.callback(delivery);
    });
  }
}

interface Published {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string | undefined;
  /** All that was said beside the data. */
  readonly options: { readonly reply?: string; readonly headers?: MessageHeaders };
}

/** One client's connection to a {@link FakeNats}, with the shape that both NATS libraries share. */
export class FakeConnection implements NatsConnectionLike {
  /** Patterns that are subscribed to now. */
  readonly subscribed: string[] = [];
  /** Every publish, in order. */
  readonly published: Published[] = [];
  incoming: Meddling = () => 'pass';
  outgoing: Meddling = () => 'pass';
  closed = false;
  /** What every subscription is told instead of a message. */
  refused: Error | null = null;
  readonly #nats: FakeNats;
  readonly #statuses: NatsStatusLike[] = [];
  #wake: () => void = () => undefined;

  constructor(nats: FakeNats) {
    this.#nats = nats;
  }

  publish(
    subject: string,
    data: Uint8Array = new Uint8Array(0),
    options: { reply?: string; headers?: MessageHeaders } = {},
  ): void {
    if (this.closed) throw new Error('CONNECTION_CLOSED');
    this.published.push({ subject, data, reply: options.reply, options });
    this.#meddle(this.outgoing({ subject, data, reply: options.reply }), () => {
      this.#nats.publish(subject, data, options.reply);
    });
  }

  subscribe(subject: string, { callback }: { callback: NatsCallback }): { unsubscribe: () => void } {
    if (this.closed) throw new Error('CONNECTION_CLOSED');
    this.subscribed.push(subject);
    const unsubscribe = this.#nats.subscribe(subject, (delivery) => {
      this.#meddle(this.incoming(delivery), () => {
        callback(this.refused, delivery);
      });
    });
    return {
      unsubscribe: () => {
        const at = this.subscribed.indexOf(subject);
        if (at >= 0) this.subscribed.splice(at, 1);
        unsubscribe();
      },
    };
  }

  /** Neither direction works until {@link FakeConnection.mend}. */
  cut(): void {
    this.incoming = () => 'lose';
    this.outgoing = () => 'lose';
  }

  mend(): void {
    this.incoming = () => 'pass';
    this.outgoing = () => 'pass';
  }

  announce(status: NatsStatusLike): void {
    this.#statuses.push(status);
    this.#wake();
  }

  async *status(): AsyncGenerator<NatsStatusLike> {
    for (;;) {
      const next = this.#statuses.shift();
      if (next !== undefined) yield next;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  isClosed(): boolean {
    return this.closed;
  }

  #meddle(fate: ReturnType<Meddling>, deliver: () => void): void {
    if (fate === 'pass') deliver();
    else if (fate !== 'lose') for (const delayMs of fate) this.#nats.clock.startTimer(delayMs, deliver);
  }
}

function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  return wanted.length === tokens.length && wanted.every((token, index) => token === '*' || token === tokens[index]);
}
