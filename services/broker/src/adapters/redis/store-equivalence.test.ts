import { createSystemClock } from '@token-broker/foundation';
import { SeededRandom } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { Names } from '../../app/fakes/names.js';
import type {
  AsOf,
  Hit,
  InvalidationTarget,
  LeaseReply,
  LeaseRequest,
  SlotAddress,
  Store,
  StoredChannel,
} from '../../app/ports/store.js';
import { redisOfFile } from './fakes/redis-of-file.js';
import { fakeWorldOf, worldOf, type World } from './fakes/worlds.js';

const PARTITIONS = 2;
const EVERY_PARTITION = [0, 1];
const SLOTS = [
  { slot: 'AAAAAAAAAAAAAAAAAAAAAA', partition: 0 },
  { slot: 'AAAAAAAAAAAAAAAAAAAAAE', partition: 0 },
  { slot: 'AAAAAAAAAAAAAAAAAAAAAI', partition: 1 },
] as const;
const SOURCES = ['s1', 's2'] as const;
const RECIPES = ['r1', 'r2'] as const;
const PROVIDER = 'oauth2';
/** A source whose recipe is another in a newer configuration. */
const CHANGED = { kind: 'source', source: 's1' } as const;
const TARGETS: readonly InvalidationTarget[] = [
  ...SLOTS.map(({ slot }) => ({ kind: 'slot', slot }) as const),
  CHANGED,
  { kind: 'provider', provider: PROVIDER },
  { kind: 'all' },
];
const EVERY_ADDRESS: readonly SlotAddress[] = SLOTS.flatMap((slot) =>
  SOURCES.flatMap((source) => RECIPES.map((recipe) => ({ ...slot, source, provider: PROVIDER, recipe }))),
);
const ATTEMPTS = ['a1', 'a2', 'a3', 'a4'] as const;
/** Longer than any story. */
const LONG_MS = 60_000;
/** What lives for a short time is over after so many commands, for which that time must be enough. */
const SHORT_COMMANDS = 6;
const SHORT_MS = 250;
const MARGIN_MS = 20;
/** In microseconds: beyond all that was claimed. */
const FUTURE = 3_600_000_000;

const clock = createSystemClock();
const redis = redisOfFile();
const realWorld = (): World => worldOf(redis, PARTITIONS, clock);
const fakeWorld = (): World => fakeWorldOf(PARTITIONS);

/** A story whose times cannot be compared: the machine was too slow. */
class TooSlow extends Error {}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (of: string): Uint8Array => Buffer.from(of);

/** What brokers know of a partition. */
interface Heard {
  floor: number;
  generation: number;
  epoch: number;
  /** Of the generation. */
  address: SlotAddress | undefined;
}

const NOTHING: Heard = { floor: 0, generation: 0, epoch: 0, address: undefined };

/** Random commands of two brokers on one world, and what it answers. The same seed gives the same commands. */
class Story {
  readonly lines: string[] = [];
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #brokers: readonly Store[];
  readonly #generations = EVERY_PARTITION.map(() => new Names());
  readonly #epochs = EVERY_PARTITION.map(() => new Names());
  readonly #policies = new Names();
  readonly #isTimed: boolean;
  readonly #busy: readonly SlotAddress[];
  #step = 0;
  /** What brokers have heard, right or outdated; numbers of one partition mean nothing to another. */
  readonly #heard: Heard[] = EVERY_PARTITION.map(() => ({ ...NOTHING }));
  #versions = [0];
  readonly #revoked: { readonly target: InvalidationTarget; readonly partition: number; readonly floor: number }[] = [];
  readonly #reservations = new Map<
    string,
    { readonly generation: number; readonly asOf: AsOf; readonly to: SlotAddress }
  >();
  #secrets = new Set<string>();
  /** What lives for a short time and is not over yet: since which command, and since when. */
  #short: { readonly step: number; readonly sinceMs: number } | undefined;

  /** @param isTimed whether some of what it makes is over before it ends */
  constructor(world: World, seed: number, isTimed: boolean) {
    this.#world = world;
    this.#isTimed = isTimed;
    this.#random = new SeededRandom(seed);
    this.#brokers = [world.store('b1'), world.store('b2')];
    this.#busy = [1, 2, 3].map(() => this.#pick(EVERY_ADDRESS));
  }

  async tell(length: number): Promise<string[]> {
    while (this.#step < length) {
      await this.#command(
        this.#pick([
          ...['reserve', 'reserve', 'reserve', 'reserve', 'commit', 'commit', 'commit', 'commit', 'read', 'read'],
          ...[
            'revoke',
            'fail',
            'abandon',
            'reject',
            'reject',
            'policy',
            'lease',
            'tail',
            'leave',
            'list',
            'generations',
            'confirm',
          ],
          ...['present', 'recipe', 'secret', 'disaster', 'pause', 'scan'],
        ]),
      );
      this.#step++;
      if (this.#step >= (this.#short?.step ?? this.#step) + SHORT_COMMANDS) await this.#outlive();
    }
    await this.#outlive();
    this.lines.push(...(await this.observe()));
    await this.#probe();
    const names = [...this.#generations, ...this.#epochs, this.#policies];
    this.lines.push(...names.map(({ order }) => order));
    return this.lines;
  }

  /** What somebody who comes new sees of everything. */
  async observe(): Promise<string[]> {
    const store = this.#world.store('watcher');
    const policy = Math.max(...this.#versions);
    const reads = await Promise.all(EVERY_ADDRESS.map(async (to) => ({ to, reply: await store.read(to, policy) })));
    const asked = this.#heard.map(({ epoch }, partition) => ({ partition, epoch, applied: 0 }));
    const leases = await store.lease(asked, LONG_MS);
    const [{ slots }, presences, recipes] = await Promise.all([
      store.list({}, 100),
      store.presences(),
      store.recipes(),
      store.leave(),
    ]);
    const stand = await Promise.all(
      this.#revoked.slice(-5).map(async ({ target, partition, floor }) => {
        const stands = await store.confirm(target, partition, this.#heardOf(partition).epoch, floor);
        return `${kindOf(target)} ${String(stands)}`;
      }),
    );
    const secrets = await Promise.all(
      [...this.#secrets].map((name) => store.sharedSecret(name, bytes('was not there'))),
    );
    return [
      ...reads.map(({ to, reply }) => {
        const of = `${to.slot.slice(-1)} ${to.source} ${to.recipe}`;
        if (reply.kind === 'failed') return `${of} failed ${reply.code} ${reply.message}`;
        return `${of} ${reply.kind === 'hit' ? this.#hit(to, reply) : `miss ${this.#generation(to, reply.floor)}`}`;
      }),
      ...leases.map((reply) => this.#read(reply, 'watcher')),
      ...slots.map((row) => `${row.slot.slice(-1)}=${this.#generation(row, row.generation)}`).sort(),
      ...(await this.#scanned(store)),
      ...presences.map(({ caller, instance }) => `${caller}/${instance}`).sort(),
      JSON.stringify([...recipes].sort()),
      ...stand,
      ...secrets.map(text),
    ];
  }

  /** What is asked last, since it changes what it looks at: who may call the provider now. */
  async #probe(): Promise<void> {
    const store = this.#world.store('watcher');
    for (const to of EVERY_ADDRESS) {
      const policy = Math.max(...this.#versions);
      const request = { address: to, attempt: 'probe', wantGreaterThan: 0, callMs: LONG_MS, policy };
      const first = await store.reserve({ ...request, floor: 0 });
      const floor = first.kind === 'relock' ? first.floor : 0;
      const second = first.kind === 'relock' ? await store.reserve({ ...request, floor }) : first;
      this.lines.push(`${to.slot.slice(-1)} ${to.source} ${to.recipe} ${second.kind}`);
    }
  }

  async #command(command: string): Promise<void> {
    const store = this.#pick(this.#brokers);
    const policy = this.#pick(this.#versions);
    const to = this.#pick(this.#random.integer(4) > 0 ? this.#busy : EVERY_ADDRESS);
    const heard = this.#heardOf(to.partition);
    const say = (...words: (string | number | boolean)[]): void => void this.lines.push([command, ...words].join(' '));
    switch (command) {
      case 'read': {
        const reply = await store.read(to, policy);
        say(reply.kind, this.#asOf(to, reply.asOf));
        if (reply.kind === 'failed') say(reply.code, reply.message, reply.remainingMs > 0);
        else {
          heard.floor = reply.floor;
          say(this.#generation(to, reply.floor), reply.kind === 'hit' ? this.#hit(to, reply) : '');
        }
        break;
      }
      case 'reserve': {
        const [wantGreaterThan, floor] = [this.#pick([0, heard.generation]), this.#pick([0, heard.floor, heard.floor])];
        const attempt = this.#pick(ATTEMPTS);
        const request = { address: to, wantGreaterThan, floor, attempt, callMs: this.#life(), policy };
        const reply = await this.#maybeTwice(
          () => store.reserve(request),
          (first, again) => {
            expect(again.kind).toBe(first.kind);
            if (first.kind === 'go') expect(again).toMatchObject({ generation: first.generation });
          },
        );
        say(attempt, reply.kind, this.#asOf(to, reply.asOf));
        if (reply.kind === 'hit') say(this.#hit(to, reply));
        if (reply.kind === 'failed') say(reply.code, reply.message);
        if (reply.kind === 'busy') say(reply.remainingMs > 0 && reply.remainingMs <= LONG_MS);
        if (reply.kind === 'relock') heard.floor = reply.floor;
        if (reply.kind !== 'go') break;
        say(this.#generation(to, reply.generation), reply.isRefetch);
        this.#reservations.set(attempt, { generation: reply.generation, asOf: reply.asOf, to });
        break;
      }
      case 'commit': {
        const attempt = this.#pick(ATTEMPTS);
        const reserved = this.#reservations.get(attempt);
        if (reserved === undefined) break;
        const { generation, asOf } = reserved;
        // Mostly the slot of the reservation: everything else is a fault.
        const others = EVERY_ADDRESS.filter(({ partition }) => partition === reserved.to.partition);
        const address = this.#pick([reserved.to, reserved.to, reserved.to, this.#pick(others)]);
        const { redisMs } = (await store.read(address, policy)).asOf;
        const usableUntilMs = redisMs + this.#pick([this.#life(), this.#life(), LONG_MS, LONG_MS, LONG_MS, 0]);
        const request = {
          ...{ address, attempt, epoch: asOf.epoch, generation, policy, usableUntilMs },
          // The record itself goes when the token has expired.
          expiresAtMs: usableUntilMs + this.#pick([0, LONG_MS]),
          sealed: bytes(`sealed ${String(this.#step)}`),
          tokenHash: this.#pick(['h1', 'h2', `h${String(this.#step)}`]),
          channelCandidate: bytes(`channel ${String(this.#step)}`),
          sealedBy: this.#pick(['k1', 'k1', 'k2']),
        };
        const reply = await this.#maybeTwice(
          () => store.commit(request),
          (first, again) => {
            if (first.kind === 'ok') expect(again).toMatchObject({ kind: 'ok', generation: first.generation });
          },
        );
        say(attempt, reply.kind, this.#asOf(address, reply.asOf));
        if (reply.kind !== 'ok') break;
        const { epoch } = reply.asOf;
        Object.assign(this.#heardOf(address.partition), { generation: reply.generation, epoch, address });
        say(this.#generation(address, reply.generation), this.#channel(address, reply));
        break;
      }
      case 'fail': {
        const lifeMs = this.#life();
        const request = {
          ...{ code: this.#pick(['IDP_DENIED', 'IDP_UNAVAILABLE'] as const), message: this.#pick(['no', '']) },
          attempt: this.#pick(ATTEMPTS),
          address: to,
          retryAfterMs: this.#pick([0, lifeMs]),
          // Powers of two, whose halves are whole numbers too.
          ...(lifeMs === SHORT_MS
            ? { retryAfterMs: SHORT_MS, backoffFirstMs: 2, backoffMaxMs: 4 }
            : { backoffFirstMs: 16_384, backoffMaxMs: 65_536 }),
          uniform: this.#pick([0, 0.5]),
        };
        const address = this.#reservations.get(request.attempt)?.to ?? to;
        const pauseMs = await this.#maybeTwice(
          () => store.fail({ ...request, address }),
          (first, again) => {
            // The rest of the same pause.
            if (first === undefined) expect(again).toBeUndefined();
            else expect(again).toBeLessThanOrEqual(first);
          },
        );
        // What is left of a pause that was noted before: measured a moment later in one of the worlds.
        say(request.attempt, pauseMs === undefined ? 'too late' : Math.round(pauseMs / 4_096));
        break;
      }
      case 'abandon': {
        const attempt = this.#pick(ATTEMPTS);
        const address = this.#reservations.get(attempt)?.to ?? to;
        await this.#maybeTwice(() => store.abandon(address, attempt));
        say(attempt);
        break;
      }
      case 'reject': {
        const { epoch, generation, address = to } = heard;
        const of = this.#pick([to, address, address]);
        const minIntervalMs = this.#life();
        const reply = await this.#maybeTwice(
          () => store.reject(of, epoch, generation, minIntervalMs),
          (first, again) => {
            expect(again.kind).toBe(first.kind === 'dropped' ? 'stale' : first.kind);
          },
        );
        say(reply.kind, this.#generation(to, reply.floor), this.#asOf(to, reply.asOf));
        break;
      }
      case 'revoke': {
        const target = this.#pick([...TARGETS, CHANGED, CHANGED]);
        const partition = partitionOf(target) ?? to.partition;
        const id = `${this.#pick(['one', 'two'])} ${kindOf(target)} ${String(this.#step >> 3)}`;
        const changed = this.#pick([undefined, ...this.#versions]);
        const { generation, floor: heardFloor } = this.#heardOf(partition);
        const upTo = this.#pick([undefined, undefined, generation, heardFloor, generation + FUTURE]);
        const reply = await this.#maybeTwice(
          () => store.revoke(target, partition, id, changed, upTo),
          (first, again) => {
            expect([again.floor, again.vseq]).toEqual([first.floor, first.vseq]);
          },
        );
        this.#revoked.push({ target, partition, floor: reply.floor });
        say(kindOf(target), this.#generation(reply, reply.floor), reply.vseq, [...reply.brokers].sort().join(','));
        say(reply.epochBeganMs <= reply.asOf.redisMs, this.#asOf(reply, reply.asOf));
        break;
      }
      case 'pause': {
        const [source, paused] = [this.#pick(SOURCES), this.#random.integer(3) === 0];
        const { changed, sinceMs } = await this.#maybeTwice(
          () => store.pause(source, paused),
          (first, again) => {
            expect(again).toEqual({ changed: false, sinceMs: first.sinceMs });
          },
        );
        say(source, paused, changed, sinceMs !== undefined);
        break;
      }
      case 'scan':
        say(...(await this.#scanned(store)));
        break;
      case 'confirm': {
        const { target, partition, floor } = this.#pick([
          ...this.#revoked,
          { target: CHANGED, partition: 1, floor: 1 },
        ]);
        const { epoch } = this.#heardOf(partition);
        say(kindOf(target), await store.confirm(target, partition, epoch, floor + this.#random.integer(2)));
        break;
      }
      case 'policy': {
        const fingerprint = this.#pick(['one', 'two', 'three']);
        const version = await this.#maybeTwice(
          () => store.registerPolicy(fingerprint),
          (first, again) => {
            expect(again).toBe(first);
          },
        );
        this.#versions = [version, version, policy];
        say(fingerprint, this.#policies.of(version));
        break;
      }
      case 'lease': {
        const leaseMs = this.#life();
        const replies = await this.#maybeTwice(() => store.lease(this.#asked(), leaseMs));
        for (const reply of replies) {
          say(this.#read(reply), this.#asOf(reply, reply.asOf));
          this.#heardOf(reply.partition).epoch = reply.asOf.epoch;
        }
        break;
      }
      case 'tail':
        for (const reply of await store.tail(this.#asked())) say(this.#asOf(reply, reply.asOf), this.#entries(reply));
        break;
      case 'leave':
        await this.#maybeTwice(() => store.leave());
        break;
      case 'list': {
        const filter = this.#pick([{}, { source: to.source }, { slot: to.slot }, { partition: to.partition }]);
        const { slots, truncated } = await store.list(filter, this.#pick([1, 100]));
        say(JSON.stringify(filter), truncated, slots.length);
        const rows = truncated ? [] : [...slots].sort((a, b) => (a.slot < b.slot ? -1 : 1));
        for (const row of rows) {
          const { slot, source, epoch, generation, expiresAtMs, remainingMs } = row;
          say(
            slot,
            source,
            this.#epoch(row, epoch),
            this.#generation(row, generation),
            expiresAtMs > 0,
            remainingMs > 0,
          );
        }
        break;
      }
      case 'generations': {
        const replies = await store.generations(EVERY_ADDRESS);
        for (const [i, address] of EVERY_ADDRESS.entries())
          say(this.#generation(address, replies[i]?.generation ?? -1), this.#asOf(address, replies[i]?.asOf));
        break;
      }
      case 'present': {
        const [caller, instance] = [this.#pick(['orders', 'payments']), this.#pick(['i1', 'i2'])];
        const ttlMs = this.#pick([0, this.#life(), LONG_MS]);
        await this.#maybeTwice(() => store.present(caller, instance, ttlMs));
        const near = (await store.presences()).map((row) => `${row.caller}/${row.instance} ${String(row.untilMs > 0)}`);
        say(caller, instance, ttlMs, ...near.sort());
        break;
      }
      case 'recipe': {
        const [source, recipe] = [this.#pick(SOURCES), this.#pick([undefined, 'r1', 'r2'])];
        await this.#maybeTwice(() => store.noteRecipe(source, recipe));
        say(JSON.stringify([...(await store.recipes())].sort()));
        break;
      }
      case 'secret': {
        const name = this.#pick(['one', 'two']);
        const value = bytes(`secret ${String(this.#step)}`);
        if (this.#random.integer(3) === 0) await this.#maybeTwice(() => store.replaceSharedSecret(name, value));
        const secret = await this.#maybeTwice(
          () => store.sharedSecret(name, value),
          (first, again) => {
            expect(text(again)).toBe(text(first));
          },
        );
        this.#secrets.add(name);
        say(name, text(secret));
        break;
      }
      case 'disaster': {
        const kind = this.#random.integer(6);
        say(kind);
        if (kind > 1) break;
        await (kind === 0 ? this.#world.lose() : this.#world.promote());
        // Secrets are looked at by asking for them, which makes new ones where they are lost.
        if (kind === 0) this.#secrets = new Set();
        break;
      }
    }
  }

  /**
   * Sends the same again as if the reply had been lost, now and then, and holds it to what is promised of that: it changes
   * nothing more.
   */
  async #maybeTwice<T>(send: () => Promise<T>, compare: (first: T, again: T) => void = () => undefined): Promise<T> {
    const first = await send();
    if (this.#random.integer(4) > 0) return first;
    const before = await this.observe();
    compare(first, await send());
    expect(await this.observe()).toEqual(before);
    return first;
  }

  /** Lets time pass until what lives for a short time is over. */
  async #outlive(): Promise<void> {
    if (this.#short === undefined) return;
    if (clock.elapsedMs() - this.#short.sinceMs > SHORT_MS - MARGIN_MS) throw new TooSlow();
    await this.#world.pass(SHORT_MS + MARGIN_MS);
    this.#short = undefined;
    this.lines.push('time has passed');
  }

  /** Every slot that has something, by its own order. */
  async #scanned(store: Store): Promise<string[]> {
    const lines = new Set<string>();
    for (const partition of EVERY_PARTITION) {
      let cursor: string | undefined;
      do {
        const page = await store.scan(partition, cursor, true);
        for (const { slot, record, flight } of page.slots) {
          const token =
            record === undefined
              ? ''
              : `${record.source} ${record.recipe} ${this.#generation({ partition }, record.generation)} ${text(record.sealed)}`;
          const inAir =
            flight === undefined
              ? ''
              : `${flight.source} ${this.#generation({ partition }, flight.generation)} in the air`;
          lines.add(`${slot.slice(-1)} scanned ${token} ${inAir}`);
        }
        cursor = page.next;
      } while (cursor !== undefined);
    }
    return [...lines].sort();
  }

  #life(): number {
    if (!this.#isTimed || this.#random.integer(3) > 0) return LONG_MS;
    this.#short ??= { step: this.#step, sinceMs: clock.elapsedMs() };
    return SHORT_MS;
  }

  #pick<T>(items: readonly T[]): T {
    // It may be `undefined` itself.
    return items[this.#random.integer(items.length)] as T;
  }

  #asked(): LeaseRequest[] {
    return this.#heard.map(({ epoch }, partition) => ({ partition, epoch, applied: this.#pick([0, 0, 1, 5]) }));
  }

  #heardOf(partition: number): Heard {
    return this.#heard[partition] ?? { ...NOTHING };
  }

  #generation({ partition }: { readonly partition: number }, value: number): string {
    return this.#generations[partition]?.of(value) ?? '?';
  }

  #epoch({ partition }: { readonly partition: number }, value: number): string {
    return this.#epochs[partition]?.of(value) ?? '?';
  }

  #asOf(of: { readonly partition: number }, asOf: AsOf | undefined): string {
    return `as of ${this.#epoch(of, asOf?.epoch ?? -1)} ${String(asOf?.vseq)}`;
  }

  #hit(of: SlotAddress, hit: Hit): string {
    const { generation, sealed } = hit.record;
    return `${this.#generation(of, generation)} above ${this.#generation(of, hit.floor)} ${text(sealed)} ${this.#channel(of, hit)}`;
  }

  #channel(of: SlotAddress, { channel }: { readonly channel?: StoredChannel }): string {
    return channel === undefined ? 'no channel' : `${text(channel.sealed)} ${this.#generation(of, channel.version)}`;
  }

  #entries(reply: Pick<LeaseReply, 'partition' | 'entries'>): string {
    const { entries } = reply;
    if (entries === undefined) return 'reset';
    return entries.map((e) => `${String(e.vseq)} ${kindOf(e.target)} ${this.#generation(reply, e.floor)}`).join(', ');
  }

  #read(reply: LeaseReply, without = ''): string {
    const brokers = reply.brokers.filter((broker) => broker !== without).sort();
    const paused = [...reply.paused.keys()].sort().join(',');
    return `${brokers.join(',')} ${paused} ${this.#policies.of(reply.policy)} ${reply.policyFingerprint} ${this.#entries(reply)}`;
  }
}

function partitionOf(target: InvalidationTarget): number | undefined {
  return target.kind === 'slot' ? SLOTS.find(({ slot }) => slot === target.slot)?.partition : undefined;
}

function kindOf(target: InvalidationTarget): string {
  return JSON.stringify(target);
}

describe('the fake store', () => {
  const tellBoth = async (
    seed: number,
    length: number,
    isTimed: boolean,
  ): Promise<[real: string[], fake: string[]]> => {
    await redis.client.flushall();
    const tell = (world: World): Promise<string[]> => new Story(world, seed, isTimed).tell(length);
    return [await tell(realWorld()), await tell(fakeWorld())];
  };

  it('answers random commands as Redis does, and leaves the same behind', async () => {
    const kinds =
      'hit miss go busy relock failed paused policy ok dead lost expired replayed epoch dropped stale limited reset scanned air';
    const untold = new Set(kinds.split(' '));
    // Until all of that has happened, or the stories would be too dull to prove anything.
    for (let run = 0; run < 12 || untold.size > 0; run++) {
      expect(run, `what never happened: ${[...untold].join(', ')}`).toBeLessThan(80);
      const { seed } = new SeededRandom();
      try {
        const [real, fake] = await tellBoth(seed, 100, false);
        expect(fake).toEqual(real);
        for (const line of real) for (const word of line.split(' ')) untold.delete(word);
      } catch (error) {
        throw new Error(`seed ${String(seed)}`, { cause: error });
      }
    }
  }, 60_000);

  it('forgets what is over when Redis does', async () => {
    for (let told = 0, run = 0; told < 3; run++) {
      if (run > 20) throw new Error('this machine is too slow to compare times');
      const { seed } = new SeededRandom();
      try {
        const [real, fake] = await tellBoth(seed, 40, true);
        expect(fake).toEqual(real);
        told++;
      } catch (error) {
        if (!(error instanceof TooSlow)) throw new Error(`seed ${String(seed)}`, { cause: error });
      }
    }
  }, 60_000);
});
