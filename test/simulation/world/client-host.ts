import { createTokenBroker, type SourceHandle, type Token, type TokenBroker } from '@token-broker/client';
import { createAesGcm, type Random } from '@token-broker/foundation';
import { TokenBrokerError } from '@token-broker/protocol';
import type { SimulatedConnection, SimulatedProcess } from '@token-broker/testing';
import { CALLER, type WorldSlot } from './configuration.js';
import type { Surroundings } from './surroundings.js';

/** What a call may take beyond its time limit: the turn in which its timer fires. */
const DEADLINE_SLACK_MS = 50;
/** How often a token that was got is reported as refused by a resource server. */
const REJECTED = 0.01;

/** A call of `get` that has not ended. */
interface Waiting {
  readonly slot: string;
  readonly untilMs: number;
}

/** A service with a client in it, which asks for its tokens now and then. */
export class ClientHost {
  readonly index: number;
  process: SimulatedProcess;
  connection: SimulatedConnection;
  broker: TokenBroker;
  handles: readonly { readonly slot: WorldSlot; readonly handle: SourceHandle }[];
  readonly #world: Surroundings;
  readonly #waiting = new Set<Waiting>();
  #random: Random;
  #incarnation = 0;

  constructor(world: Surroundings, index: number) {
    this.#world = world;
    this.index = index;
    this.#random = world.randomOf(`client ${String(index)}`);
    ({
      process: this.process,
      connection: this.connection,
      broker: this.broker,
      handles: this.handles,
    } = this.#begin());
  }

  kill(): void {
    if (this.process.isDead) return;
    this.process.kill();
    this.#world.nats.gone(this.process);
    this.#waiting.clear();
  }

  restart(): void {
    if (!this.process.isDead) return;
    ({
      process: this.process,
      connection: this.connection,
      broker: this.broker,
      handles: this.handles,
    } = this.#begin());
  }

  /** A call that should have ended, if there is one. */
  get overdue(): string | undefined {
    if (!this.process.hasSettled || this.process.clock.isSuspended) return undefined;
    // Timers do not run while the machine sleeps.
    const nowMs = this.process.clock.monotonicMs();
    for (const { slot, untilMs } of this.#waiting) if (nowMs > untilMs + DEADLINE_SLACK_MS) return slot;
    return undefined;
  }

  /** Asks for one slot; resolves to the code of the refusal where there was no token. */
  async ask(
    slot: WorldSlot,
    handle: SourceHandle,
    options: { timeoutMs?: number; minTtlMs?: number } = {},
  ): Promise<string> {
    const { clock } = this.process;
    const { process } = this;
    const askedAtMs = this.#world.loop.nowMs;
    const timeoutMs = options.timeoutMs ?? this.#world.shape.requestTimeoutMs;
    const waiting = { slot: slot.slot, untilMs: clock.monotonicMs() + timeoutMs };
    this.#waiting.add(waiting);
    try {
      const token = await handle.get(options);
      this.#got(process, slot, token);
      if (this.#random.uniform() < REJECTED) void this.#reject(handle, token);
      return 'ok';
    } catch (error) {
      if (!(error instanceof TokenBrokerError)) throw error;
      this.#world.observer.refused(process, this.index, slot.slot, error.code, askedAtMs);
      return error.code;
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  #begin(): {
    process: SimulatedProcess;
    connection: SimulatedConnection;
    broker: TokenBroker;
    handles: { slot: WorldSlot; handle: SourceHandle }[];
  } {
    const world = this.#world;
    const name = `c${String(this.index + 1)}-${String(++this.#incarnation)}`;
    const process = world.createProcess(name);
    const random = world.randomOf(name);
    this.#random = random;
    const connection = world.nats.connect(process, { name });
    const broker = createTokenBroker({
      connection: world.sabotage?.client?.(connection, process.clock) ?? connection,
      caller: CALLER,
      instance: name,
      requestTimeoutMs: world.shape.requestTimeoutMs,
      clock: process.clock,
      random,
      aead: createAesGcm(random),
    });
    const handles = world.slots.map((slot) => {
      const { source, audience } = slot;
      return { slot, handle: broker.source(source, audience === undefined ? {} : { audience }) };
    });
    this.#work(process, random, handles);
    return { process, connection, broker, handles };
  }

  /** The application: it uses what is held, and asks where nothing is. */
  #work(
    process: SimulatedProcess,
    random: Random,
    handles: readonly { readonly slot: WorldSlot; readonly handle: SourceHandle }[],
  ): void {
    const everyMs = this.#world.shape.askEveryMs;
    process.clock.startTimer(everyMs * (0.5 + random.uniform()), () => {
      const chosen = handles[Math.floor(random.uniform() * handles.length)];
      if (chosen !== undefined) {
        const { slot, handle } = chosen;
        const held = handle.current;
        if (held !== undefined) this.#got(process, slot, held);
        if (held === undefined || random.uniform() < 0.2) {
          const minTtlMs = random.uniform() < 0.1 ? { minTtlMs: this.#world.shape.tokenLifeMs * random.uniform() } : {};
          void this.ask(slot, handle, minTtlMs);
        }
      }
      this.#work(process, random, handles);
    });
  }

  #got(process: SimulatedProcess, slot: WorldSlot, token: Token): void {
    if (!process.isDead) this.#world.observer.handedOut(process, this.index, slot.slot, token);
  }

  async #reject(handle: SourceHandle, token: Token): Promise<void> {
    try {
      await handle.reportRejected(token);
    } catch {
      // No broker heard of it. The next use of the token would be refused, and reported, again.
    }
  }
}
