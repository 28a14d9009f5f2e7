import type { Clock, Timer } from '@token-broker/foundation';
import type { Timing } from '@token-broker/protocol';
import type { Memory } from '../memory/memory.js';
import { StoreError, type LeaseReply, type Store } from '../ports/store.js';
import type { Log, Metrics } from '../ports/telemetry.js';
import type { Publisher } from './publisher.js';

/** A lease lasts so many ticks; so long may a broker answer from memory without having read along. */
export const LEASE_TICKS = 3;
/** A read of a peer says that Redis can be reached for so long; and that this broker cannot, where its own is older by that. */
const RECENT_TICKS = 2;
/** A peer's heartbeat so young makes one of ours superfluous: one a tick in the whole cluster is enough. */
const SUPPRESSED_WITHIN_TICKS = 0.9;

export interface LeaseKeeperPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly memory: Memory;
  readonly publisher: Publisher;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly timing: Timing;
  /** What the cluster's newest configuration is, at each tick. */
  readonly onPolicy: (policy: number, fingerprint: string) => void;
}

/**
 * Reads along: once a tick it renews this broker's lease on every partition, applies what was invalidated, and tells near
 * caches where the partitions stand. Ages are counted from when the read was sent.
 */
export class LeaseKeeper {
  readonly #ports: LeaseKeeperPorts;
  #timer: Timer | undefined;
  #running: Promise<boolean> | undefined;
  #again: Promise<boolean> | undefined;
  /** Of a peer: one of ours is superfluous for a while. */
  #heardHeartbeatAtMs = Number.NEGATIVE_INFINITY;
  /** When a peer has read Redis last, as far as its heartbeats tell. */
  #peerReadAtMs = Number.NEGATIVE_INFINITY;
  /** Of anybody: what near caches hear. */
  #heartbeatAtMs: number | undefined;
  #brokers: readonly string[] = [];
  #leasedAtMs: number | undefined;
  #paused: ReadonlyMap<string, number> = new Map();
  #stopped = false;

  constructor(ports: LeaseKeeperPorts) {
    this.#ports = ports;
  }

  /** Brokers with a lease at the last tick, this one included. */
  get brokers(): readonly string[] {
    return this.#brokers;
  }

  /** Sources that were paused at the last read, each with the Redis time since when. */
  get paused(): ReadonlyMap<string, number> {
    return this.#paused;
  }

  /** How old the last read of all partitions is; `undefined`: there was none. */
  get leaseAgeMs(): number | undefined {
    return this.#leasedAtMs === undefined ? undefined : this.#ports.clock.elapsedMs() - this.#leasedAtMs;
  }

  start(): void {
    this.#schedule(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Since a heartbeat was heard, this broker's own included; `undefined`: never. */
  get heartbeatAgeMs(): number | undefined {
    return this.#heartbeatAtMs === undefined ? undefined : this.#ports.clock.elapsedMs() - this.#heartbeatAtMs;
  }

  /** A peer has read Redis lately, and this broker has missed that: whoever asks is better served there. */
  get isBehindPeers(): boolean {
    const { clock, timing } = this.#ports;
    const leasedAtMs = this.#leasedAtMs ?? Number.NEGATIVE_INFINITY;
    const recentMs = timing.tickMs * RECENT_TICKS;
    return clock.elapsedMs() - this.#peerReadAtMs < recentMs && this.#peerReadAtMs - leasedAtMs > recentMs;
  }

  /** @param ageMs how old the read of Redis is that it tells of */
  heardHeartbeat(isOwn: boolean, ageMs: number): void {
    const nowMs = this.#ports.clock.elapsedMs();
    this.#heartbeatAtMs = nowMs;
    if (isOwn) return;
    this.#heardHeartbeatAtMs = nowMs;
    this.#peerReadAtMs = Math.max(this.#peerReadAtMs, nowMs - ageMs);
  }

  /** Something newer than what was read is known: read now. */
  hurry(): void {
    // Before the first read there is nothing to catch up with: whoever starts this broker reads.
    if (this.#leasedAtMs !== undefined && this.#running === undefined) void this.readAlong();
  }

  /** A read that is sent after this call. Callers share it. `false`: Redis did not answer, or an older data set did. */
  readAlong(): Promise<boolean> {
    // After the end no lease is taken again: revocations would wait for a broker that is gone.
    if (this.#stopped) return Promise.resolve(false);
    if (this.#running === undefined) {
      this.#running = this.#read().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    // The one under way may have been sent too early for this caller: all who come meanwhile share the next.
    this.#again ??= this.#running.then(() => {
      this.#again = undefined;
      return this.readAlong();
    });
    return this.#again;
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer = this.#ports.clock.startTimer(delayMs, () => {
      this.#schedule(this.#ports.timing.tickMs);
      void this.#tick();
    });
  }

  async #tick(): Promise<void> {
    const { clock, memory, timing } = this.#ports;
    memory.reclaim(clock);
    if (!(await this.readAlong())) return;
    const sinceHeardMs = clock.elapsedMs() - this.#heardHeartbeatAtMs;
    if (sinceHeardMs >= timing.tickMs * SUPPRESSED_WITHIN_TICKS) this.#beat();
  }

  /** Publishes where the partitions stand, by the last read. */
  #beat(): void {
    const { memory, publisher, timing } = this.#ports;
    const ageMs = this.leaseAgeMs;
    if (ageMs === undefined) return;
    publisher.heartbeat({
      ageMs: Math.ceil(ageMs),
      atMs: memory.views[0]?.leasedRedisMs ?? 0,
      epochs: memory.views.map(({ epoch }) => epoch),
      vseqs: memory.views.map(({ applied }) => applied),
      timing,
    });
  }

  async #read(): Promise<boolean> {
    const { clock, store, memory, log, timing } = this.#ports;
    const sentAtMs = clock.elapsedMs();
    const requests = memory.views.map(({ epoch, applied }, partition) => ({ partition, epoch, applied }));
    try {
      const replies = await store.lease(requests, LEASE_TICKS * timing.tickMs);
      const refused = replies.filter((reply) => !this.#apply(reply));
      if (refused.length > 0) {
        log.warn('store: an older data set answers', { partitions: refused.map(({ partition }) => String(partition)) });
        return false;
      }
      this.#leasedAtMs = sentAtMs;
      this.#paused = new Map(replies.flatMap(({ paused }) => [...paused]));
      const [first] = replies;
      if (first !== undefined) {
        this.#brokers = first.brokers;
        this.#ports.onPolicy(first.policy, first.policyFingerprint);
      }
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      log.warn('store: could not read along', { reason: error.message });
      return false;
    }
  }

  /** `false`: the answer is of an epoch that is past, and leases nothing. */
  #apply(reply: LeaseReply): boolean {
    const { memory, metrics } = this.#ports;
    const { partition, asOf, entries } = reply;
    const view = memory.view(partition);
    if (asOf.epoch < view.epoch) return false;
    if (entries === undefined) {
      // An event may have brought us further meanwhile: then this reply is old news, but still a lease.
      const isBehind = asOf.epoch > view.epoch || asOf.vseq > view.applied;
      if (isBehind) memory.beginEpoch(partition, asOf.epoch, asOf.vseq);
    } else {
      // An event, or a revocation of our own, may have been faster than this reply.
      const news = entries.filter((entry) => memory.apply(partition, asOf.epoch, entry)).length;
      if (news > 0) metrics.eventsReplayed('broker', news);
    }
    view.leasedAtMs = asOf.sentAtMs;
    view.leasedRedisMs = asOf.redisMs;
    return true;
  }
}
