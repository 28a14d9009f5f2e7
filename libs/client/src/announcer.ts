import type { SourceEvents } from './handle.js';
import { Listeners, type Unsubscribe } from './listeners.js';
import type { ClientLogger } from './logger.js';
import type { TokenOrder } from './near-cache/near-cache.js';
import type { SlotState } from './near-cache/slot-state.js';
import type { Token } from './token.js';

/** Which token an event is about. */
export interface TokenIdentity {
  readonly source: string;
  readonly slot: string;
  readonly epoch: number;
  readonly generation: number;
}

/** What happens to the whole near cache. */
export interface BrokerEventMap {
  /** An invalidation may have been missed. Tokens are still served, within the staleness bound. */
  suspect: { readonly maxStalenessMs: number };
  /** Nothing held can have missed an invalidation any more. */
  recovered: { readonly suspectMs: number };
  /** A newer token has replaced the one before. */
  refreshed: TokenIdentity;
  /** A token that was handed out is dead. */
  revoked: TokenIdentity;
  /** A heartbeat came. What it tells was read from Redis at most `ageMs` ago: so long does an invalidation take, too. */
  heartbeat: { readonly ageMs: number };
}

const RESOLVED = Promise.resolve();

/** Tells listeners what happened, once the near cache has finished with the message that brought it. */
export class Announcer {
  readonly #logger: ClientLogger;
  readonly #everything: Listeners<BrokerEventMap>;
  readonly #bySlot = new Map<string, Listeners<SourceEvents>>();
  #waiting: (() => void)[] = [];
  readonly #tell = (): void => {
    const told = this.#waiting;
    this.#waiting = [];
    for (const each of told) each();
  };
  #closed = false;

  constructor(logger: ClientLogger) {
    this.#logger = logger;
    this.#everything = new Listeners(logger);
  }

  on<Name extends keyof BrokerEventMap>(name: Name, listener: (event: BrokerEventMap[Name]) => void): Unsubscribe {
    return this.#everything.on(name, listener);
  }

  onSlot<Name extends keyof SourceEvents>(
    slot: string,
    name: Name,
    listener: (event: SourceEvents[Name]) => void,
  ): Unsubscribe {
    const listeners = this.#bySlot.get(slot) ?? new Listeners<SourceEvents>(this.#logger);
    this.#bySlot.set(slot, listeners);
    const unsubscribe = listeners.on(name, listener);
    return () => {
      unsubscribe();
      if (listeners.isEmpty && this.#bySlot.get(slot) === listeners) this.#bySlot.delete(slot);
    };
  }

  refreshed({ source, slot }: SlotState, token: Token): void {
    const { epoch, generation } = token;
    this.#later(() => {
      this.#bySlot.get(slot)?.emit('refreshed', token);
      this.#everything.emit('refreshed', { source, slot, epoch, generation });
    });
  }

  renamed({ slot }: SlotState, token: Token, before: string | undefined): void {
    this.#later(() => {
      this.#bySlot.get(slot)?.emit('usernameChanged', { before, token });
    });
  }

  revoked({ source, slot }: SlotState, { epoch, generation }: TokenOrder): void {
    const identity = { source, slot, epoch, generation };
    this.#later(() => {
      this.#bySlot.get(slot)?.emit('revoked', identity);
      this.#everything.emit('revoked', identity);
    });
  }

  suspect(maxStalenessMs: number): void {
    this.#later(() => {
      this.#everything.emit('suspect', { maxStalenessMs });
    });
  }

  recovered(suspectMs: number): void {
    this.#later(() => {
      this.#everything.emit('recovered', { suspectMs });
    });
  }

  heartbeat(ageMs: number): void {
    if (!this.#everything.has('heartbeat')) return;
    this.#later(() => {
      this.#everything.emit('heartbeat', { ageMs });
    });
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#everything.clear();
    this.#bySlot.clear();
  }

  #later(tell: () => void): void {
    if (this.#closed) return;
    this.#waiting.push(tell);
    if (this.#waiting.length > 1) return;
    // What is told does not throw. `queueMicrotask` would make a resource of async_hooks for each.
    void RESOLVED.then(this.#tell);
  }
}
