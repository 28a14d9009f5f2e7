import {
  cutoffName,
  type InvalidationTarget,
  type Scripts,
  type ServiceRequest,
} from '@token-broker/broker/simulation';
import type { Token } from '@token-broker/client';
import type { SimulatedProcess } from '@token-broker/testing';
import type { Checker } from '../checker/checker.js';
import type { Floor, Seen } from '../checker/observation.js';
import { COMMAND_TIMEOUT_MS, refreshedSources, type WorldSlot } from './configuration.js';
import type { Surroundings, Watch } from './surroundings.js';
import { UpstreamObserver } from './upstream-observer.js';

/** What a revocation was ordered for, as its script was told. */
interface Ordered {
  readonly target: InvalidationTarget;
  /** By partition: the floor that its script raised last. */
  readonly floors: Map<number, number>;
  durable: boolean;
}

/** A token that is held may have come by a request so long ago. */
const LONGEST_REQUEST_MS = 60_000;
/** Until then, brokers may be starting. */
const STARTED_MS = 1_000;
/** A refusal may be as old as this when it is given to somebody. */
const TOLD_WITHIN_MS = 2_000;

/** Sees everything in the world, and tells the checker and the timeline. It changes nothing. */
export class Observer implements Watch {
  readonly upstream: UpstreamObserver;
  readonly #world: Surroundings;
  readonly #checker: Checker;
  /** By the id of each script: a revocation of many targets has one for each. */
  readonly #orders = new Map<string, Ordered>();
  /** By the id of a revocation: those of its scripts. */
  readonly #parts = new Map<string, Set<string>>();
  /** Revocations whose event NATS has taken. */
  readonly #taken = new Set<string>();
  /** By partition and target: when a floor was last confirmed. */
  readonly #confirmedAtMs = new Map<string, number>();
  #replacedAtMs = Number.NEGATIVE_INFINITY;
  /** When something was revoked, or a source was given another refresh token: what was in the air then is of no use. */
  readonly #interruptedAtMs: number[] = [];
  /** Generations that were reported as refused and went. */
  rejections = 0;
  /** Slots that revocations have covered, once for each. */
  revokedSlots = 0;

  constructor(world: Surroundings, checker: Checker) {
    this.#world = world;
    this.#checker = checker;
    this.upstream = new UpstreamObserver(world, (process, seen) => {
      this.#tell(process, seen);
    });
  }

  /** The scripts of Redis, as one process runs them. */
  scripts(scripts: Scripts, process: SimulatedProcess): Scripts {
    return {
      ...scripts,
      reserve: (script, request) => {
        const { address } = request;
        const slot = script.partition.slot(address.slot);
        const { record } = slot;
        const isLive =
          record?.sealed !== undefined &&
          record.epoch === script.partition.epoch &&
          record.generation > script.partition.floorOf(address) &&
          record.usableUntilMs > script.nowMs &&
          record.recipe === address.recipe;
        const life = isLive ? this.#leftOfLife(record.expiresAtMs, script.nowMs) : 0;
        const reply = scripts.reserve(script, request);
        if (reply.kind === 'go') {
          const { slot, recipe } = address;
          const { generation } = reply;
          const { epoch } = reply.asOf;
          const isReplaced = this.#world.isReplaced(slot);
          const isRefetch = reply.isRefetch || isReplaced;
          this.upstream.claimed(request.attempt, { slot, recipe, epoch, generation, isRefetch });
          this.#tell(process, {
            kind: 'reserved',
            slot,
            recipe,
            epoch,
            generation,
            floor: script.partition.floorOf(address),
            redisMs: script.nowMs,
            callMs: request.callMs,
            live: isLive ? { generation: record.generation, leftOfLife: life } : undefined,
            isDue: this.#hasJumped(process) || (isLive && request.wantGreaterThan === record.generation && isReplaced),
          });
        }
        return reply;
      },
      abandon: (script, address, attempt) => {
        scripts.abandon(script, address, attempt);
        this.upstream.givenBack(attempt, process);
      },
      commit: (script, request) => {
        const { address, attempt } = request;
        const before = script.partition.slot(address.slot).record;
        const floor = script.partition.floorOf(address);
        const reply = scripts.commit(script, request);
        const after = script.partition.slot(address.slot).record;
        if (reply.kind === 'ok' && after !== undefined && after !== before) {
          const { epoch, generation } = after;
          this.#tell(process, {
            kind: 'committed',
            slot: address.slot,
            epoch,
            generation,
            epochOfClaim: request.epoch,
            attempt,
            floor,
            before: before?.epoch === epoch ? before.generation : 0,
          });
          this.#world.pass('committed', process);
        }
        return reply;
      },
      reject: (script, address, epoch, generation, minIntervalMs) => {
        const reply = scripts.reject(script, address, epoch, generation, minIntervalMs);
        if (reply.kind === 'dropped') this.rejections++;
        return reply;
      },
      confirm: (script, target, epoch, floor) => {
        const stands = scripts.confirm(script, target, epoch, floor);
        const index = this.#world.redis.redis.partitions.indexOf(script.partition);
        if (stands) this.#confirmedAtMs.set(`${String(index)} ${cutoffName(target)}`, this.#world.loop.nowMs);
        return stands;
      },
      revoke: (script, target, index, id, policy, upTo) => {
        const reply = scripts.revoke(script, target, index, id, policy, upTo);
        if (!this.#orders.has(id)) this.#interruptedAtMs.push(this.#world.loop.nowMs);
        const order = this.#orders.get(id) ?? { target, floors: new Map<number, number>(), durable: false };
        this.#orders.set(id, order);
        order.floors.set(index, reply.floor);
        const parts = this.#parts.get(revocationOf(id)) ?? new Set();
        this.#parts.set(revocationOf(id), parts.add(id));
        const slots = this.#covered(target, index).map(({ slot }) => slot);
        this.revokedSlots += slots.length;
        const { epoch } = reply.asOf;
        this.#tell(process, { kind: 'floor-raised', id, partition: index, epoch, floor: reply.floor, slots });
        this.#world.pass('floor-raised', process);
        return reply;
      },
    };
  }

  /** A process does not run. */
  left(process: string, isGone: boolean): void {
    this.#see(process, { kind: 'left', isGone });
  }

  returned(process: string): void {
    this.#see(process, { kind: 'returned' });
  }

  /** NATS has taken the event of a revocation. */
  messageTaken(id: string): void {
    this.#taken.add(id);
  }

  /** What a broker answers leaves its service. */
  answered(process: SimulatedProcess, request: ServiceRequest, bytes: Uint8Array): void {
    if (request.verb !== 'get' && !(request.verb === 'admin' && request.target === 'revoke')) return;
    const reply = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>;
    if (request.verb === 'admin') {
      this.#revocationReturned(process, reply);
      return;
    }
    if (typeof reply['accessToken'] !== 'string') return;
    this.#tell(process, {
      kind: 'answered',
      slot: String(reply['slot']),
      token: reply['accessToken'],
      epoch: Number(reply['epoch']),
      generation: Number(reply['generation']),
      verified: reply['verified'] === true,
      expiresInMs: Number(reply['expiresInMs']),
    });
    this.#world.pass('answered', process);
  }

  handedOut(process: SimulatedProcess, client: number, slot: string, token: Token): void {
    const { epoch, generation, verified, accessToken, expiresInMs } = token;
    const healthySinceMs = this.#world.trouble.healthySinceMs(client);
    this.#checker.exercised.availability++;
    this.#tell(process, {
      kind: 'handed-out',
      slot,
      token: accessToken,
      epoch,
      generation,
      verified,
      expiresInMs,
      clocksJumped: this.#world.lastJumpAtMs() + LONGEST_REQUEST_MS > this.#world.loop.nowMs,
      healthySinceMs,
    });
  }

  /** A call has ended without a token. `askedAtMs`: true time. */
  refused(process: SimulatedProcess, client: number, slot: string, code: string, askedAtMs: number): void {
    const { counts, timeline, trouble, shape, loop, nats } = this.#world;
    counts.refusals.set(code, (counts.refusals.get(code) ?? 0) + 1);
    timeline?.note(process.name, `get ${slot.slice(0, 6)} refused: ${code}`);
    const source = this.#world.slots.find((one) => one.slot === slot)?.source ?? '';
    if (code === 'REAUTH_REQUIRED') {
      this.#world.reauthorise(source);
      if (this.upstream.lacksRefreshToken(source, askedAtMs - TOLD_WITHIN_MS)) return;
    }
    // It spends one refresh token after the other: what was in the air is waited for, and fetched once more, behind other slots.
    if (code === 'DEADLINE' && refreshedSources(shape).includes(source)) {
      const interruptions = this.#interruptedAtMs.filter((atMs) => atMs >= askedAtMs - shape.requestTimeoutMs).length;
      if (interruptions >= (shape.audiences > 1 ? 1 : 2)) return;
    }
    // Judged where Redis said that there was no room.
    if (code === 'QUOTA_EXHAUSTED' && shape.quota !== undefined) return;
    this.#world.refusals.push({ askedAtMs, code });
    const wellSinceMs = Math.max(
      trouble.healthySinceMs(client),
      trouble.upstreamSinceMs,
      nats.groupsWholeSinceMs,
      STARTED_MS,
    );
    // Who revokes while the provider gives the same token again has no other to give.
    if (askedAtMs < wellSinceMs || process.isDead || shape.idpCaches) return;
    this.#checker.report(
      'availability',
      `${slot}: a caller was refused with ${code}, although nothing was wrong`,
      loop.nowMs,
    );
  }

  /** Another data set answers from now on. */
  replaced(how: 'restart' | 'failover' | 'flush'): void {
    this.#replacedAtMs = this.#world.loop.nowMs;
    // Who empties the server empties it of everything, however durable.
    if (how === 'flush') this.#orders.clear();
    const lostDurable = [...this.#orders].flatMap(([id, order]) => (order.durable && this.#isLost(order) ? [id] : []));
    this.#tell(undefined, { kind: 'data-set-replaced', how, lostDurable });
  }

  #revocationReturned(process: SimulatedProcess, reply: Record<string, unknown>): void {
    const { id, complete } = reply;
    // It hit nothing, or has failed.
    if (typeof id !== 'string' || id === '') return;
    const parts = [...(this.#parts.get(id) ?? [])].filter((part) => this.#orders.has(part));
    if (parts.length === 0) {
      const what = 'a revocation was reported as complete, and Redis has never heard of it';
      // What was emptied has forgotten it.
      if (complete === true && this.#replacedAtMs === Number.NEGATIVE_INFINITY)
        this.#checker.report('G7', what, this.#world.loop.nowMs);
      return;
    }
    for (const part of parts) this.#partReturned(process, part, id, reply);
    this.#world.pass('revocation-returned', process);
  }

  #partReturned(
    process: SimulatedProcess,
    part: string,
    id: string,
    { complete, durable, broadcast }: Record<string, unknown>,
  ): void {
    const order = this.#orders.get(part);
    if (order === undefined) return;
    const { target, floors } = order;
    order.durable = durable === true && complete === true;
    this.#tell(process, {
      kind: 'revocation-returned',
      id: part,
      complete: complete === true,
      durable: durable === true,
      broadcast: broadcast === true,
      covers: [...floors.keys()].flatMap((index) => this.#covered(target, index)),
      partitions:
        target.kind === 'slot' ? [...floors.keys()] : this.#world.redis.redis.partitions.map((_, index) => index),
      standing: this.#standing(target),
      wasTaken: this.#taken.has(id),
    });
  }

  /** What Redis holds against a target at this moment, by partition. */
  #standing(target: InvalidationTarget): (Floor & { readonly replacedSince: boolean })[] {
    return this.#world.redis.redis.partitions.map((partition, index) => {
      const floor =
        target.kind === 'slot'
          ? (partition.slots.get(target.slot)?.floor ?? 0)
          : (partition.cutoffs.get(cutoffName(target)) ?? 0);
      const confirmedAtMs = this.#confirmedAtMs.get(`${String(index)} ${cutoffName(target)}`);
      const replacedSince = confirmedAtMs !== undefined && confirmedAtMs <= this.#replacedAtMs;
      return { partition: index, epoch: partition.epoch, floor, replacedSince };
    });
  }

  #isLost({ target, floors }: Ordered): boolean {
    const standing = this.#standing(target);
    return [...floors].some(([partition, floor]) => (standing[partition]?.floor ?? 0) < floor);
  }

  #covered(target: InvalidationTarget, partition: number): WorldSlot[] {
    return this.#world.slots.filter(
      (one) =>
        one.partition === partition &&
        (target.kind === 'slot'
          ? one.slot === target.slot
          : target.kind === 'source'
            ? one.source === target.source
            : true),
    );
  }

  #hasJumped({ clock }: SimulatedProcess): boolean {
    return clock.jumpedAtMs !== undefined && this.#world.loop.nowMs - clock.jumpedAtMs < this.#world.shape.tokenLifeMs;
  }

  /** As a broker sees it that has read it over a slow link. */
  #leftOfLife(expiresAtMs: number, nowMs: number): number {
    return (expiresAtMs - nowMs - COMMAND_TIMEOUT_MS) / this.#world.shape.tokenLifeMs;
  }

  #tell(process: SimulatedProcess | undefined, seen: Seen): void {
    if (seen.kind === 'seeded') this.#interruptedAtMs.push(this.#world.loop.nowMs);
    this.#see(process?.name ?? '-', seen);
  }

  #see(process: string, seen: Seen): void {
    const observation = { atMs: this.#world.loop.nowMs, process, ...seen };
    this.#world.timeline?.observe(observation);
    this.#checker.observe(observation);
  }
}

/** Scripts of a revocation of many targets have a number behind its id. */
function revocationOf(script: string): string {
  return script.split('.')[0] ?? script;
}
