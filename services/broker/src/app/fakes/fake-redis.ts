import type { Clock } from '@token-broker/foundation';
import type { InvalidationTarget, LogEntry, SlotAddress } from '../ports/store.js';
import type { FakeBudget } from './fake-budget.js';

export interface FakeRecord {
  readonly generation: number;
  readonly epoch: number;
  readonly expiresAtMs: number;
  readonly usableUntilMs: number;
  readonly recipe: string;
  /** Gone when the record was revoked. */
  readonly sealed: Uint8Array | undefined;
  readonly attempt: string;
  readonly tokenHash: string;
  /** Of a token that died before this record came. */
  readonly deadHash: string | undefined;
  /** When the key goes: the dead token may live longer than this one. */
  readonly forgottenAtMs: number;
  /** Refused by a resource server, and not revoked. */
  readonly rejected: boolean;
  /** Of the token whose place it took, where that had ended with its source; else 0. */
  readonly ended: number;
  readonly source: string;
  readonly provider: string;
}

export interface FakeFlight {
  readonly attempt: string;
  readonly generation: number;
  readonly untilMs: number;
  readonly epoch: number;
  readonly recipe: string;
  readonly source: string;
  readonly provider: string;
  readonly failures: number;
  readonly failed: { readonly code: string; readonly message: string } | undefined;
  readonly forgottenAtMs: number;
}

export interface FakeSlot {
  record: FakeRecord | undefined;
  floor: number;
  flight: FakeFlight | undefined;
  channel:
    | {
        readonly version: number;
        readonly epoch: number;
        readonly policy: number;
        readonly sealed: Uint8Array;
        readonly sealedBy: string;
      }
    | undefined;
  rejectedUntilMs: number;
}

/** What the prelude of every script reads and writes, and what one script sees at once. */
export class FakePartition {
  epoch = 0;
  replid = '';
  generation = 0;
  vseq = 0;
  epochBeganMs = 0;
  policy = 0;
  fingerprint = '';
  log: LogEntry[] = [];
  readonly cutoffs = new Map<string, number>();
  readonly changed = new Map<string, number>();
  /** Sources that an operator has paused, each with since when. */
  readonly paused = new Map<string, number>();
  readonly brokers = new Map<string, number>();
  readonly revocations = new Map<
    string,
    { readonly epoch: number; readonly floor: number; readonly replaced: number; readonly vseq: number }
  >();
  readonly slots = new Map<string, FakeSlot>();

  slot(name: string): FakeSlot {
    let slot = this.slots.get(name);
    if (slot === undefined) {
      slot = { record: undefined, floor: 0, flight: undefined, channel: undefined, rejectedUntilMs: 0 };
      this.slots.set(name, slot);
    }
    return slot;
  }

  /** The greatest of the slot's floor and the cutoffs above it. */
  /** @param assumed cutoffs in the place of those that stand */
  floorOf(
    { slot, source, provider }: Pick<SlotAddress, 'slot' | 'source' | 'provider'>,
    assumed: ReadonlyMap<string, number> = this.cutoffs,
  ): number {
    const cutoffs = ['all', `provider:${provider}`, `source:${source}`].map(
      (name) => assumed.get(name) ?? this.cutoffs.get(name) ?? 0,
    );
    return Math.max(this.slots.get(slot)?.floor ?? 0, ...cutoffs);
  }

  nextGeneration(nowMs: number): number {
    this.generation = Math.max(this.generation + 1, nowMs * 1_000);
    return this.generation;
  }

  invalidate(target: InvalidationTarget, floor: number): void {
    this.vseq++;
    this.log.push({ vseq: this.vseq, floor, target });
  }

  leased(nowMs: number): string[] {
    return [...this.brokers].filter(([, untilMs]) => untilMs > nowMs).map(([name]) => name);
  }
}

/** One line of refresh tokens. Each write puts another one in its place. */
export interface FakeJournal {
  readonly entry:
    | {
        readonly family: string;
        readonly sequence: number;
        readonly sealed: Uint8Array;
        readonly changedAtMs: number;
        /** Hash of the token that began the family. */
        readonly seed: string;
        /** It took the place of another family. */
        readonly replaced: boolean;
        readonly exhausted: boolean;
        /** The attempt that told the latest successor; empty: none has. */
        readonly succeededBy: string;
      }
    | undefined;
  readonly intent:
    | {
        readonly attempt: string;
        /** Family and sequence of the token that it spends. */
        readonly spends: string;
        readonly untilMs: number;
        readonly callMs: number;
        /** When somebody began to wait for an owner whose time is over; 0: nobody has. */
        readonly calledAtMs: number;
      }
    | undefined;
  /** Hashes of tokens that began a family, the newest last. */
  readonly seeds: readonly string[];
}

/** A copy of all that Redis holds. */
export interface RedisData {
  readonly partitions: readonly Partial<FakePartition>[];
  readonly nearCaches: ReadonlyMap<string, number>;
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly recipes: ReadonlyMap<string, string>;
  readonly journals: ReadonlyMap<string, FakeJournal>;
  readonly budgets: ReadonlyMap<string, FakeBudget>;
}

/**
 * The data of one Redis in this process, with its own clock. It keeps what the scripts in `lua/` keep; records and flights
 * expire, floors, channels and notes of revocations stay for ever. `fake-scripts.ts` has the scripts' decisions.
 */
export class FakeRedis {
  readonly clock: Clock;
  readonly nearCaches = new Map<string, number>();
  readonly secrets = new Map<string, Uint8Array>();
  readonly recipes = new Map<string, string>();
  readonly journals = new Map<string, FakeJournal>();
  /** By upstream. */
  readonly budgets = new Map<string, FakeBudget>();
  /** How far the clock of this Redis is ahead of everybody's. */
  aheadMs = 0;
  partitions: readonly FakePartition[];
  /** Replicas that have every write: what `WAIT` says. */
  replicas = 0;
  #servers = 1;

  constructor(clock: Clock, partitions: number) {
    this.clock = clock;
    this.partitions = Array.from({ length: partitions }, () => new FakePartition());
  }

  get nowMs(): number {
    return Math.floor(this.clock.wallMs() + this.aheadMs);
  }

  /** The partition as a script finds it: a new epoch has begun where another server, or an empty one, answers. */
  adopt(index: number, highest: { readonly epoch: number; readonly generation: number }): FakePartition {
    const partition = this.partitions[index];
    if (partition === undefined) throw new RangeError(`there is no partition ${String(index)}`);
    const replid = `server-${String(this.#servers)}`;
    if (partition.epoch !== 0 && partition.replid === replid) return partition;
    const nowUs = this.nowMs * 1_000;
    partition.epoch = Math.max(nowUs, partition.epoch + 1, highest.epoch + 1);
    partition.generation = Math.max(nowUs, partition.generation + 1, highest.generation + 1);
    partition.replid = replid;
    partition.vseq = 0;
    partition.epochBeganMs = this.nowMs;
    partition.log = [];
    partition.brokers.clear();
    return partition;
  }

  /** Another server answers from now on, with the same data: a restart, a promotion that lost nothing. */
  promote(): void {
    this.#servers++;
  }

  /** What a replica has at this moment. */
  snapshot(): RedisData {
    const { partitions, nearCaches, secrets, recipes, journals, budgets } = this;
    // An instance of a class becomes a plain object of its fields.
    return structuredClone({ partitions, nearCaches, secrets, recipes, journals, budgets });
  }

  /** A replica with this data is the master from now on: what was written after it is lost. */
  failOver(data: RedisData): void {
    this.partitions = data.partitions.map((partition) =>
      Object.assign(new FakePartition(), structuredClone(partition)),
    );
    for (const name of ['nearCaches', 'secrets', 'recipes', 'journals', 'budgets'] as const) {
      const [map, copy] = [this[name] as Map<string, unknown>, data[name] as ReadonlyMap<string, unknown>];
      map.clear();
      for (const [key, value] of structuredClone(copy)) map.set(key, value);
    }
    this.promote();
  }

  /** `FLUSHALL`. */
  flush(): void {
    this.partitions = this.partitions.map(() => new FakePartition());
    this.nearCaches.clear();
    this.secrets.clear();
    this.recipes.clear();
    this.journals.clear();
    this.budgets.clear();
  }
}
