import { createSystemClock, delay } from '@token-broker/foundation';
import {
  EventLoop,
  eventually,
  SeededRandom,
  SimulatedNats,
  SimulatedProcess,
  startFaultProxy,
  type FaultProxy,
  type NatsServer,
} from '@token-broker/testing';
import { connect } from 'nats';
import { vi } from 'vitest';

/** What the simulated and the real connection share, as this test uses it. */
export interface Connection {
  publish(subject: string, data?: Uint8Array, options?: { reply?: string }): void;
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: Message) => void; queue?: string },
  ): { unsubscribe(): void; drain(): Promise<void>; isClosed(): boolean };
  flush(): Promise<void>;
  close(): Promise<void>;
  closed(): Promise<unknown>;
  isClosed(): boolean;
  status(): AsyncIterable<{ readonly type: string }>;
  readonly services: {
    add(options: { name: string; version: string; queue: string }): Promise<{
      addEndpoint(name: string, options: { subject: string; handler: (e: Error | null, m: Message) => void }): unknown;
      stop(): Promise<unknown>;
      readonly stopped: Promise<unknown>;
    }>;
  };
}

export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string;
  readonly headers?: { readonly code: number } | undefined;
  respond(data: Uint8Array): boolean;
}

export interface Link {
  readonly connection: Connection;
  /** The TCP session breaks. */
  reset(): void;
  /** Nothing gets through any more, and nobody is told. */
  halfOpen(): void;
  /** Nothing that the client sends gets through any more. */
  mute(): void;
  mend(): void;
}

export interface ConnectOptions {
  readonly pingIntervalMs?: number;
  readonly connectTimeoutMs?: number;
}

/** A server and its clients, simulated or not. */
export interface World {
  connect(name: string, options?: ConnectOptions): Promise<Link>;
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  /** Lets things happen until this has. */
  over<T>(work: Promise<T>): Promise<T>;
  until(what: string, condition: () => boolean): Promise<void>;
  /** Whether it becomes true in this time. */
  within(ms: number, condition: () => boolean): Promise<boolean>;
  /** Sets the wall clock of the clients on, or back where negative. */
  jumpWall(ms: number): void;
  end(): Promise<void>;
}

/** Of clients, where a test does not say otherwise. */
const PING_INTERVAL_MS = 400;
export const RECONNECT_WAIT_MS = 20;

const clock = createSystemClock();

/** A server of this machine, and the driver that the broker uses. */
export function realWorld(server: NatsServer): World {
  const proxies: FaultProxy[] = [];
  const connections: Connection[] = [];
  let wallAheadMs = 0;
  return {
    async connect(name, { pingIntervalMs = PING_INTERVAL_MS, connectTimeoutMs = 2_000 } = {}) {
      const proxy = await startFaultProxy(server);
      proxies.push(proxy);
      const connection: Connection = await connect({
        servers: `${proxy.host}:${String(proxy.port)}`,
        name,
        reconnectTimeWait: RECONNECT_WAIT_MS,
        reconnectJitter: 0,
        maxReconnectAttempts: -1,
        pingInterval: pingIntervalMs,
        maxPingOut: 2,
        timeout: connectTimeoutMs,
      });
      connections.push(connection);
      return {
        connection,
        reset: () => proxy.reset(),
        halfOpen: () => proxy.halfOpen(),
        mute: () => (proxy.faults.toServer.discard = true),
        mend: () => proxy.mend(),
      };
    },
    stopServer: () => server.kill('SIGKILL'),
    startServer: () => server.restart(),
    over: (work) => work,
    async until(what, condition) {
      await eventually(condition, { what, withinMs: 10_000, everyMs: 5 });
    },
    async within(ms, condition) {
      const untilMs = clock.elapsedMs() + ms;
      while (!condition() && clock.elapsedMs() < untilMs) await delay(clock, 5);
      return condition();
    },
    jumpWall(ms) {
      wallAheadMs += ms;
      if (wallAheadMs === 0) vi.useRealTimers();
      else vi.useFakeTimers({ toFake: ['Date'], now: clock.wallMs() + ms });
    },
    async end() {
      vi.useRealTimers();
      for (const connection of connections) await connection.close();
      for (const proxy of proxies) await proxy.stop();
    },
  };
}

/** What this test is about. */
export function simulatedWorld(seed: number): World {
  const loop = new EventLoop();
  const nats = new SimulatedNats(loop, new SeededRandom(seed), { serverPingMs: 1_000 });
  const processes: SimulatedProcess[] = [];
  const pass = (): Promise<void> => loop.run(loop.nowMs + 5);
  return {
    async connect(name, { pingIntervalMs = PING_INTERVAL_MS, connectTimeoutMs = 2_000 } = {}) {
      const process = new SimulatedProcess(loop, name);
      processes.push(process);
      const connection = nats.connect(process, {
        pingIntervalMs,
        reconnectWaitMs: RECONNECT_WAIT_MS,
        connectTimeoutMs,
      });
      const block = (blocked: boolean): void => {
        connection.toServer.blocked = blocked;
        connection.toClient.blocked = blocked;
      };
      return {
        connection,
        reset: () => connection.reset(),
        halfOpen: () => block(true),
        mute: () => {
          connection.toServer.blocked = true;
          // The proxy of the real world takes bytes away and lets new sessions begin.
          process.onStep = (step) => {
            if (step === 'nats:open') connection.toServer.blocked = false;
            if (step === 'nats:connect') connection.toServer.blocked = true;
          };
        },
        mend: () => {
          process.onStep = () => undefined;
          block(false);
        },
      };
    },
    stopServer: async () => nats.stop(),
    startServer: async () => nats.start(),
    async over(work) {
      const over = vi.fn();
      work.then(over, over);
      await this.until('the end of it', () => over.mock.calls.length > 0);
      return work;
    },
    async until(what, condition) {
      for (let passed = 0; !condition(); passed++) {
        if (passed > 5_000) throw new Error(`in vain: ${what}`);
        await pass();
      }
    },
    async within(ms, condition) {
      await loop.run(loop.nowMs + ms, () => !condition());
      return condition();
    },
    jumpWall(ms) {
      for (const { clock } of processes) clock.jumpWall(ms);
    },
    end: async () => undefined,
  };
}
