import type { Clock } from '@token-broker/foundation';
import {
  StoreError,
  type CommitReply,
  type CommitRequest,
  type CountPage,
  type CountRequest,
  type FailRequest,
  type InvalidationTarget,
  type LeaseReply,
  type LeaseRequest,
  type ListedSlot,
  type PauseOutcome,
  type Presence,
  type ReadReply,
  type ReserveReply,
  type ReserveRequest,
  type RevokeReply,
  type ScanPage,
  type SlotAddress,
  type Store,
} from '../../app/ports/store.js';
import { createKeys, type Keys } from './keys.js';
import { PartitionScripts } from './partition-scripts.js';
import {
  formatTarget,
  listOf,
  numberOf,
  parseChannel,
  parseFailed,
  parseHit,
  parseLog,
  parsePaused,
  textOf,
  type Reply,
} from './replies.js';
import { confirmedReplicas, type Durability } from './confirmed-replicas.js';
import { countPage, pauseSource, scanPage } from './scanning.js';
import { Scripts, toStoreError, type RedisClient } from './scripts.js';

/** Floors outlive every flight that they forbid (see `commit.lua`) by far. */
const FLOOR_LIFE_MS = 24 * 60 * 60 * 1_000;
const LIST_PAGE = 200;

export interface RedisStoreOptions extends Durability {
  readonly client: RedisClient;
  readonly namespace: string;
  readonly broker: string;
  readonly partitions: number;
  readonly clock: Clock;
  readonly onError: (command: string) => void;
}

/** The store on a real Redis: each method is one script of `lua/` on one partition. */
export class RedisStore implements Store {
  readonly #options: RedisStoreOptions;
  readonly #client: RedisClient;
  readonly #scripts: Scripts;
  readonly #keys: Keys;
  readonly #partitions: PartitionScripts;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#scripts = new Scripts(options.client, options.onError);
    this.#keys = createKeys(options.namespace);
    this.#partitions = new PartitionScripts(this.#scripts, this.#keys, options.clock, options.partitions);
  }

  isAvailable(): boolean {
    return this.#client.status === 'ready';
  }

  async read(address: SlotAddress, policy: number): Promise<ReadReply> {
    const reply = await this.#partitions.runOn(address, 'read', policy, []);
    if (reply.tag === 'hit') return this.#hit(reply, address.partition);
    if (reply.tag === 'failed') return parseFailed(reply);
    return { kind: 'miss', asOf: reply.asOf, floor: reply.number(0) };
  }

  async reserve(request: ReserveRequest): Promise<ReserveReply> {
    const { address, wantGreaterThan, floor, attempt, callMs, policy } = request;
    const reply = await this.#partitions.runOn(address, 'reserve', policy, [wantGreaterThan, floor, attempt, callMs]);
    const { asOf } = reply;
    switch (reply.tag) {
      case 'hit':
        return this.#hit(reply, address.partition);
      case 'go':
        this.#partitions.note(address.partition, asOf.epoch, reply.number(0));
        return { kind: 'go', asOf, generation: reply.number(0), isRefetch: reply.text(1) === '1' };
      case 'relock':
        return { kind: 'relock', asOf, floor: reply.number(0) };
      case 'busy':
        return { kind: 'busy', asOf, remainingMs: reply.number(0) };
      case 'failed':
        return parseFailed(reply);
      case 'policy':
      case 'paused':
        return { kind: reply.tag, asOf };
      default:
        throw unexpected('reserve', reply);
    }
  }

  async commit(request: CommitRequest): Promise<CommitReply> {
    const {
      address,
      attempt,
      epoch,
      generation,
      expiresAtMs,
      usableUntilMs,
      sealed,
      tokenHash,
      policy,
      channelCandidate,
      sealedBy,
      isConfigured = false,
    } = request;
    const reply = await this.#partitions.runOn(address, 'commit', policy, [
      attempt,
      epoch,
      generation,
      expiresAtMs,
      usableUntilMs,
      sealed,
      tokenHash,
      channelCandidate,
      sealedBy,
      isConfigured ? 1 : 0,
    ]);
    const { asOf } = reply;
    switch (reply.tag) {
      case 'ok': {
        const channel = parseChannel(reply, 1);
        return { kind: 'ok', asOf, generation: reply.number(0), ...(channel === undefined ? {} : { channel }) };
      }
      case 'epoch':
      case 'dead':
      case 'lost':
      case 'expired':
      case 'replayed':
      case 'policy':
        return { kind: reply.tag, asOf };
      default:
        throw unexpected('commit', reply);
    }
  }

  async fail(request: FailRequest): Promise<number | undefined> {
    const reply = await this.#partitions.runOn(request.address, 'fail', 0, [
      request.attempt,
      request.code,
      request.message,
      request.retryAfterMs,
      request.backoffFirstMs,
      request.backoffMaxMs,
      String(request.uniform),
    ]);
    return reply.tag === 'gone' ? undefined : reply.number(0);
  }

  async abandon(address: SlotAddress, attempt: string): Promise<void> {
    await this.#partitions.runOn(address, 'abandon', 0, [attempt]);
  }

  async reject(
    address: SlotAddress,
    epoch: number,
    generation: number,
    minIntervalMs: number,
  ): ReturnType<Store['reject']> {
    const keys = this.#keys.slot(address.partition, address.slot);
    const reply = await this.#partitions.runOn(
      address,
      'reject',
      0,
      [epoch, generation, minIntervalMs, FLOOR_LIFE_MS],
      [keys.rejected],
    );
    const kind = reply.tag === 'dropped' || reply.tag === 'limited' ? reply.tag : 'stale';
    return { kind, asOf: reply.asOf, floor: reply.number(0) };
  }

  async revoke(
    target: InvalidationTarget,
    partition: number,
    id: string,
    policy?: number,
    upTo?: number,
  ): Promise<RevokeReply> {
    const { slots } = this.#keys.partition(partition);
    const keys = this.#keys.slot(partition, target.kind === 'slot' ? target.slot : '-');
    const reply = await this.#partitions.run(
      'revoke',
      partition,
      [this.#keys.revocation(partition, id), keys.record, keys.floor, keys.flight, keys.channel, slots],
      [formatTarget(target), FLOOR_LIFE_MS, policy ?? '', upTo ?? ''],
    );
    this.#partitions.note(partition, reply.asOf.epoch, reply.number(0));
    return {
      asOf: reply.asOf,
      partition,
      floor: reply.number(0),
      vseq: reply.number(1),
      epochBeganMs: reply.number(2),
      replaced: reply.number(3),
      brokers: Array.from({ length: reply.length - 4 }, (_, index) => reply.text(index + 4)),
      replicas: await confirmedReplicas(this.#client, this.#options),
    };
  }

  async confirm(target: InvalidationTarget, partition: number, epoch: number, floor: number): Promise<boolean> {
    const keys = this.#keys.slot(partition, target.kind === 'slot' ? target.slot : '-');
    const reply = await this.#partitions.run('confirm', partition, [keys.floor], [formatTarget(target), epoch, floor]);
    return reply.tag === 'ok';
  }

  lease(requests: readonly LeaseRequest[], leaseMs: number): Promise<readonly LeaseReply[]> {
    return this.#readAlong(requests, this.#options.broker, leaseMs);
  }

  tail(requests: readonly LeaseRequest[]): Promise<readonly LeaseReply[]> {
    return this.#readAlong(requests, '', 0);
  }

  async leave(): Promise<void> {
    await Promise.all(
      this.#partitions.partitions.map((partition) =>
        this.#partitions.run('leave', partition, [], [this.#options.broker]),
      ),
    );
  }

  async registerPolicy(fingerprint: string): Promise<number> {
    const first = await this.#partitions.run('policy', 0, [], [fingerprint, '']);
    const version = first.number(0);
    const others = this.#partitions.partitions.slice(1);
    await Promise.all(others.map((partition) => this.#partitions.run('policy', partition, [], [fingerprint, version])));
    return version;
  }

  async recipes(): Promise<ReadonlyMap<string, string>> {
    return new Map(Object.entries(await this.#plain('hgetall', () => this.#client.hgetall(this.#keys.recipes))));
  }

  async noteRecipe(source: string, recipe: string | undefined): Promise<void> {
    const key = this.#keys.recipes;
    if (recipe === undefined) await this.#plain('hdel', () => this.#client.hdel(key, source));
    else await this.#plain('hset', () => this.#client.hset(key, source, recipe));
  }

  async generations(addresses: readonly SlotAddress[]): ReturnType<Store['generations']> {
    return Promise.all(
      addresses.map(async (address) => {
        const reply = await this.read(address, 0);
        return { asOf: reply.asOf, generation: reply.kind === 'hit' ? reply.record.generation : 0 };
      }),
    );
  }

  async list(
    filter: { readonly source?: string; readonly slot?: string; readonly partition?: number },
    limit: number,
  ): ReturnType<Store['list']> {
    const found: ListedSlot[] = [];
    // One text for each name: of a hundred thousand that are equal, each would have to be compared, and kept.
    const names = new Map<string, string>();
    for (const partition of this.#partitions.partitions) {
      if (filter.partition !== undefined && filter.partition !== partition) continue;
      for (let offset = 0; ; offset += LIST_PAGE) {
        const page = await this.#listPage(partition, filter, offset, names);
        found.push(...page.slots);
        if (found.length > limit) return { slots: found.slice(0, limit), truncated: true };
        if (page.seen < LIST_PAGE || filter.slot !== undefined) break;
      }
    }
    return { slots: found, truncated: false };
  }

  scan(partition: number, cursor: string | undefined, withSealed: boolean): Promise<ScanPage> {
    return scanPage(this.#partitions, this.#keys, partition, cursor, withSealed);
  }

  count(request: CountRequest, cursor: string | undefined): Promise<CountPage> {
    return countPage(this.#partitions, this.#keys, request, cursor);
  }

  pause(source: string, paused: boolean): Promise<PauseOutcome> {
    return pauseSource(this.#partitions, source, paused);
  }

  async present(caller: string, instance: string, ttlMs: number): Promise<void> {
    await this.#scripts.run('presence', [this.#keys.nearCaches], [`${caller}/${instance}`, ttlMs]);
  }

  async presences(): Promise<readonly Presence[]> {
    const rows = (await this.#scripts.run('presence', [this.#keys.nearCaches], ['', 0])).map((value) => textOf(value));
    const presences: Presence[] = [];
    for (let i = 0; i + 1 < rows.length; i += 2) {
      const [caller = '', instance = ''] = (rows[i] ?? '').split('/');
      presences.push({ caller, instance, untilMs: numberOf(rows[i + 1] ?? '') - numberOf(rows.at(-1) ?? '') });
    }
    return presences;
  }

  async sharedSecret(name: string, candidate: Uint8Array): Promise<Uint8Array> {
    const key = this.#keys.secret(name);
    return this.#plain('set', async () => {
      await this.#client.set(key, Buffer.from(candidate), 'NX');
      return (await this.#client.getBuffer(key)) ?? candidate;
    });
  }

  async replaceSharedSecret(name: string, value: Uint8Array): Promise<void> {
    await this.#plain('set', () => this.#client.set(this.#keys.secret(name), Buffer.from(value)));
  }

  async #plain<T>(command: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#options.onError(command);
      throw toStoreError(command, error);
    }
  }

  async #listPage(
    partition: number,
    filter: { readonly source?: string; readonly slot?: string },
    offset: number,
    names: Map<string, string>,
  ): Promise<{ slots: ListedSlot[]; seen: number }> {
    const { slots } = this.#keys.partition(partition);
    const prefixes = [this.#keys.prefix(partition, 'record'), this.#keys.prefix(partition, 'floor')];
    const reply = await this.#partitions.run(
      'list',
      partition,
      [slots],
      [...prefixes, filter.source ?? '', filter.slot ?? '', offset, LIST_PAGE],
    );
    const listed = reply.list(1).map((row): ListedSlot => {
      const [slot = '', source = '', epoch = '', generation = '', expiresAt = ''] = listOf(row).map((value) =>
        textOf(value),
      );
      const known = names.get(source);
      if (known === undefined) names.set(source, source);
      const expiresAtMs = numberOf(expiresAt);
      return {
        slot,
        partition,
        source: known ?? source,
        epoch: numberOf(epoch),
        generation: numberOf(generation),
        expiresAtMs,
        remainingMs: expiresAtMs - reply.asOf.redisMs,
      };
    });
    return { slots: listed, seen: reply.number(0) };
  }

  async #readAlong(requests: readonly LeaseRequest[], broker: string, leaseMs: number): Promise<readonly LeaseReply[]> {
    return Promise.all(
      requests.map(async ({ partition, epoch, applied }) => {
        const reply = await this.#partitions.run('lease', partition, [], [broker, leaseMs, epoch, applied]);
        return {
          partition,
          asOf: reply.asOf,
          policy: reply.number(0),
          policyFingerprint: reply.text(1),
          brokers: reply.list(2).map((value) => textOf(value)),
          entries: reply.tag === 'log' ? parseLog(reply.list(3)) : undefined,
          paused: parsePaused(reply.text(4)),
        };
      }),
    );
  }

  #hit(reply: Reply, partition: number): ReturnType<typeof parseHit> {
    const hit = parseHit(reply);
    this.#partitions.note(partition, hit.asOf.epoch, hit.record.generation);
    return hit;
  }
}

function unexpected(command: string, reply: Reply): StoreError {
  return new StoreError(command, 'unknown', `unexpected reply ${reply.tag}`);
}
