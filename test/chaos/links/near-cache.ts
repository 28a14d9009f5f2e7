import { createTokenBroker, type NatsConnectionLike, type SourceHandle, type TokenBroker } from '@token-broker/client';
import { createOperator, type Operator } from '@token-broker/client/operator';
import { createSystemClock, type Timer } from '@token-broker/foundation';
import { connect, type ConnectionOptions, type NatsConnection } from 'nats';
import { PASSWORD, type Settings } from '../../integration/stack.js';

/** The tick of the stack's brokers. */
export const TICK_MS = 200;
/** How long a near cache that is cut off may still serve; {@link withShortStaleness} sets it. */
export const MAX_STALENESS_MS = 2_000;
/** Three ticks without a verified heartbeat make a near cache suspect, and it looks four times a tick. */
export const SUSPECT_AFTER_MS = 3 * TICK_MS + TICK_MS / 4;
/** What a loaded machine may add to any bound: timers that fire late, and a round trip or two. */
export const SLACK_MS = 500;

export const clock = createSystemClock();

/** Settings whose staleness bound is short enough to be waited for. */
export function withShortStaleness(settings: Settings): Settings {
  const cluster = { ...(settings['cluster'] as Settings), maxStaleness: `${String(MAX_STALENESS_MS)}ms` };
  return { ...settings, cluster };
}

/** Connects as the client's README advises, with shorter times: it reconnects for ever, and pings notice a dead link. */
function connectTo(servers: string | string[], user: string, options: ConnectionOptions = {}): Promise<NatsConnection> {
  return connect({
    servers,
    user,
    pass: PASSWORD,
    inboxPrefix: `_INBOX.${user}`,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    reconnectJitter: 50,
    ignoreAuthErrorAbort: true,
    pingInterval: 300,
    maxPingOut: 2,
    timeout: 1_000,
    ...options,
  });
}

/** Those who use NATS in a test, to be ended with it. */
export class Users {
  readonly #ends: (() => Promise<unknown>)[] = [];

  async connect(servers: string | string[], user: string, options?: ConnectionOptions): Promise<NatsConnection> {
    const connection = await connectTo(servers, user, options);
    this.#ends.push(() => connection.close());
    return connection;
  }

  async operator(servers: string | string[], requestTimeoutMs = 10_000): Promise<Operator> {
    const connection = await this.connect(servers, 'ops');
    const operator = createOperator({ connection, caller: 'ops', requestTimeoutMs });
    this.#ends.push(async () => operator.close());
    return operator;
  }

  /** A near cache that fetches nothing by itself, so that each request in a test is one that the test has made. */
  nearCache(connection: NatsConnectionLike, caller: string): TokenBroker {
    const client = createTokenBroker({ connection, caller, refetchOnRevoke: false });
    this.#ends.push(() => client.close());
    return client;
  }

  watch(handle: SourceHandle): Served {
    const served = new Served(handle);
    this.#ends.push(async () => served.stop());
    return served;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}

/** Between two looks at a near cache: a busy service asks more often, a patient one less. */
const LOOK_EVERY_MS = 5;

/** Looks all the time at what a near cache would serve, as a busy service does. */
export class Served {
  readonly #handle: SourceHandle;
  readonly #lastAtMs = new Map<string, number>();
  #newest = { epoch: 0, generation: 0 };
  #stepsBack = 0;
  #timer: Timer | undefined;

  constructor(handle: SourceHandle) {
    this.#handle = handle;
    this.#look();
  }

  /** How often a token was served that is older than one before: must be never. */
  get stepsBack(): number {
    return this.#stepsBack;
  }

  /** The access tokens that were served. */
  get tokens(): readonly string[] {
    return [...this.#lastAtMs.keys()];
  }

  /** When this token was served for the last time, on the {@link clock}; undefined: it never was. */
  lastAtMs(token: { readonly accessToken: string }): number | undefined {
    return this.#lastAtMs.get(token.accessToken);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    const token = this.#handle.current;
    if (token !== undefined) {
      this.#lastAtMs.set(token.accessToken, clock.elapsedMs());
      const { epoch, generation } = token;
      const { epoch: newestEpoch, generation: newest } = this.#newest;
      if (epoch < newestEpoch || (epoch === newestEpoch && generation < newest)) this.#stepsBack += 1;
      else this.#newest = { epoch, generation };
    }
    this.#timer = clock.startTimer(LOOK_EVERY_MS, () => this.#look());
  }
}
