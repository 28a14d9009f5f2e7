import type { QuotaBounds } from './call-budget.js';
import type { At, Answered, Committed, HandedOut, Observation, Reserved } from './observation.js';
import { isAtOrBelow } from './order.js';
import { Revocations } from './revocations.js';
import { TokenRegister } from './token-register.js';
import { UpstreamCalls } from './upstream-calls.js';
import type { GivenBack } from './upstream-observation.js';
import { GUARANTEES, type Guarantee, type Violation } from './violation.js';

/** What the guarantees are counted by. */
export interface Bounds {
  readonly minLifetimeMs: number;
  readonly maxStalenessMs: number;
  /** From the revocation's script until a near cache that hears everything has dropped the token. */
  readonly detectionMs: number;
  /** The greatest difference between a clock's rate and the true one. */
  readonly drift: number;
  /** The identity provider may give one token to several calls. */
  readonly idpCaches: boolean;
  /** How long a refresh token that was spent may come again. */
  readonly graceMs: number;
  readonly quota: QuotaBounds | undefined;
}

/** A small amount that rounding to whole milliseconds may cost. */
const ROUNDING_MS = 3;
/** So old may be the reading of Redis's clock that a near cache counts a pushed token's life by. */
const ANCHORED_MS = 60_000;
/**
 * A broker whose clock is set on in the middle of a request says that it held it for so much longer. A client sees that only
 * where it is more than the request was under way.
 */
const UNNOTICED_JUMP_MS = 4_000;
/** With more of its life left than this, no record is due for renewal by any setting that is used. */
const FRESH = 0.55;

/**
 * Judges a history, one observation after the other and in constant time each: every slot is a register whose versions are
 * ordered by epoch and generation, which commits write, revocations erase and everybody else only reads.
 */
export class Checker {
  /** How often each guarantee had something to judge. */
  readonly exercised = Object.fromEntries(GUARANTEES.map((name) => [name, 0])) as Record<Guarantee, number>;
  readonly #bounds: Bounds;
  readonly #tokens: TokenRegister;
  readonly #revocations = new Revocations();
  /** By slot and recipe: reservations whose call has not ended. */
  readonly #reservations = new Map<string, Reserved[]>();
  /** By slot, epoch and generation: the attempt that was committed. */
  readonly #committed = new Map<string, string>();
  /** By client and slot: the newest that was handed out. */
  readonly #newest = new Map<string, At<HandedOut>>();
  readonly #upstream: UpstreamCalls;
  #violation: Violation | undefined;
  #now: Observation | undefined;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#tokens = new TokenRegister(bounds.idpCaches);
    this.#upstream = new UpstreamCalls(bounds, this.#expect.bind(this));
  }

  /** The first violation, if there was one. */
  get violation(): Violation | undefined {
    return this.#violation;
  }

  observe(observation: Observation): void {
    this.#now = observation;
    this.#upstream.observe(observation);
    switch (observation.kind) {
      case 'reserved':
        this.#reserved(observation);
        return;
      case 'called':
        this.#tokens.called(observation);
        return;
      case 'call-ended':
        this.#callEnded(observation.call);
        return;
      case 'issued':
        this.#tokens.issued(observation);
        return;
      case 'taken-back':
        this.#tokens.takenBack(observation.token);
        return;
      case 'committed':
        this.#committedRecord(observation);
        return;
      case 'floor-raised':
        this.#revocations.raised(observation, observation.atMs);
        return;
      case 'revocation-returned':
        this.#returned(observation);
        return;
      case 'data-set-replaced':
        this.#expect('G7', observation.lostDurable.length === 0, () => {
          return `a revocation that was reported as durable was lost by a ${observation.how}`;
        });
        return;
      case 'answered':
        this.#answered(observation);
        return;
      case 'handed-out':
        this.#handedOut(observation);
        return;
      case 'given-back':
        this.#givenBack(observation);
        return;
      default:
      // The rest is of calls of identity providers.
    }
  }

  /** G1: one call in the air, and none while a token counts that is not due for renewal. */
  #reserved(now: Reserved): void {
    const key = `${now.slot} ${now.recipe}`;
    const others = this.#reservations.get(key) ?? [];
    for (const other of others) {
      // Sent again, it is the same claim.
      if (other.epoch === now.epoch && other.generation === now.generation) return;
      const isOver =
        other.epoch < now.epoch || other.generation <= now.floor || now.redisMs >= other.redisMs + other.callMs;
      this.#expect('G1', isOver, () => {
        return `${now.slot}: generation ${String(now.generation)} was claimed while the call for ${String(other.generation)} is in the air`;
      });
    }
    this.#expect('G1', now.live === undefined || now.live.leftOfLife <= FRESH || now.isDue, () => {
      return `${now.slot}: a call was begun while a token with ${((now.live?.leftOfLife ?? 0) * 100).toFixed(0)} % of its life counts`;
    });
    this.#reservations.set(key, [...others, now]);
  }

  #callEnded(call: number): void {
    const called = this.#tokens.callOf(call);
    if (called === undefined) return;
    const key = `${called.slot} ${called.recipe}`;
    const left = (this.#reservations.get(key) ?? []).filter(({ generation }) => generation !== called.generation);
    if (left.length === 0) this.#reservations.delete(key);
    else this.#reservations.set(key, left);
  }

  /** G1: whoever gives a claim back has no call under way. */
  #givenBack({ slot, recipe, epoch, generation }: GivenBack): void {
    const key = `${slot} ${recipe}`;
    const left = (this.#reservations.get(key) ?? []).filter(
      (one) => one.epoch !== epoch || one.generation !== generation,
    );
    this.#reservations.set(key, left);
  }

  #committedRecord(now: Committed): void {
    this.#expect('G2', now.generation > now.floor, () => {
      return `${now.slot}: generation ${String(now.generation)} was committed at or below the floor ${String(now.floor)}`;
    });
    this.#expect('G2', now.epochOfClaim === now.epoch, () => {
      return `${now.slot}: a generation that was claimed in another epoch was committed`;
    });
    const key = `${now.slot} ${String(now.epoch)} ${String(now.generation)}`;
    const attempt = this.#committed.get(key);
    this.#expect('G1', attempt === undefined || attempt === now.attempt, () => {
      return `${now.slot}: two results of generation ${String(now.generation)} were committed`;
    });
    this.#expect('G3', now.generation >= now.before, () => {
      return `${now.slot}: generation ${String(now.generation)} was committed over ${String(now.before)}`;
    });
    this.#committed.set(key, now.attempt);
  }

  /** G7: what is reported is so. */
  #returned(now: Extract<Observation, { kind: 'revocation-returned' }>): void {
    if (now.broadcast)
      this.#expect('G7', now.wasTaken, () => 'a revocation was reported as broadcast, and NATS has not taken it');
    if (!now.complete) return;
    for (const partition of now.partitions) {
      const raised = this.#revocations.floorOf(now.id, partition);
      const stands = now.standing.find((floor) => floor.partition === partition);
      this.#expect(
        'G7',
        raised !== undefined &&
          stands !== undefined &&
          (stands.replacedSince || (stands.epoch >= raised.epoch && stands.floor >= raised.floor)),
        () => `a revocation was reported as complete, and Redis does not have it in partition ${String(partition)}`,
      );
    }
    this.#revocations.returned(now.id, now.covers, now.atMs);
  }

  #answered(now: At<Answered>): void {
    this.#lives(now);
    if (!now.verified) return;
    const order = this.#tokens.orderOf(now.token, now);
    const dead = this.#revocations.deathOf(now.slot, order);
    this.#expect('G2', dead === undefined, () => {
      return `${now.slot}: a broker answered with ${now.token}, whose revocation had returned at ${String(dead?.returnedAtMs)} ms`;
    });
    const isTakenBack = this.#tokens.isTakenBack(now.token) && !this.#revocations.isForbidden(now.slot, order);
    this.#expect('G2', !isTakenBack, () => {
      return `${now.slot}: a broker answered with ${now.token}, which a broker had revoked at the identity provider`;
    });
  }

  #handedOut(now: At<HandedOut>): void {
    this.#lives(now);
    this.#goesOn(now);
    const issued = this.#tokens.issueOf(now.token);
    if (issued !== undefined) this.#upstream.handedOut(now, issued);
    const order = this.#tokens.orderOf(now.token, now);
    const death = this.#revocations.deathOf(now.slot, order);
    if (death === undefined) {
      this.exercised.G2++;
      return;
    }
    const sinceMs = now.atMs - death.executedAtMs;
    const boundMs = this.#bounds.maxStalenessMs * (1 + 2 * this.#bounds.drift) + ROUNDING_MS;
    this.#expect('G2', sinceMs <= boundMs, () => {
      return `${now.slot}: ${now.token} was handed out ${String(sinceMs)} ms after it was revoked, the bound is ${String(boundMs)} ms`;
    });
    const healthyMs = now.atMs - Math.max(now.healthySinceMs, death.executedAtMs);
    this.#expect('G2', healthyMs <= this.#bounds.detectionMs, () => {
      return `${now.slot}: ${now.token} was handed out ${String(sinceMs)} ms after it was revoked, although nothing was wrong for ${String(healthyMs)} ms`;
    });
  }

  /** G3: no client steps back. */
  #goesOn(now: At<HandedOut>): void {
    const key = `${now.process} ${now.slot}`;
    const newest = this.#newest.get(key);
    this.#expect('G3', newest === undefined || isAtOrBelow(newest, now), () => {
      return `${now.slot}: generation ${String(now.generation)} was handed out after ${String(newest?.generation)}`;
    });
    this.#newest.set(key, now);
  }

  /** G4: enough of its life is left, and no more is claimed than is true. */
  #lives(now: At<Answered | HandedOut>): void {
    const issued = this.#tokens.issueOf(now.token);
    this.#expect('fault', issued !== undefined, () => `${now.slot}: ${now.token} was never issued`);
    if (issued === undefined) return;
    const trueMs = issued.expiresAtMs - now.atMs;
    const jumpedMs = now.kind === 'handed-out' && now.clocksJumped ? UNNOTICED_JUMP_MS : 0;
    const toleranceMs = Math.max(issued.lifeMs, ANCHORED_MS) * 2 * this.#bounds.drift + ROUNDING_MS + jumpedMs;
    const leastMs = Math.min(this.#bounds.minLifetimeMs, issued.lifeMs / 2);
    this.#expect('G4', trueMs >= leastMs - toleranceMs, () => {
      return `${now.slot}: ${now.token} was handed out with ${trueMs.toFixed(0)} ms of its life left`;
    });
    this.#expect('G4', now.expiresInMs <= trueMs + toleranceMs, () => {
      return `${now.slot}: ${now.token} was said to live ${String(now.expiresInMs)} ms, and lives ${trueMs.toFixed(0)} ms`;
    });
  }

  /** A violation that another part of the observer has found. */
  report(guarantee: Guarantee, what: string, atMs: number): void {
    this.#violation ??= { guarantee, what, atMs };
  }

  #expect(guarantee: Guarantee, holds: boolean, what: () => string): void {
    this.exercised[guarantee]++;
    if (!holds) this.report(guarantee, what(), this.#now?.atMs ?? 0);
  }
}
