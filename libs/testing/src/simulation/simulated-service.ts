import type { SimulatedMessage } from './simulated-message.js';

export interface ServiceConfiguration {
  readonly name: string;
  readonly version: string;
  readonly queue?: string;
  readonly description?: string;
}

export interface EndpointOptions {
  readonly subject: string;
  readonly handler: (error: Error | null, message: SimulatedMessage) => void;
}

interface Endpoint {
  drain(): Promise<void>;
}

/** What a service needs of the connection that offers it. */
interface Offering {
  subscribe(subject: string, options: { callback: EndpointOptions['handler']; queue: string }): Endpoint;
  isClosed(): boolean;
  closed(): Promise<unknown>;
}

/**
 * A micro service as far as requests go: each endpoint is a subscription of the service's queue group. It does not answer
 * `$SRV.PING` and its like. What a handler throws ends the simulation.
 */
export class SimulatedService {
  readonly #connection: Offering;
  readonly #queue: string;
  readonly #endpoints: Endpoint[] = [];
  /** Resolves when it has stopped: with `null`, or the error that stopped it. */
  readonly stopped: Promise<Error | null>;
  #tellStopped: (reason: Error | null) => void = () => undefined;
  #isStopped = false;

  constructor(connection: Offering, { queue = 'q' }: ServiceConfiguration) {
    this.#connection = connection;
    this.#queue = queue;
    this.stopped = new Promise((resolve) => (this.#tellStopped = resolve));
    void connection.closed().then(() => this.stop());
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  addEndpoint(_name: string, { subject, handler }: EndpointOptions): void {
    this.#endpoints.push(this.#connection.subscribe(subject, { callback: handler, queue: this.#queue }));
  }

  /** Takes what the server has sent already, and ends. */
  stop(error: Error | null = null): Promise<Error | null> {
    if (this.#isStopped) return this.stopped;
    this.#isStopped = true;
    const drained = this.#connection.isClosed() ? [] : this.#endpoints.map((endpoint) => endpoint.drain());
    void Promise.all(drained).then(() => this.#tellStopped(error));
    return this.stopped;
  }
}
