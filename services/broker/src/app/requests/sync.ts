import { BoundedMap, type Clock } from '@token-broker/foundation';
import {
  decode,
  encode,
  failure,
  LIMITS,
  syncRequestSchema,
  type Change,
  type Failure,
  type SyncReply,
  type SyncRequest,
  type Timing,
} from '@token-broker/protocol';
import type { GetToken } from './get-token.js';
import { changeOf } from '../memory/invalidations.js';
import type { LeaseKeeper } from '../cluster/lease-keeper.js';
import type { Memory } from '../memory/memory.js';
import type { ServiceRequest } from '../ports/bus.js';
import { StoreError, type SlotAddress, type Store } from '../ports/store.js';
import type { Log, Metrics } from '../ports/telemetry.js';
import { isFailure } from './refusal.js';
import type { Sources } from '../sources/sources.js';

/** A near cache that has not reported for so long counts as gone. It reports every 30 s. */
export const PRESENT_FOR_MS = 75_000;
/** It names the sources that it uses at least so often. */
const REPORTED_WITHIN_MS = 36_000;
/** Near caches that are counted at most. */
const SEEN_KEPT = 100_000;
/** Slots of a report that are read from the store at once, to be refreshed from here. */
const LOOKS_AT_ONCE = 64;

export interface SyncPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly memory: Memory;
  readonly sources: Sources;
  readonly leaseKeeper: LeaseKeeper;
  readonly getToken: GetToken;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly timing: Timing;
}

/**
 * Answers a near cache that may have missed something: what was invalidated since, and what of its slots still counts.
 * Always by a read of Redis that was sent after the request came: memory alone might have missed the same thing.
 */
export class Sync {
  readonly #ports: SyncPorts;
  /** When each near cache was last heard here. */
  readonly #seenAtMs = new BoundedMap<number>({ maxEntries: SEEN_KEPT, maxBytes: SEEN_KEPT }, () => 1);

  /** When each near cache last named a source here: by source, caller and instance. */
  readonly #wantedAtMs = new BoundedMap<number>({ maxEntries: SEEN_KEPT, maxBytes: SEEN_KEPT }, () => 1);

  constructor(ports: SyncPorts) {
    this.#ports = ports;
  }

  /** Near caches that have reported to this replica lately. */
  get nearCachesSeen(): number {
    const sinceMs = this.#ports.clock.elapsedMs() - PRESENT_FOR_MS;
    for (const [instance, atMs] of this.#seenAtMs.entries()) if (atMs < sinceMs) this.#seenAtMs.delete(instance);
    return this.#seenAtMs.size;
  }

  /** Near caches that have reported to this replica that they use a token of the source, since their last report but one. */
  get nearCachesBySource(): ReadonlyMap<string, number> {
    const sinceMs = this.#ports.clock.elapsedMs() - REPORTED_WITHIN_MS;
    const counts = new Map<string, number>();
    for (const [key, atMs] of this.#wantedAtMs.entries()) {
      if (atMs < sinceMs) this.#wantedAtMs.delete(key);
      else {
        const [source = ''] = key.split(' ');
        counts.set(source, (counts.get(source) ?? 0) + 1);
      }
    }
    return counts;
  }

  /** Near caches that use the source, as {@link nearCachesBySource} counts them; the latest first. */
  nearCachesOf(wanted: string): { readonly caller: string; readonly instance: string; readonly seenMs: number }[] {
    const nowMs = this.#ports.clock.elapsedMs();
    return [...this.#wantedAtMs.entries()]
      .flatMap(([key, atMs]) => {
        const [source, caller = '', instance = ''] = key.split(' ');
        const isOfNow = source === wanted && nowMs - atMs <= REPORTED_WITHIN_MS;
        return isOfNow ? [{ caller, instance, seenMs: Math.floor(nowMs - atMs) }] : [];
      })
      .sort((a, b) => a.seenMs - b.seenMs);
  }

  async handle(request: ServiceRequest): Promise<Uint8Array> {
    const outcome = await this.#outcome(request);
    if (isFailure(outcome)) this.#ports.metrics.synced('refused');
    return encode(isFailure(outcome) ? { v: 1, error: outcome } : outcome);
  }

  async #outcome(request: ServiceRequest): Promise<SyncReply | Failure> {
    const { caller } = request;
    if (this.#ports.sources.caller(caller) === undefined)
      return failure('FORBIDDEN', `the policy does not know the caller "${caller}"`);
    const decoded = decode(syncRequestSchema, request.body, LIMITS.requestBytes);
    if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
    if (decoded.value.caller !== undefined && decoded.value.caller !== caller) {
      return failure('BAD_REQUEST', 'caller: is not the caller of the subject');
    }
    try {
      return await this.#reply(caller, decoded.value);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return failure('STORE_UNAVAILABLE', 'this broker cannot read Redis now');
    }
  }

  async #reply(caller: string, body: SyncRequest): Promise<SyncReply | Failure> {
    const { clock, store, memory, leaseKeeper, metrics, timing } = this.#ports;
    if (body.leaving === true) this.#seenAtMs.delete(body.instance);
    else this.#seenAtMs.set(body.instance, clock.elapsedMs());
    await store.present(caller, body.instance, body.leaving === true ? 0 : PRESENT_FOR_MS);
    const sentAtMs = clock.elapsedMs();
    if (!(await leaseKeeper.readAlong())) return failure('STORE_UNAVAILABLE', 'this broker cannot read Redis now');
    const { changes, reset } = this.#missed(body);
    metrics.synced(reset.length > 0 ? 'reset' : 'delta');
    if (changes.length > 0) metrics.eventsReplayed('near-cache', changes.length);
    const reply: SyncReply = {
      v: 1,
      ageMs: Math.ceil(clock.elapsedMs() - sentAtMs),
      atMs: memory.views[0]?.leasedRedisMs ?? 0,
      epochs: memory.views.map(({ epoch }) => epoch),
      vseqs: memory.views.map(({ applied }) => applied),
      changes,
      reset,
      timing,
    };
    const held = this.#addresses(caller, body);
    if (body.verify === true) return { ...reply, live: await this.#live(held) };
    for (const source of new Set(held.map(({ address }) => address.source)))
      this.#wantedAtMs.set(`${source} ${caller} ${body.instance}`, clock.elapsedMs());
    void this.#noteDemand(caller, held);
    return reply;
  }

  #missed(body: SyncRequest): { changes: Change[]; reset: number[] } {
    const { memory, sources } = this.#ports;
    const changes: Change[] = [];
    const reset: number[] = [];
    if (body.known === undefined) return { changes, reset };
    for (const [partition, view] of memory.views.entries()) {
      const missed = view.since(body.known.epochs[partition] ?? 0, body.known.vseqs[partition] ?? 0);
      const isTooMuch = missed !== undefined && changes.length + missed.length > LIMITS.changesPerInvalidation;
      if (missed === undefined || isTooMuch) reset.push(partition);
      else changes.push(...missed.map((entry) => changeOf(partition, view.epoch, entry, sources)));
    }
    return { changes, reset };
  }

  /** What the near cache holds, of the sources that its caller may use. */
  #addresses(caller: string, body: SyncRequest): { readonly address: SlotAddress; readonly generation: number }[] {
    const { sources } = this.#ports;
    return (body.holds ?? []).flatMap(({ source: name, slots }) => {
      const source = sources.source(name);
      if (source === undefined || sources.grant(caller, name) === undefined) return [];
      return slots.map(([slot, generation]) => ({ address: sources.addressOfSlot(source, slot), generation }));
    });
  }

  async #live(
    held: readonly { readonly address: SlotAddress; readonly generation: number }[],
  ): Promise<[string, number][]> {
    const { store, memory } = this.#ports;
    const current = await store.generations(held.map(({ address }) => address));
    return held.flatMap(({ address, generation }, index): [string, number][] => {
      const live = current[index];
      // Also an older data set might answer: what counts there counts no more.
      const isOfNow = live !== undefined && memory.accepts(address.partition, live.asOf);
      return isOfNow && live.generation === generation ? [[address.slot, generation]] : [];
    });
  }

  /** A reported slot is in demand: it is refreshed from here, also if nobody has asked this broker for it yet. */
  async #noteDemand(caller: string, held: readonly { readonly address: SlotAddress }[]): Promise<void> {
    const { clock, memory, sources, getToken, log } = this.#ports;
    const nowMs = clock.elapsedMs();
    const unknown: SlotAddress[] = [];
    for (const { address } of held) {
      const known = memory.peek(address.slot);
      if (known === undefined) unknown.push(address);
      else {
        known.wantedAtMs = nowMs;
        known.wantedBy = caller;
      }
    }
    for (let i = 0; i < unknown.length; i += LOOKS_AT_ONCE) {
      const looks = unknown.slice(i, i + LOOKS_AT_ONCE).map(async (address) => {
        const source = sources.source(address.source);
        if (source !== undefined) await getToken.look(source, address, 0, nowMs, caller);
      });
      const ended = await Promise.allSettled(looks);
      if (ended.some(({ status }) => status === 'rejected')) {
        log.debug('store: reported slots could not be read; they are refreshed by another replica or on demand');
        return;
      }
    }
  }
}
