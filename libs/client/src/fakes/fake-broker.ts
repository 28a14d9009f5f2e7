import type { Aead, Clock, Random, Timer } from '@token-broker/foundation';
import {
  createSubjects,
  encode,
  normaliseScopes,
  partitionOf,
  pushAdditionalData,
  slotOf,
  subjectHashOf,
  type Change,
  type Failure,
  type GetRequest,
  type RefreshedEvent,
  type RejectedReply,
  type RejectedRequest,
  type SyncReply,
  type SyncRequest,
  type Timing,
  type TokenReply,
} from '@token-broker/protocol';
import type { Delivery, FakeNats } from './fake-nats.js';

const TICK_MS = 1_000;

export interface FakeRecord {
  readonly source: string;
  readonly slot: string;
  generation: number;
  expiresAtMs: number;
  readonly lifeMs: number;
}

/** A broker, its Redis and its identity provider in one, as a client sees them; scripted by tests. */
export class FakeBroker {
  readonly subjects = createSubjects();
  /** What was asked, in order. An empty body reads as `undefined`. */
  readonly gets: (GetRequest | undefined)[] = [];
  readonly syncs: SyncRequest[] = [];
  readonly rejections: RejectedRequest[] = [];
  readonly receipts: string[] = [];
  readonly records = new Map<string, FakeRecord>();
  readonly epochs: number[];
  readonly vseqs: number[];
  timing: Timing = { tickMs: TICK_MS, maxStalenessMs: 60_000, minLifetimeMs: 5_000 };
  lifeMs = 3_600_000;
  /** Of the credentials that it hands out. */
  username: string | undefined;
  /** Redis's clock against the test's. */
  redisAheadMs = 1_700_000_000_000;
  /** How old its reads of Redis are. */
  ageMs = 0;
  beats = true;
  /** Looks at a reply before it goes out, and may change it, or answer nothing. */
  tamper: (reply: TokenReply, request: GetRequest | undefined) => TokenReply | undefined = (reply) => reply;
  failure: Failure | undefined;
  syncFailure: Failure | undefined;
  rejectedOutcome: RejectedReply['outcome'] = 'dropped';
  /** How long a get is held before its reply is written. */
  heldMs = 0;
  /** Changes before these numbers are no longer in the log, by partition. */
  readonly logFrom: number[];
  readonly #nats: FakeNats;
  readonly #clock: Clock;
  readonly #aead: Aead;
  readonly #log: Change[] = [];
  readonly #channels = new Map<string, { version: number; key: Uint8Array }>();
  readonly #random: Random;
  readonly #unsubscribes: (() => void)[];
  #beat: Timer | undefined;
  #generation = 100;

  constructor(nats: FakeNats, clock: Clock, random: Random, aead: Aead, partitions = 4) {
    this.#nats = nats;
    this.#clock = clock;
    this.#random = random;
    this.#aead = aead;
    this.epochs = Array.from({ length: partitions }, () => 1);
    this.vseqs = Array.from({ length: partitions }, () => 0);
    this.logFrom = Array.from({ length: partitions }, () => 0);
    const { subjects } = this;
    this.#unsubscribes = [
      nats.subscribe(subjects.get('*', '*'), (delivery) => {
        this.#get(delivery);
      }),
      nats.subscribe(subjects.sync('*'), (delivery) => {
        this.#sync(delivery);
      }),
      nats.subscribe(subjects.rejected('*', '*'), (delivery) => {
        const request = JSON.parse(text(delivery)) as RejectedRequest;
        this.rejections.push(request);
        this.#reply(delivery, { v: 1, outcome: this.rejectedOutcome });
      }),
      nats.subscribe(subjects.ack('*'), (delivery) => {
        this.receipts.push((JSON.parse(text(delivery)) as { id: string }).id);
      }),
    ];
    this.#startBeating();
  }

  get redisMs(): number {
    return Math.floor(this.#clock.elapsedMs()) + this.redisAheadMs;
  }

  partitionOf(slot: string): number {
    return partitionOf(slot, this.epochs.length);
  }

  /** A new generation for a slot, as a refresh makes it; no event. */
  issue(source: string, slot: string, lifeMs = this.lifeMs): FakeRecord {
    const record = { source, slot, generation: ++this.#generation, expiresAtMs: this.redisMs + lifeMs, lifeMs };
    this.records.set(slot, record);
    return record;
  }

  /** The event that announces the current token of a slot; with a push unless told otherwise. */
  refreshedEvent(slot: string, { push = true } = {}): RefreshedEvent {
    const record = this.records.get(slot);
    if (record === undefined) throw new Error('there is no record');
    const partition = this.partitionOf(slot);
    const epoch = this.epochs[partition] ?? 0;
    const { generation, source, expiresAtMs, lifeMs } = record;
    const channel = this.#channelOf(slot);
    const bound = pushAdditionalData({ slot, epoch, generation, channelVersion: channel.version });
    const plain = encode({ accessToken: accessTokenOf(record), tokenType: 'Bearer', ...this.#user() });
    const sealed = Buffer.from(this.#aead.seal(channel.key, plain, bound)).toString('base64url');
    return {
      v: 1,
      kind: 'refreshed',
      source,
      slot,
      partition,
      epoch,
      generation,
      asOf: this.vseqs[partition] ?? 0,
      expiresAtMs,
      lifeMs,
      ...(push ? { push: { channelVersion: channel.version, sealed } } : {}),
    };
  }

  publishRefreshed(event: RefreshedEvent): void {
    this.#nats.publish(this.subjects.event(event.source, event.slot), encode(event));
  }

  /** Revokes in Redis, and rotates the channel; no event. */
  revoke(slot: string, scope: 'slot' | 'source' | 'all' = 'slot'): Change {
    const record = this.records.get(slot);
    const partition = this.partitionOf(slot);
    const floor = ++this.#generation;
    const vseq = (this.vseqs[partition] ?? 0) + 1;
    this.vseqs[partition] = vseq;
    this.records.delete(slot);
    this.#channels.delete(slot);
    const change: Change = {
      partition,
      epoch: this.epochs[partition] ?? 0,
      vseq,
      floor,
      ...(scope === 'slot' ? { slot } : {}),
      ...(scope === 'source' ? { sources: [record?.source ?? 'payments'] } : {}),
    };
    this.#log.push(change);
    return change;
  }

  publishInvalidation(changes: Change[], options: { receipts?: boolean; id?: string } = {}): void {
    const { id = 'revocation', receipts } = options;
    const message = { v: 1, id, changes, ...(receipts === undefined ? {} : { receipts }) };
    this.#nats.publish(this.subjects.invalidation('all'), encode(message));
  }

  /** A new epoch in every partition. Records that are kept are asserted anew. */
  beginEpoch({ keep }: { keep: boolean }): void {
    for (const index of this.epochs.keys()) {
      this.epochs[index] = (this.epochs[index] ?? 0) + 1;
      this.vseqs[index] = 0;
      this.logFrom[index] = 0;
    }
    if (!keep) this.records.clear();
  }

  heartbeat(): void {
    const { epochs, vseqs, ageMs, timing } = this;
    const atMs = this.redisMs - ageMs;
    this.#nats.publish(this.subjects.heartbeat(), encode({ v: 1, broker: 'b1', ageMs, atMs, epochs, vseqs, timing }));
  }

  stop(): void {
    this.#beat?.cancel();
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
  }

  #startBeating(): void {
    this.#beat = this.#clock.startTimer(TICK_MS, () => {
      if (this.beats) this.heartbeat();
      this.#startBeating();
    });
  }

  #get(delivery: Delivery): void {
    const source = delivery.subject.split('.').at(-1) ?? '';
    const request = delivery.data.length === 0 ? undefined : (JSON.parse(text(delivery)) as GetRequest);
    this.gets.push(request);
    const arrivedMs = this.#clock.elapsedMs();
    this.#clock.startTimer(this.heldMs, () => {
      if (this.failure !== undefined) {
        this.#reply(delivery, { v: 1, error: this.failure });
        return;
      }
      const reply = this.tamper(
        this.#tokenReply(source, request, Math.floor(this.#clock.elapsedMs() - arrivedMs)),
        request,
      );
      if (reply !== undefined) this.#reply(delivery, reply);
    });
  }

  #tokenReply(source: string, request: GetRequest | undefined, heldMs: number): TokenReply {
    const slot = slotOf(source, {
      ...(request?.scope === undefined ? {} : { scopes: normaliseScopes([request.scope].flat()) }),
      ...(request?.audience === undefined ? {} : { audience: request.audience }),
      ...(request?.subjectToken === undefined
        ? {}
        : { subjectHash: subjectHashOf(request.subjectToken, request.actorToken) }),
    });
    const known = this.records.get(slot);
    const record = known !== undefined && known.expiresAtMs - this.redisMs > 5_000 ? known : this.issue(source, slot);
    const partition = this.partitionOf(slot);
    const channel = this.#channelOf(slot);
    return {
      v: 1,
      slot,
      partition,
      epoch: this.epochs[partition] ?? 0,
      generation: record.generation,
      asOf: this.vseqs[partition] ?? 0,
      expiresInMs: record.expiresAtMs - this.redisMs,
      lifeMs: record.lifeMs,
      atMs: this.redisMs,
      heldMs,
      verified: true,
      accessToken: accessTokenOf(record),
      tokenType: 'Bearer',
      ...this.#user(),
      channel: { version: channel.version, key: Buffer.from(channel.key).toString('base64url') },
      timing: this.timing,
    };
  }

  #user(): { username?: string } {
    return this.username === undefined ? {} : { username: this.username };
  }

  #sync(delivery: Delivery): void {
    const request = JSON.parse(text(delivery)) as SyncRequest;
    this.syncs.push(request);
    if (this.syncFailure !== undefined) {
      this.#reply(delivery, { v: 1, error: this.syncFailure });
      return;
    }
    const reset: number[] = [];
    const changes: Change[] = [];
    for (const [index, epoch] of this.epochs.entries()) {
      const since = request.known?.vseqs[index] ?? 0;
      if (request.known?.epochs[index] !== epoch || since < (this.logFrom[index] ?? 0)) reset.push(index);
      else
        changes.push(
          ...this.#log.filter((change) => change.partition === index && change.epoch === epoch && change.vseq > since),
        );
    }
    const live = (request.holds ?? [])
      .flatMap(({ slots }) => slots)
      .filter(([slot, generation]) => this.records.get(slot)?.generation === generation);
    const reply: SyncReply = {
      v: 1,
      ageMs: this.ageMs,
      atMs: this.redisMs - this.ageMs,
      epochs: this.epochs,
      vseqs: this.vseqs,
      changes,
      reset,
      ...(request.verify === true ? { live } : {}),
      timing: this.timing,
    };
    this.#reply(delivery, reply);
  }

  #reply({ reply }: Delivery, message: unknown): void {
    if (reply !== undefined) this.#nats.publish(reply, encode(message));
  }

  #channelOf(slot: string): { version: number; key: Uint8Array } {
    const known = this.#channels.get(slot);
    if (known !== undefined) return known;
    const channel = { version: ++this.#generation, key: this.#random.bytes(32) };
    this.#channels.set(slot, channel);
    return channel;
  }
}

export function accessTokenOf(record: { readonly slot: string; readonly generation: number }): string {
  return `token-${record.slot}-${String(record.generation)}`;
}

function text({ data }: Delivery): string {
  return new TextDecoder().decode(data);
}
