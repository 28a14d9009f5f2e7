import type { Clock, Random, Timer } from '@token-broker/foundation';
import { rankOf } from '../domain/rank.js';
import { rankDelayMs, refreshBeforeExpiryMs } from '../domain/refresh-schedule.js';
import { Schedule } from '../domain/schedule.js';
import type { GetToken } from './requests/get-token.js';
import type { Held } from './tokens/held.js';
import type { Memory } from './memory/memory.js';
import type { Log, Metrics } from './ports/telemetry.js';
import type { Sources } from './sources/sources.js';

/** After a renewal that failed without a word on when to try again. */
const RETRY_MS = 1_000;
/** Renewals under way at once; the others wait for their turn. */
const MAX_CONCURRENT = 64;
/** A token that nobody wants when it is due is looked at again after this part of what is left of its life. */
const LOOK_AGAIN = 0.25;
/** Plans for tokens that are held no more are thrown out when there are so many beside one for each that is held. */
const STALE_PLANS = 1_000;

export interface RefresherPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly memory: Memory;
  readonly sources: Sources;
  readonly getToken: GetToken;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly broker: string;
  readonly brokers: () => readonly string[];
  /** A slot that nobody has asked for or reported for so long is left to expire. */
  readonly demandMs: number;
}

interface Renewal {
  readonly slot: string;
  readonly generation: number;
  /** When it was due first: one that fails is tried again later, and is late by all of that. */
  readonly dueAtMs: number;
}

/**
 * Renews tokens ahead of their expiry. Every replica that holds a slot plans for it, each a little later than the one
 * before it in the slot's own order; the lock, and the claim for more than what is there, leave one of them the work.
 */
export class Refresher {
  readonly #ports: RefresherPorts;
  readonly #schedule = new Schedule<Renewal>();
  /** What is planned, by slot: a token that is evicted and read again is planned for once. */
  readonly #planned = new Map<string, { readonly generation: number; readonly atMs: number }>();
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #running = 0;
  #stopped = false;

  constructor(ports: RefresherPorts) {
    this.#ports = ports;
  }

  /** Plans the renewal of a token that has come to be held. */
  plan(held: Held): void {
    const { clock, sources, random, broker, brokers } = this.#ports;
    const { slot } = held.address;
    const source = sources.source(held.address.source);
    if (source?.recipe !== held.address.recipe || this.#planned.get(slot)?.generation === held.generation) return;
    if (!source.provider.capabilities.needsRefresher) return;
    // Nobody keeps the token that a caller gave: the caller brings it again.
    if (held.parameters.subjectHash !== undefined) return;
    const beforeMs = refreshBeforeExpiryMs(
      source.configuration.refresh.ahead,
      held.lifeMs,
      held.expiresAtElapsedMs - held.usableUntilElapsedMs,
      random.uniform(),
    );
    if (beforeMs === undefined) return;
    const rank = rankOf(slot, broker, brokers());
    const atMs = held.expiresAtElapsedMs - beforeMs + rankDelayMs(rank, held.lifeMs);
    // Nobody is late with what came to be held after its time.
    const dueAtMs = Math.max(clock.elapsedMs(), atMs);
    this.#add(atMs, { slot, generation: held.generation, dueAtMs });
  }

  /**
   * Sources that are kept warm are fetched before anybody asks: at the start, after a revocation, and after an outage that
   * was longer than the token's life. One replica fetches; the others find it in the store, at the latest a tick later.
   */
  fetchKeptWarm(): void {
    const { sources, getToken, memory } = this.#ports;
    if (this.#stopped) return;
    for (const source of sources.current.sources.values()) {
      if (!source.configuration.refresh.keepWarm) continue;
      const address = sources.address(source, {});
      if (memory.peek(address.slot)?.address.recipe === source.recipe) continue;
      void getToken.obtain({ source, address, parameters: {} }, 0, 'miss', { onlyIfFree: true });
    }
  }

  /** Elapsed time at which this replica will see whether to renew the token; `undefined`: it does not plan to. */
  plannedAtMs({ address, generation }: Pick<Held, 'address' | 'generation'>): number | undefined {
    const planned = this.#planned.get(address.slot);
    return planned?.generation === generation ? planned.atMs : undefined;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #add(atMs: number, renewal: Renewal): void {
    this.#schedule.add(atMs, renewal);
    this.#planned.set(renewal.slot, { generation: renewal.generation, atMs });
    if (this.#schedule.size > 2 * this.#ports.memory.size + STALE_PLANS) this.#forgetStale();
    this.#arm();
  }

  #forgetStale(): void {
    this.#schedule.retain((renewal) => {
      const isHeld = this.#ports.memory.peek(renewal.slot)?.generation === renewal.generation;
      if (!isHeld) this.#forget(renewal);
      return isHeld;
    });
  }

  #forget({ slot, generation }: Renewal): void {
    if (this.#planned.get(slot)?.generation === generation) this.#planned.delete(slot);
  }

  #arm(): void {
    const { clock } = this.#ports;
    const nextAtMs = this.#schedule.nextAtMs;
    if (this.#stopped || nextAtMs === undefined || (this.#timer !== undefined && this.#timerAtMs <= nextAtMs)) return;
    this.#timer?.cancel();
    this.#timerAtMs = nextAtMs;
    this.#timer = clock.startTimer(Math.max(0, nextAtMs - clock.elapsedMs()), () => {
      this.#timer = undefined;
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.#work();
    });
  }

  #work(): void {
    while (this.#running < MAX_CONCURRENT && !this.#stopped) {
      const due = this.#schedule.takeDue(this.#ports.clock.elapsedMs());
      if (due === undefined) break;
      this.#forget(due);
      const held = this.#ports.memory.peek(due.slot);
      // Renewed by somebody else, revoked, evicted: whoever holds the new one has planned for it.
      if (held?.generation !== due.generation || held.dead) continue;
      if (!this.#isWanted(held)) {
        this.#lookAgain(held);
        continue;
      }
      this.#running++;
      void this.#renew(held, due.dueAtMs).finally(() => {
        this.#running--;
        this.#work();
      });
    }
    if (this.#running < MAX_CONCURRENT) this.#arm();
  }

  /** Whoever asks for it from now on is given the old token at once, so that nothing but this renews it. */
  #lookAgain(held: Held): void {
    const nowMs = this.#ports.clock.elapsedMs();
    const atMs = nowMs + Math.max(RETRY_MS, (held.usableUntilElapsedMs - nowMs) * LOOK_AGAIN);
    if (atMs >= held.usableUntilElapsedMs) return;
    this.#add(atMs, { slot: held.address.slot, generation: held.generation, dueAtMs: atMs });
  }

  #isWanted(held: Held): boolean {
    const { clock, demandMs, sources } = this.#ports;
    const keepWarm = sources.source(held.address.source)?.configuration.refresh.keepWarm === true;
    return keepWarm || clock.elapsedMs() - held.wantedAtMs < demandMs;
  }

  async #renew(held: Held, dueAtMs: number): Promise<void> {
    const { clock, getToken, sources, metrics } = this.#ports;
    const source = sources.source(held.address.source);
    if (source?.recipe !== held.address.recipe) return;
    const { address, parameters, generation, wantedBy } = held;
    const route = { source, address, parameters, ...(wantedBy === undefined ? {} : { caller: wantedBy }) };
    const outcome = await getToken.obtain(route, generation, 'refresh', { onlyIfFree: true });
    if (outcome.kind === 'token') {
      if (outcome.layer === 'flight') metrics.refreshed(address.source, clock.elapsedMs() - dueAtMs);
      return;
    }
    const pauseMs = outcome.kind === 'failure' ? Math.max(RETRY_MS, outcome.failure.retryAfterMs ?? 0) : RETRY_MS;
    const retryAtMs = clock.elapsedMs() + pauseMs;
    if (retryAtMs < held.usableUntilElapsedMs) this.#add(retryAtMs, { slot: address.slot, generation, dueAtMs });
  }
}
