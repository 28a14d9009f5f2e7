import type { Clock } from '@token-broker/foundation';
import {
  StoreError,
  type AsOf,
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
} from '../ports/store.js';
import type { FakeRedis } from './fake-redis.js';
import { count, pause, scan } from './fake-scan.js';
import { abandon, commit, confirm, fail, list, read, reject, reserve, revoke, type Script } from './fake-scripts.js';

/** What Redis runs. A simulation watches the scripts at work, or puts a broken one in the place of one. */
export interface Scripts {
  readonly read: typeof read;
  readonly reserve: typeof reserve;
  readonly commit: typeof commit;
  readonly fail: typeof fail;
  readonly abandon: typeof abandon;
  readonly reject: typeof reject;
  readonly revoke: typeof revoke;
  readonly confirm: typeof confirm;
}

export const SCRIPTS: Scripts = { read, reserve, commit, fail, abandon, reject, revoke, confirm };

/** What happens to a command on its way to Redis, and to its reply: a `StoreError` that is thrown here ends it. */
export interface Wire {
  toRedis?(command: string): void | Promise<void>;
  fromRedis?(command: string): void | Promise<void>;
}

/** These commands do not reach Redis; none named: none does. */
export function away(...commands: string[]): Wire {
  return {
    toRedis: (command) => {
      if (commands.length === 0 || commands.includes(command)) throw new StoreError(command, 'unknown', 'away');
    },
  };
}

/** The next replies to this command are lost: Redis has done it, and nobody knows. */
export function repliesLost(lost: string, times: number): Wire {
  let left = times;
  return {
    fromRedis: (command) => {
      if (command === lost && left-- > 0) throw new StoreError(command, 'unknown', 'no answer');
    },
  };
}

/** The store of one broker on a {@link FakeRedis}: what was sent and what came back. */
export class FakeStore implements Store {
  wire: Wire = {};
  readonly #redis: FakeRedis;
  readonly #broker: string;
  readonly #clock: Clock;
  readonly #scripts: Scripts;
  readonly #highest: { epoch: number; generation: number }[];

  /** @param clock of the broker: ages are counted on it. Default: that of Redis. */
  constructor(redis: FakeRedis, broker: string, clock: Clock = redis.clock, scripts: Scripts = SCRIPTS) {
    this.#redis = redis;
    this.#broker = broker;
    this.#clock = clock;
    this.#scripts = scripts;
    this.#highest = redis.partitions.map(() => ({ epoch: 0, generation: 0 }));
  }

  isAvailable(): boolean {
    return true;
  }

  async read(address: SlotAddress, policy: number): Promise<ReadReply> {
    const reply = await this.#run('read', address.partition, (script) => this.#scripts.read(script, address, policy));
    if (reply.kind === 'hit') this.#note(address.partition, reply.asOf.epoch, reply.record.generation);
    return reply;
  }

  async reserve(request: ReserveRequest): Promise<ReserveReply> {
    const { partition } = request.address;
    const reply = await this.#run('reserve', partition, (script) => this.#scripts.reserve(script, request));
    if (reply.kind === 'hit') this.#note(partition, reply.asOf.epoch, reply.record.generation);
    if (reply.kind === 'go') this.#note(partition, reply.asOf.epoch, reply.generation);
    return reply;
  }

  commit(request: CommitRequest): Promise<CommitReply> {
    return this.#run('commit', request.address.partition, (script) => this.#scripts.commit(script, request));
  }

  fail(request: FailRequest): Promise<number | undefined> {
    return this.#run('fail', request.address.partition, (script) => this.#scripts.fail(script, request));
  }

  abandon(address: SlotAddress, attempt: string): Promise<void> {
    return this.#run('abandon', address.partition, (script) => {
      this.#scripts.abandon(script, address, attempt);
    });
  }

  reject(address: SlotAddress, epoch: number, generation: number, minIntervalMs: number): ReturnType<Store['reject']> {
    return this.#run('reject', address.partition, (script) =>
      this.#scripts.reject(script, address, epoch, generation, minIntervalMs),
    );
  }

  async revoke(
    target: InvalidationTarget,
    index: number,
    id: string,
    policy?: number,
    upTo?: number,
  ): Promise<RevokeReply> {
    const reply = await this.#run('revoke', index, (script) =>
      this.#scripts.revoke(script, target, index, id, policy, upTo),
    );
    this.#note(index, reply.asOf.epoch, reply.floor);
    return reply;
  }

  confirm(target: InvalidationTarget, index: number, epoch: number, floor: number): Promise<boolean> {
    return this.#run('confirm', index, (script) => this.#scripts.confirm(script, target, epoch, floor));
  }

  lease(requests: readonly LeaseRequest[], leaseMs: number): Promise<readonly LeaseReply[]> {
    return this.#readAlong(requests, leaseMs);
  }

  tail(requests: readonly LeaseRequest[]): Promise<readonly LeaseReply[]> {
    return this.#readAlong(requests, undefined);
  }

  async leave(): Promise<void> {
    await Promise.all(
      this.#redis.partitions.map((_, index) =>
        this.#run('leave', index, ({ partition }) => partition.brokers.delete(this.#broker)),
      ),
    );
  }

  async registerPolicy(fingerprint: string): Promise<number> {
    const version = await this.#run('policy', 0, ({ partition, nowMs }) => {
      if (partition.fingerprint !== fingerprint) partition.policy = Math.max(partition.policy + 1, nowMs * 1_000);
      partition.fingerprint = fingerprint;
      return partition.policy;
    });
    await Promise.all(
      this.#redis.partitions.slice(1).map((_, rest) =>
        this.#run('policy', rest + 1, ({ partition }) => {
          if (version <= partition.policy) return;
          partition.policy = version;
          partition.fingerprint = fingerprint;
        }),
      ),
    );
    return version;
  }

  recipes(): Promise<ReadonlyMap<string, string>> {
    return this.#send('hgetall', () => new Map(this.#redis.recipes));
  }

  noteRecipe(source: string, recipe: string | undefined): Promise<void> {
    return this.#send('hset', () => {
      if (recipe === undefined) this.#redis.recipes.delete(source);
      else this.#redis.recipes.set(source, recipe);
    });
  }

  generations(addresses: readonly SlotAddress[]): ReturnType<Store['generations']> {
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
    for (const index of this.#redis.partitions.keys()) {
      if (filter.partition !== undefined && filter.partition !== index) continue;
      found.push(...(await this.#run('list', index, (script) => list(script, index, filter))));
    }
    return { slots: found.slice(0, limit), truncated: found.length > limit };
  }

  async scan(index: number, _cursor: string | undefined, withSealed: boolean): Promise<ScanPage> {
    const [asOf, slots] = await this.#run(
      'scan',
      index,
      (script) => [script.asOf(), scan(script, withSealed)] as const,
    );
    return { asOf, slots, next: undefined };
  }

  count(request: CountRequest): Promise<CountPage> {
    return this.#run('count', request.partition, (script) => count(script, request));
  }

  async pause(source: string, paused: boolean): Promise<PauseOutcome> {
    const outcomes = await Promise.all(
      this.#redis.partitions.map((_, index) => this.#run('pause', index, (script) => pause(script, source, paused))),
    );
    const sinceMs = outcomes.flatMap((outcome) => outcome.sinceMs ?? []);
    return {
      changed: outcomes.some(({ changed }) => changed),
      sinceMs: sinceMs.length === 0 ? undefined : Math.min(...sinceMs),
    };
  }

  present(caller: string, instance: string, ttlMs: number): Promise<void> {
    return this.#send('presence', () => {
      const name = `${caller}/${instance}`;
      if (ttlMs === 0) this.#redis.nearCaches.delete(name);
      else this.#redis.nearCaches.set(name, this.#redis.nowMs + ttlMs);
    });
  }

  presences(): Promise<readonly Presence[]> {
    return this.#send('presence', () =>
      [...this.#redis.nearCaches].flatMap(([name, atMs]): Presence[] => {
        const [caller = '', instance = ''] = name.split('/');
        const untilMs = atMs - this.#redis.nowMs;
        return untilMs > 0 ? [{ caller, instance, untilMs }] : [];
      }),
    );
  }

  sharedSecret(name: string, candidate: Uint8Array): Promise<Uint8Array> {
    return this.#send('set', () => {
      const secret = this.#redis.secrets.get(name) ?? candidate;
      this.#redis.secrets.set(name, secret);
      return secret;
    });
  }

  replaceSharedSecret(name: string, value: Uint8Array): Promise<void> {
    return this.#send('set', () => void this.#redis.secrets.set(name, value));
  }

  #readAlong(requests: readonly LeaseRequest[], leaseMs: number | undefined): Promise<readonly LeaseReply[]> {
    return Promise.all(
      requests.map(({ partition: index, epoch, applied }) =>
        this.#run('lease', index, (script): LeaseReply => {
          const { partition, nowMs } = script;
          if (leaseMs !== undefined) partition.brokers.set(this.#broker, nowMs + leaseMs);
          const isKnown = epoch === partition.epoch && applied <= partition.vseq;
          return {
            partition: index,
            asOf: script.asOf(),
            policy: partition.policy,
            policyFingerprint: partition.fingerprint,
            brokers: partition.leased(nowMs),
            paused: new Map(partition.paused),
            entries: isKnown ? partition.log.filter(({ vseq }) => vseq > applied) : undefined,
          };
        }),
      ),
    );
  }

  async #run<T>(command: string, index: number, work: (script: Script) => T): Promise<T> {
    const sentAtMs = this.#clock.elapsedMs();
    const highest = this.#highest[index] ?? { epoch: 0, generation: 0 };
    let epoch = 0;
    const result = await this.#send(command, () => {
      const partition = this.#redis.adopt(index, highest);
      epoch = partition.epoch;
      const { nowMs, replicas } = this.#redis;
      const asOf = (): AsOf => ({ epoch: partition.epoch, vseq: partition.vseq, redisMs: nowMs, sentAtMs });
      return work({ partition, nowMs, replicas, asOf });
    });
    this.#note(index, epoch, 0);
    return result;
  }

  async #send<T>(command: string, work: () => T): Promise<T> {
    await this.wire.toRedis?.(command);
    const result = work();
    await this.wire.fromRedis?.(command);
    return result;
  }

  #note(index: number, epoch: number, generation: number): void {
    const highest = this.#highest[index];
    if (highest === undefined) return;
    highest.epoch = Math.max(highest.epoch, epoch);
    highest.generation = Math.max(highest.generation, generation);
  }
}
