import { DriverLink, SERVER_ADDRESS, type NatsWorld, type SimulatedConnectionOptions } from './driver-link.js';
import { SimulatedNatsError } from './nats-error.js';
import { SimulatedMessage } from './simulated-message.js';
import type { SimulatedProcess } from './simulated-process.js';
import { SimulatedService, type ServiceConfiguration } from './simulated-service.js';
import { StatusQueue } from './status-queue.js';
import type { WireFaults } from './wire.js';

const EMPTY = new Uint8Array(0);
const MAX_PAYLOAD_BYTES = 1_048_576;
const encoder = new TextEncoder();

export type MessageCallback = (error: Error | null, message: SimulatedMessage) => void;

/** A subscription as a driver hands it out. */
export interface SimulatedSubscription {
  unsubscribe(): void;
  /** Takes what the server has sent before it took the end of the subscription, and ends. */
  drain(): Promise<void>;
  isClosed(): boolean;
}

interface DriverSubscription {
  readonly sid: number;
  readonly subject: string;
  readonly queue: string;
  readonly callback: MessageCallback;
}

/** What our code uses of a connection of `nats` 2.x, and the knobs for what goes wrong with it. */
export class SimulatedConnection {
  readonly process: SimulatedProcess;
  readonly name: string;
  readonly services: { add(configuration: ServiceConfiguration): Promise<SimulatedService> } = {
    add: (configuration) => Promise.resolve(new SimulatedService(this, configuration)),
  };
  readonly #link: DriverLink;
  readonly #subscriptions = new Map<number, DriverSubscription>();
  readonly #statuses = new Set<StatusQueue>();
  readonly #closed: Promise<undefined>;
  readonly #onClosed: (connection: SimulatedConnection) => void;
  #tellClosed: (reason: undefined) => void = () => undefined;
  #isClosed = false;
  #lastSid = 0;

  constructor(
    world: NatsWorld,
    process: SimulatedProcess,
    options: SimulatedConnectionOptions,
    onClosed: (connection: SimulatedConnection) => void,
  ) {
    this.process = process;
    this.name = options.name ?? process.name;
    this.#onClosed = onClosed;
    this.#closed = new Promise((resolve) => (this.#tellClosed = resolve));
    const owner = {
      onMessage: (frame): void => {
        const subscription = this.#subscriptions.get(frame.sid);
        if (subscription === undefined) return;
        world.counts.delivered++;
        subscription.callback(null, new SimulatedMessage(this, frame));
      },
      onStatus: (status): void => {
        for (const statuses of this.#statuses) statuses.push(status);
      },
      resubscribe: () =>
        [...this.#subscriptions.values()].map(({ sid, subject, queue }) => ({
          kind: 'subscribe',
          sid,
          subject,
          queue,
        })),
    } satisfies ConstructorParameters<typeof DriverLink>[2];
    this.#link = new DriverLink(world, process, owner, options);
  }

  /** What the wire does to what this process sends. */
  get toServer(): WireFaults {
    return this.#link.toServer.faults;
  }

  /** What the wire does to what this process is sent. */
  get toClient(): WireFaults {
    return this.#link.toClient.faults;
  }

  /** What the driver believes. */
  get isConnected(): boolean {
    return this.#link.isConnected;
  }

  publish(subject: string, payload: Uint8Array | string = EMPTY, options: { readonly reply?: string } = {}): void {
    this.#check(subject);
    const data = typeof payload === 'string' ? encoder.encode(payload) : payload;
    if (data.length > MAX_PAYLOAD_BYTES) throw new SimulatedNatsError('MAX_PAYLOAD_EXCEEDED');
    this.#link.post(`nats:publish:${subject}`, { kind: 'publish', subject, data, reply: options.reply ?? '' });
  }

  subscribe(
    subject: string,
    options: { readonly callback: MessageCallback; readonly queue?: string },
  ): SimulatedSubscription {
    this.#check(subject);
    const { callback, queue = '' } = options;
    const sid = ++this.#lastSid;
    this.#subscriptions.set(sid, { sid, subject, queue, callback });
    this.#link.post(`nats:subscribe:${subject}`, { kind: 'subscribe', sid, subject, queue });
    const end = (): void => {
      if (!this.#isClosed) this.#link.post(`nats:unsubscribe:${subject}`, { kind: 'unsubscribe', sid });
    };
    const forget = (): void => void this.#subscriptions.delete(sid);
    return {
      unsubscribe: () => {
        end();
        forget();
      },
      drain: () => {
        end();
        return this.flush().then(forget, forget);
      },
      isClosed: () => !this.#subscriptions.has(sid),
    };
  }

  /** Changes of the connection from here on. */
  status(): StatusQueue {
    const statuses = new StatusQueue(() => this.#statuses.delete(statuses));
    if (this.#isClosed) statuses.stop();
    else this.#statuses.add(statuses);
    return statuses;
  }

  /** A round trip: the server has taken everything before. Rejects when the connection breaks, or has been closed. */
  flush(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new SimulatedNatsError('CONNECTION_CLOSED'));
    return new Promise((resolve, reject) => {
      this.#link.ping('nats:flush', { resolve, reject });
    });
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  /** At once: what was published in this turn is lost. */
  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    this.#subscriptions.clear();
    for (const statuses of [...this.#statuses]) statuses.stop();
    this.#link.close();
    this.#onClosed(this);
    this.#tellClosed(undefined);
    return Promise.resolve();
  }

  /** Resolves when it has been closed: the driver itself never gives up. */
  closed(): Promise<undefined> {
    return this.#closed;
  }

  getServer(): string {
    return SERVER_ADDRESS;
  }

  /** The TCP session breaks, and both ends learn it at once. What was under way is lost. */
  reset(): void {
    this.#link.reset();
  }

  /** The process has been killed: its kernel closes the session, after all that has been sent. */
  abandon(): void {
    this.#link.abandon();
    this.#onClosed(this);
  }

  #check(subject: string): void {
    if (this.#isClosed) throw new SimulatedNatsError('CONNECTION_CLOSED');
    if (subject === '') throw new SimulatedNatsError('BAD_SUBJECT');
  }
}
