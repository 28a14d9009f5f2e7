import { backoffMs, type BackoffPolicy, type Clock, type Random, type Timer } from '@token-broker/foundation';
import {
  decode,
  encode,
  failure,
  LIMITS,
  syncReplyOrFailureSchema,
  TokenBrokerError,
  type Subjects,
  type SyncReply,
  type SyncRequest,
} from '@token-broker/protocol';
import type { ClientLogger } from './logger.js';
import type { NearCache } from './near-cache/near-cache.js';
import { GAP_GRACE_MS } from './near-cache/partition-state.js';
import {
  applySync,
  confirmHolds,
  knownPositions,
  settlePartition,
  unconfirmedPartitions,
} from './near-cache/positions.js';
import type { SlotState } from './near-cache/slot-state.js';
import type { Requester } from './requester.js';

/** Slots in one sync request: their names and generations stay well below the limit of a request's bytes. */
const SLOTS_PER_REQUEST = 1_000;
/** How often the slots in use are reported, give or take a fifth. */
const REPORT_EVERY_MS = 30_000;
const RETRY_BACKOFF: BackoffPolicy = { firstMs: 500, maxMs: 5_000 };
/** How long one sync may take: long enough for a broker that answers thousands, short enough to try again in time. */
const TICKS_PER_SYNC = 3;

export interface SyncLoopOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly requester: Requester;
  readonly subjects: Subjects;
  readonly caller: string;
  readonly instance: string;
  readonly cache: NearCache;
  readonly requestTimeoutMs: number;
  readonly logger: ClientLogger;
  /** After each sync that succeeded. */
  readonly synced: () => void;
}

/** Closes gaps: asks a broker what was missed, and which of the held tokens still count. Also reports demand. */
export class SyncLoop {
  readonly counters = { syncs: 0 };
  readonly #options: SyncLoopOptions;
  #timer: Timer | undefined;
  #timerDueAtMs = Number.POSITIVE_INFINITY;
  #onlyInDoubt = true;
  #reportTimer: Timer | undefined;
  #reportedAtMs: number;
  #running = false;
  #dueAgain = false;
  /** Something new was heard while a sync was under way. */
  #hasNews = false;
  #failures = 0;
  #closed = false;

  constructor(options: SyncLoopOptions) {
    this.#options = options;
    this.#reportedAtMs = options.clock.elapsedMs();
  }

  /** Sends the first sync at once: it brings the brokers' timing and makes this near cache known to them. */
  start(): void {
    this.#scheduleReport();
    this.#startRun([]);
  }

  /** A sync is due, whatever is known. What makes it due strikes many near caches at once: it is spread over a tick. */
  due(): void {
    this.#schedule(this.#options.random.uniform() * this.#options.cache.timing.tickMs, false);
  }

  /** A sync is due, spread over a tick, unless nothing is in doubt by then. */
  suspected(): void {
    this.#schedule(this.#options.random.uniform() * this.#options.cache.timing.tickMs, true);
  }

  /** A sync is due unless the gap closes by itself within its grace. */
  gapped(): void {
    this.#schedule(GAP_GRACE_MS * (1 + this.#options.random.uniform() / 2), true);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#reportTimer?.cancel();
    const { requester, subjects, caller, instance } = this.#options;
    requester.post(subjects.sync(caller), encode({ v: 1, instance, leaving: true } satisfies SyncRequest));
  }

  #schedule(delayMs: number, onlyInDoubt: boolean): void {
    if (this.#closed) return;
    if (this.#running) {
      if (onlyInDoubt) this.#hasNews = true;
      else this.#dueAgain = true;
      return;
    }
    const { clock } = this.#options;
    const dueAtMs = clock.elapsedMs() + delayMs;
    this.#onlyInDoubt &&= onlyInDoubt;
    if (dueAtMs >= this.#timerDueAtMs) return;
    this.#timer?.cancel();
    this.#timerDueAtMs = dueAtMs;
    this.#timer = clock.startTimer(delayMs, () => {
      this.#timerDueAtMs = Number.POSITIVE_INFINITY;
      const runs = !this.#onlyInDoubt || this.#isInDoubt();
      this.#onlyInDoubt = true;
      if (runs) this.#startRun([]);
    });
  }

  /** One sync at a time. One that fails, or leaves something in doubt, is followed by another. */
  #startRun(report: readonly SlotState[]): void {
    if (this.#closed || this.#running) return;
    this.#running = true;
    this.#dueAgain = false;
    this.#hasNews = false;
    const ended = (failures: number): void => {
      this.#running = false;
      // Whoever tells of something new can be asked: what failed before says nothing about that.
      this.#failures = this.#hasNews ? 0 : failures;
      if (failures > 0 && !this.#hasNews)
        this.#schedule(backoffMs(RETRY_BACKOFF, failures, this.#options.random.uniform()), false);
      else if (this.#dueAgain) this.due();
      else if (this.#hasNews) this.suspected();
    };
    this.#run(report).then(
      () => {
        ended(this.#isInDoubt() ? this.#failures + 1 : 0);
      },
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : 'unknown';
        if (!this.#closed) this.#options.logger.debug(`a sync failed: ${reason}`);
        ended(this.#failures + 1);
      },
    );
  }

  #isInDoubt(): boolean {
    const { cache, clock } = this.#options;
    return cache.isSuspect(clock.elapsedMs(), 0);
  }

  async #run(report: readonly SlotState[]): Promise<void> {
    const { clock, cache } = this.#options;
    const known = knownPositions(cache);
    const sentAtMs = clock.elapsedMs();
    const [first = [], ...rest] = chunksOf(report);
    const reply = await this.#exchange({ ...(known === undefined ? {} : { known }), ...this.#holdsOf(first) });
    applySync(cache, reply, known, sentAtMs, clock.elapsedMs());
    await this.#verify();
    this.#options.synced();
    for (const chunk of rest) await this.#exchange(this.#holdsOf(chunk));
  }

  /** Asks which of the tokens still count that only a broker can judge, and drops the others. */
  async #verify(): Promise<void> {
    const { clock, cache } = this.#options;
    const partitions = unconfirmedPartitions(cache);
    const asked = partitions.flatMap((partition) => [...partition.unconfirmed]);
    let first: { readonly reply: SyncReply; readonly readAtMs: number } | undefined;
    for (const chunk of chunksOf(asked)) {
      const sentAtMs = clock.elapsedMs();
      const reply = await this.#exchange({ ...this.#holdsOf(chunk), verify: true });
      first ??= { reply, readAtMs: sentAtMs - reply.ageMs };
      confirmHolds(cache, chunk, reply, clock.elapsedMs());
    }
    if (first === undefined) return;
    // What the first reply had seen, all of them have.
    for (const partition of partitions) {
      const epoch = first.reply.epochs[partition.index] ?? 0;
      const vseq = first.reply.vseqs[partition.index] ?? 0;
      settlePartition(cache, partition, { epoch, vseq, readAtMs: first.readAtMs }, clock.elapsedMs());
    }
  }

  async #exchange(fields: Omit<SyncRequest, 'v' | 'instance'>): Promise<SyncReply> {
    const { requester, subjects, caller, instance, cache, requestTimeoutMs } = this.#options;
    const timeoutMs = Math.min(requestTimeoutMs, TICKS_PER_SYNC * cache.timing.tickMs);
    this.counters.syncs += 1;
    const body = encode({ v: 1, instance, ...fields } satisfies SyncRequest);
    const data = await requester.request(subjects.sync(caller), body, timeoutMs);
    const reply = decode(syncReplyOrFailureSchema, data, LIMITS.replyBytes);
    if (!reply.ok) throw new TokenBrokerError(failure('INTERNAL', `a broker's reply cannot be read: ${reply.error}`));
    if ('error' in reply.value) throw new TokenBrokerError(failure(reply.value.error.code, reply.value.error.message));
    return reply.value;
  }

  #holdsOf(states: readonly SlotState[]): Pick<SyncRequest, 'holds'> {
    const { cache, clock } = this.#options;
    const nowMs = clock.elapsedMs();
    const bySource = new Map<string, [string, number][]>();
    for (const state of states) {
      const entry = cache.entryOf(state, nowMs);
      if (entry === undefined) continue;
      const slots = bySource.get(state.source) ?? [];
      bySource.set(state.source, slots);
      slots.push([state.slot, entry.generation]);
    }
    return bySource.size === 0 ? {} : { holds: [...bySource].map(([source, slots]) => ({ source, slots })) };
  }

  #scheduleReport(): void {
    if (this.#closed) return;
    const { clock, random, cache } = this.#options;
    const everyMs = Math.min(REPORT_EVERY_MS, cache.timing.maxStalenessMs / 2);
    this.#reportTimer = clock.startTimer(
      Math.max(cache.timing.tickMs, everyMs) * (0.8 + 0.4 * random.uniform()),
      () => {
        this.#report();
        this.#scheduleReport();
      },
    );
  }

  /** Forgets slots that are not needed; reports those used since the last report, so that brokers keep them fresh. */
  #report(): void {
    const { clock, cache } = this.#options;
    const nowMs = clock.elapsedMs();
    // Also while no broker answers a sync: just then they would pile up.
    cache.forgetSpent(nowMs);
    if (this.#running) return;
    const since = this.#reportedAtMs;
    this.#reportedAtMs = nowMs;
    const used = [...cache.slots()].filter(({ lastUsedAtMs }) => lastUsedAtMs >= since);
    for (const state of used) cache.touch(state);
    this.#startRun(used);
  }
}

function chunksOf(states: readonly SlotState[]): SlotState[][] {
  const chunks: SlotState[][] = [];
  for (let from = 0; from < states.length; from += SLOTS_PER_REQUEST)
    chunks.push(states.slice(from, from + SLOTS_PER_REQUEST));
  return chunks;
}
