import type { Channel, Timing, TokenParameters } from '@token-broker/protocol';
import { minimumRemainingMs, requiredRemainingMs } from '../../domain/lifetime.js';
import { handedOut, type Token } from '../../domain/token.js';
import type { AsOf, SlotAddress } from '../ports/store.js';
import { ReplyTemplate } from './reply-template.js';

/** What a {@link Held} is made of. */
export interface HeldContent {
  readonly address: SlotAddress;
  readonly parameters: TokenParameters;
  readonly token: Token;
  readonly generation: number;
  /** Redis time. */
  readonly expiresAtMs: number;
  readonly lifeMs: number;
  /** The answer of the store that says so; ages are counted from when it was asked. */
  readonly asOf: AsOf;
  readonly channel?: Channel;
}

/** Invalidations that end many tokens at once. */
export interface Endings {
  /** Another one says that what was judged before is to be judged again. */
  readonly version: number;
  /** `judgedBy`: the version by which it was good. */
  end(held: Held, judgedBy: number): boolean;
}

/** Of what is held beside the text: objects, numbers, the address, the place in the map. Measured: 513, and 593 with an audience. */
const OBJECT_BYTES = 600;

/** One for all who have none: there may be a million of them. */
const NO_PARAMETERS: TokenParameters = {};

/** A token in this broker's memory, with its reply ready. */
export class Held {
  readonly address: SlotAddress;
  readonly parameters: TokenParameters;
  readonly epoch: number;
  readonly generation: number;
  readonly expiresAtMs: number;
  readonly lifeMs: number;
  readonly asOfVseq: number;
  /** Elapsed time of its expiry: never later than the true one, since Redis read its clock after it was asked. */
  readonly expiresAtElapsedMs: number;
  readonly template: ReplyTemplate;
  /** Elapsed time of the last request or report. */
  wantedAtMs: number;
  /** Who asked for it last. */
  wantedBy: string | undefined;
  /** When its place in the order of use was last seen to. */
  movedAtMs = Number.NEGATIVE_INFINITY;

  readonly #redisAheadMs: number;
  readonly #timing: Timing;
  #isDead = false;
  #endings: Endings | undefined;
  #judgedBy = 0;

  constructor(content: HeldContent, timing: Timing, wantedAtMs: number, wantedBy?: string) {
    const { address, parameters, token, generation, expiresAtMs, lifeMs, asOf, channel } = content;
    this.address = address;
    this.parameters = Object.keys(parameters).length === 0 ? NO_PARAMETERS : parameters;
    this.epoch = asOf.epoch;
    this.generation = generation;
    this.expiresAtMs = expiresAtMs;
    this.lifeMs = lifeMs;
    this.asOfVseq = asOf.vseq;
    this.wantedAtMs = wantedAtMs;
    this.wantedBy = wantedBy;
    this.#redisAheadMs = asOf.redisMs - asOf.sentAtMs;
    this.#timing = timing;
    // Never more than its whole life, also where the clock of Redis has jumped back since it was issued.
    this.expiresAtElapsedMs = Math.min(expiresAtMs - this.#redisAheadMs, asOf.sentAtMs + lifeMs);
    this.template = new ReplyTemplate(
      {
        v: 1,
        slot: address.slot,
        partition: address.partition,
        epoch: asOf.epoch,
        generation,
        lifeMs: Math.floor(lifeMs),
        ...handedOut(token),
        ...(channel === undefined ? {} : { channel }),
      },
      timing,
    );
  }

  /** Read out of its reply, where it is kept once: few ask for it otherwise. */
  get token(): Token {
    return handedOut(this.template.members() as Token);
  }

  /** Revoked, rejected, of another epoch: an answer that waited must not be made of it any more. It stays dead. */
  get dead(): boolean {
    const endings = this.#endings;
    if (!this.#isDead && endings !== undefined && endings.version !== this.#judgedBy) {
      this.#isDead = endings.end(this, this.#judgedBy);
      this.#judgedBy = endings.version;
    }
    return this.#isDead;
  }

  end(): void {
    this.#isDead = true;
  }

  /** From now on it is dead as soon as these say so. */
  follow(endings: Endings): void {
    this.#endings = endings;
    this.#judgedBy = endings.version;
    this.#isDead ||= endings.end(this, endings.version);
  }

  get bytes(): number {
    return this.template.bytes + OBJECT_BYTES;
  }

  remainingMs(elapsedMs: number): number {
    return this.expiresAtElapsedMs - elapsedMs;
  }

  /** Redis time now, as this answer's asking lets one know it: never behind the true one. */
  redisMs(elapsedMs: number): number {
    return elapsedMs + this.#redisAheadMs;
  }

  /** Whether enough life is left for a caller that wants `minTtlMs`. */
  isFreshFor(minTtlMs: number, elapsedMs: number): boolean {
    return this.remainingMs(elapsedMs) >= requiredRemainingMs(this.#timing.minLifetimeMs, minTtlMs, this.lifeMs);
  }

  /** Elapsed time from which it is not handed out at all. */
  get usableUntilElapsedMs(): number {
    return this.expiresAtElapsedMs - minimumRemainingMs(this.#timing.minLifetimeMs, this.lifeMs);
  }
}
