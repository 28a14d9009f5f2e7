import type { Unsubscribe } from './listeners.js';
import { isAlive, isTrusted, type Entry } from './near-cache/entry.js';
import { leastLifetimeMs } from './near-cache/lifetime.js';
import type { SlotState } from './near-cache/slot-state.js';
import type { ReportOutcome } from './rejection-reports.js';
import type { Token } from './token.js';

/** How one `get` may differ from the usual. */
export interface GetOptions {
  /** The least remaining life that is of use, in ms. Never less than the minimum lifetime, and capped at half the life. */
  readonly minTtlMs?: number;
  /** Abandons the wait, not the fetch: others may wait for it too. The call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How long this call waits, in ms. Default: the client's `requestTimeoutMs`. */
  readonly timeoutMs?: number;
}

/** What happens to the token of one handle. */
export interface SourceEvents {
  /** A newer token has replaced the one before. */
  refreshed: Token;
  /**
   * The credential is another user's than the one before it: connections that were opened with that one are to be opened
   * anew. It comes with the `refreshed` of the same token, after it. Never with the first credential.
   */
  usernameChanged: { readonly before: string | undefined; readonly token: Token };
  /** The token that was handed out last is dead: end what was made with it. */
  revoked: { readonly epoch: number; readonly generation: number };
}

/** The tokens of one source and one set of parameters. */
export interface SourceHandle {
  readonly source: string;
  /** Names source and parameters on the wire. */
  readonly slot: string;
  /**
   * The held token, where one counts and has the minimum lifetime left; otherwise `undefined`, and `get` asks a broker.
   * No I/O, no allocation.
   */
  readonly current: Token | undefined;
  /**
   * A token that counts: the held one, or one from a broker.
   *
   * @throws {TokenBrokerError} with the broker's code, or `BROKER_UNAVAILABLE`, `DEADLINE`, `STALE` (a token is held, but
   * this client was cut off for longer than its staleness bound), `CLOSED`
   */
  get(options?: GetOptions): Promise<Token>;
  /**
   * Reports that the resource server refused a token (a 401 to a token that should be good). The broker drops it where it
   * is still the current one, so that the next `get` brings another. `limited`: reports come too fast, and the token stays.
   */
  reportRejected(token: Token): Promise<ReportOutcome>;
  on<Name extends keyof SourceEvents>(name: Name, listener: (event: SourceEvents[Name]) => void): Unsubscribe;
}

/** Elapsed milliseconds, read for each token that is handed out. */
export interface Time {
  nowMs(): number;
}

/** What a handle does through its client. */
export interface HandleBackend {
  readonly time: Time;
  readonly counters: { hits: number; misses: number };
  minLifetimeMs(): number;
  /** The state that counts for the slot of `state`: it may have been pushed out and made anew. */
  attached(state: SlotState): SlotState;
  renew(state: SlotState): void;
  obtain(state: SlotState, options: GetOptions): Promise<Token>;
  report(state: SlotState, token: Token): Promise<ReportOutcome>;
  on<Name extends keyof SourceEvents>(
    state: SlotState,
    name: Name,
    listener: (event: SourceEvents[Name]) => void,
  ): Unsubscribe;
}

class Handle implements SourceHandle {
  #state: SlotState;
  readonly #backend: HandleBackend;
  readonly #time: Time;
  readonly #counters: { hits: number; misses: number };

  constructor(state: SlotState, backend: HandleBackend) {
    this.#state = state;
    this.#backend = backend;
    this.#time = backend.time;
    this.#counters = backend.counters;
  }

  get source(): string {
    return this.#state.source;
  }

  get slot(): string {
    return this.#state.slot;
  }

  get current(): Token | undefined {
    return this.#hit(this.#state)?.token;
  }

  get(options?: GetOptions): Promise<Token> {
    const state = (this.#state = this.#state.attached ? this.#state : this.#backend.attached(this.#state));
    if (options !== undefined && !this.#isServedByHit(state, options)) return this.#backend.obtain(state, options);
    const entry = this.#hit(state);
    if (entry === undefined) return this.#backend.obtain(state, options ?? {});
    return (entry.answer ??= Promise.resolve(entry.token));
  }

  /** What may be handed out at once. Counts, and begins a renewal where one is due. */
  #hit(state: SlotState): Entry | undefined {
    const { entry } = state;
    if (entry !== undefined) {
      const nowMs = this.#time.nowMs();
      if (nowMs < entry.freshUntilMs && isTrusted(entry, nowMs)) {
        state.lastUsedAtMs = nowMs;
        this.#counters.hits += 1;
        return entry;
      }
      if (isAlive(entry, nowMs) && isTrusted(entry, nowMs)) {
        state.lastUsedAtMs = nowMs;
        this.#counters.hits += 1;
        this.#backend.renew(state);
        return entry;
      }
    }
    this.#counters.misses += 1;
    return undefined;
  }

  #isServedByHit({ entry }: SlotState, { minTtlMs, signal }: GetOptions): boolean {
    if (signal?.aborted === true) return false;
    return minTtlMs === undefined || (entry !== undefined && this.#lasts(entry, minTtlMs));
  }

  reportRejected(token: Token): Promise<ReportOutcome> {
    this.#state = this.#state.attached ? this.#state : this.#backend.attached(this.#state);
    return this.#backend.report(this.#state, token);
  }

  on<Name extends keyof SourceEvents>(name: Name, listener: (event: SourceEvents[Name]) => void): Unsubscribe {
    return this.#backend.on(this.#state, name, listener);
  }

  #lasts(entry: Entry, minTtlMs: number): boolean {
    const leastMs = leastLifetimeMs(entry.lifeMs, Math.max(minTtlMs, this.#backend.minLifetimeMs()));
    return this.#time.nowMs() < entry.expiresAtMs - leastMs;
  }
}

export function createHandle(state: SlotState, backend: HandleBackend): SourceHandle {
  return new Handle(state, backend);
}
