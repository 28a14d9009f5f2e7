import type { Timer } from '@token-broker/foundation';
import type { SeededRandom } from '../seeded-random.js';
import type { EventLoop } from './event-loop.js';
import { SimulatedNatsError } from './nats-error.js';
import { NatsSession, type MessageFrame, type SessionPeer, type ToClient, type ToServer } from './nats-session.js';
import type { SimulatedProcess } from './simulated-process.js';
import type { SimulatedStatus } from './status-queue.js';
import { Wire, type MessageCounts, type Sent, type WireProfile } from './wire.js';

export interface SimulatedConnectionOptions {
  /** Default: the name of the process. */
  readonly name?: string;
  /** Default 2 s. */
  readonly pingIntervalMs?: number;
  /** Pings without an answer, after which the next one is not sent and the link is dead. Default 2. */
  readonly maxPingOut?: number;
  /** Between the beginnings of two attempts to connect. Default 500 ms. */
  readonly reconnectWaitMs?: number;
  /** Default 0. */
  readonly reconnectJitterMs?: number;
  /** How long one attempt to connect may take. Default 2 s. */
  readonly connectTimeoutMs?: number;
}

/** What a connection needs of the server and of the world. */
export interface NatsWorld {
  readonly loop: EventLoop;
  readonly random: SeededRandom;
  readonly profile: WireProfile;
  readonly counts: MessageCounts;
  take(session: NatsSession, frame: ToServer): void;
  /** `false`: the server is down. */
  open(session: NatsSession): boolean;
  end(session: NatsSession): void;
}

/** The driver above its link. */
export interface LinkOwner {
  onMessage(frame: MessageFrame): void;
  onStatus(status: SimulatedStatus): void;
  /** What is sent first over a new session. */
  resubscribe(): ToServer[];
}

interface Pong {
  resolve(): void;
  reject(error: Error): void;
}

/** Where the server is, as far as anybody can tell. */
export const SERVER_ADDRESS = 'simulated:4222';

/**
 * The link of one driver to the server, with the habits of `nats` 2.x: what is sent goes out when the running code gives
 * way; what is sent while the server is away vanishes, except during the attempt that succeeds; a dead link is found by
 * pings on the clock of the process; attempts to connect are spaced by its wall clock.
 */
export class DriverLink implements SessionPeer {
  readonly toServer: Wire<NatsSession, ToServer>;
  readonly toClient: Wire<NatsSession, ToClient>;
  readonly #world: NatsWorld;
  readonly #process: SimulatedProcess;
  readonly #owner: LinkOwner;
  readonly #options: Required<SimulatedConnectionOptions>;
  #session: NatsSession | undefined;
  #isConnected = false;
  /** Whether the server has greeted in the present session. */
  #isGreeted = false;
  /** One for each session that was lost: the driver tells of every one when there is a session again. */
  #reconnectsOwed = 0;
  /** What was sent in this turn, or during an attempt to connect. */
  #outbound: ToServer[] = [];
  #pongs: Pong[] = [];
  #pingsOut = 0;
  #pingTimer: Timer | undefined;
  #dialTimer: Timer | undefined;
  #lastDialAtMs: number | undefined;
  /** What has come in and has not been taken: more than one thing only while the process is stopped. */
  readonly #arrived: Pick<Sent<NatsSession, ToClient>, 'session' | 'frame'>[] = [];
  readonly #takeNext = (): void => {
    const next = this.#arrived.shift();
    if (next !== undefined && next.session === this.#session) this.#take(next.frame);
  };

  constructor(world: NatsWorld, process: SimulatedProcess, owner: LinkOwner, options: SimulatedConnectionOptions) {
    const { loop, random, profile, counts } = world;
    this.#world = world;
    this.#process = process;
    this.#owner = owner;
    this.#options = {
      name: process.name,
      pingIntervalMs: 2_000,
      maxPingOut: 2,
      reconnectWaitMs: 500,
      reconnectJitterMs: 0,
      connectTimeoutMs: 2_000,
      ...options,
    };
    this.toServer = new Wire(loop, random, profile, counts, {
      arrive: ({ session, frame }) => {
        world.take(session, frame);
      },
      torn: (session) => {
        world.end(session);
        this.tell(session, { kind: 'close' });
      },
    });
    this.toClient = new Wire(loop, random, profile, counts, {
      arrive: (sent) => {
        this.#comeIn(sent);
      },
      torn: (session) => {
        this.#comeIn({ session, frame: { kind: 'close' } });
      },
    });
    this.#begin();
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Sends when the running code gives way. */
  post(step: string, frame: ToServer): void {
    this.#process.leave(step, () => {
      if (this.#outbound.push(frame) > 1) return;
      queueMicrotask(() => {
        this.#process.leave('nats:write', () => {
          this.#write();
        });
      });
    });
  }

  /** Sends a ping, and what waits before it, at once. */
  ping(step: string, pong: Pong): void {
    this.#process.leave(step, () => {
      this.#pongs.push(pong);
      this.#outbound.push({ kind: 'ping' });
      this.#write();
    });
  }

  /** Closes the session at once: what was sent in this turn is lost, and nobody is told of it. */
  close(): void {
    this.#isConnected = false;
    this.#dialTimer?.cancel();
    this.#pingTimer?.cancel();
    this.#outbound = [];
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) this.#sendClose(session);
  }

  /** The TCP session breaks, and both ends learn it at once. What was under way is lost. */
  reset(): void {
    const session = this.#session;
    if (session === undefined) return;
    session.isReset = true;
    this.#world.end(session);
    this.#comeIn({ session, frame: { kind: 'close' } });
  }

  /** The process has been killed: its kernel closes the session, after all that has been sent. */
  abandon(): void {
    if (this.#session !== undefined) this.toServer.send(this.#session, { kind: 'close' });
    this.#session = undefined;
    this.#arrived.length = 0;
  }

  // The other end, as the server sees it.

  tell(session: NatsSession, frame: ToClient): void {
    this.toClient.send(session, frame);
  }

  deliver(session: NatsSession, frame: MessageFrame): void {
    this.toClient.sendMessage(session, frame);
  }

  discard(session: NatsSession): void {
    this.toClient.discard(session);
  }

  get untaken(): number {
    return this.toClient.backlog + this.#arrived.length;
  }

  isOn(session: NatsSession): boolean {
    return session === this.#session && !this.toServer.isTorn(session) && !this.toClient.isTorn(session);
  }

  answers(session: NatsSession): boolean {
    if (session !== this.#session || this.#process.state !== 'running') return false;
    const oneWayMs = this.#options.pingIntervalMs / 2;
    return this.toClient.isPrompt(session, oneWayMs) && this.toServer.isPrompt(session, oneWayMs);
  }

  // The driver.

  #begin(): void {
    const session = new NatsSession(this);
    if (this.#world.open(session)) {
      this.#session = session;
      this.#lastDialAtMs = this.#process.clock.wallMs();
      this.#isConnected = true;
      this.#isGreeted = true;
      this.#startPings();
      return;
    }
    this.#reconnectsOwed = 1;
    this.#dialOrWait();
  }

  #write(): void {
    const session = this.#session;
    if (!this.#isConnected || session === undefined) return;
    const frames = this.#outbound;
    this.#outbound = [];
    for (const frame of frames) {
      if (frame.kind === 'publish') this.toServer.sendMessage(session, frame);
      else this.toServer.send(session, frame);
    }
  }

  #sendClose(session: NatsSession): void {
    this.#process.leave('nats:close', () => {
      this.toServer.send(session, { kind: 'close' });
    });
  }

  #comeIn(sent: Pick<Sent<NatsSession, ToClient>, 'session' | 'frame'>): void {
    if (this.#process.isDead) return;
    this.#arrived.push(sent);
    this.#process.enter(this.#takeNext);
  }

  #take(frame: ToClient): void {
    switch (frame.kind) {
      case 'message':
        this.#owner.onMessage(frame);
        break;
      case 'pong':
        this.#pongs.shift()?.resolve();
        break;
      case 'info': {
        const session = this.#session;
        if (session === undefined) break;
        this.#isGreeted = true;
        this.#process.leave('nats:connect', () => {
          this.toServer.send(session, { kind: 'connect' });
        });
        break;
      }
      case 'welcome':
        this.#connected();
        break;
      case 'close':
        if (frame.error !== undefined) this.#owner.onStatus({ type: 'error', data: frame.error });
        this.#lost();
        break;
    }
  }

  /** The session is over, or the attempt to make one. */
  #lost(): void {
    this.#session = undefined;
    this.#pingTimer?.cancel();
    this.#dialTimer?.cancel();
    this.#isConnected = false;
    if (this.#isGreeted) {
      this.#isGreeted = false;
      this.#reconnectsOwed++;
      this.#owner.onStatus({ type: 'disconnect', data: SERVER_ADDRESS });
    }
    this.#dialOrWait();
  }

  /** An attempt is due when the wait has passed since the one before began, by the wall clock. */
  #dialOrWait(): void {
    const { reconnectWaitMs, reconnectJitterMs, connectTimeoutMs } = this.#options;
    const jitterMs = reconnectJitterMs === 0 ? 0 : this.#world.random.integer(reconnectJitterMs + 1);
    const waitMs = reconnectWaitMs + jitterMs;
    const { clock } = this.#process;
    const nowMs = clock.wallMs();
    const dueMs = this.#lastDialAtMs === undefined ? nowMs : this.#lastDialAtMs + waitMs;
    if (dueMs > nowMs) {
      this.#dialTimer = clock.startTimer(Math.min(waitMs, dueMs - nowMs), () => {
        this.#dialOrWait();
      });
      return;
    }
    this.#lastDialAtMs = nowMs;
    this.#forgetOutbound();
    const session = new NatsSession(this);
    this.#session = session;
    this.#process.leave('nats:open', () => {
      this.toServer.send(session, { kind: 'open' });
    });
    this.#owner.onStatus({ type: 'reconnecting', data: SERVER_ADDRESS });
    this.#dialTimer = clock.startTimer(connectTimeoutMs, () => {
      this.#giveUp(session);
    });
  }

  /** What was sent while there was no session is lost. */
  #forgetOutbound(): void {
    this.#outbound = [];
    for (const pong of this.#pongs.splice(0)) pong.reject(new SimulatedNatsError('DISCONNECT'));
  }

  #connected(): void {
    this.#dialTimer?.cancel();
    this.#isConnected = true;
    this.#outbound = [...this.#owner.resubscribe(), ...this.#outbound];
    this.#process.leave('nats:resubscribe', () => {
      this.#write();
    });
    this.#startPings();
    for (; this.#reconnectsOwed > 0; this.#reconnectsOwed--)
      this.#owner.onStatus({ type: 'reconnect', data: SERVER_ADDRESS });
  }

  #giveUp(session: NatsSession): void {
    if (session !== this.#session) return;
    this.#sendClose(session);
    this.#lost();
  }

  #startPings(): void {
    this.#pingsOut = 0;
    this.#pingLater();
  }

  #pingLater(): void {
    const { pingIntervalMs, maxPingOut } = this.#options;
    this.#pingTimer = this.#process.clock.startTimer(pingIntervalMs, () => {
      const session = this.#session;
      if (session === undefined) return;
      if (session.isOpen && this.answers(session)) {
        // The answer would be here before the next ping: nothing needs to be sent for that.
        this.#pingsOut = 0;
      } else if (this.#pingsOut >= maxPingOut) {
        this.#giveUp(session);
        return;
      } else {
        this.#pingsOut++;
        this.ping('nats:ping', { resolve: () => void (this.#pingsOut = 0), reject: () => undefined });
      }
      this.#pingLater();
    });
  }
}
