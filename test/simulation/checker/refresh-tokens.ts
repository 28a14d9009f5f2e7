import type { Absences } from './absences.js';
import type { Expect } from './expectation.js';
import type { At, CallEnded, Committed } from './observation.js';
import type { Arrived, Heard, Intended, Telling, Told, Waited } from './upstream-observation.js';

/** So long does an owner that is called for have to come back, less what the drift of clocks and rounding may take. */
const CALLED_FOR_MS = 995;

/** One use of a refresh token: what its caller knows, and what the journal knows of it. */
interface Spending {
  readonly permit: string;
  readonly process: string;
  readonly family: string;
  readonly sequence: number;
  readonly begunAtMs: number;
  /** When it was given the right to, last. */
  spentAtMs: number;
  /** Time of Redis until which nobody else may. */
  untilRedisMs: number;
  heard: Heard | undefined;
  toldAtMs: number;
  outcome: Told['outcome'] | undefined;
  /** When others first waited for it although its time was over. */
  calledForAtMs: number;
  /** When it sent its outcome last. */
  tellingAtMs: number;
}

/**
 * G6: each refresh token is spent once. A second use is excused where the journal could not know of the first: its process
 * was away, its outcome was never heard, Redis has lost it, or the owner was called for and its word did not get through.
 */
export class RefreshTokens {
  readonly #absences: Absences;
  readonly #expect: Expect;
  readonly #spendings = new Map<string, Spending>();
  /** By refresh token: the use that arrived last. */
  readonly #latest = new Map<string, Spending>();
  /** Refresh tokens that were spent twice, with an excuse: of their outcomes, the journal keeps one. */
  readonly #spentTwice = new Set<string>();
  /** By family of the journal: when it was over. */
  readonly #exhaustedAtMs = new Map<string, number>();
  #lostAtMs = Number.NEGATIVE_INFINITY;

  constructor(absences: Absences, expect: Expect) {
    this.#absences = absences;
    this.#expect = expect;
  }

  dataLost(atMs: number): void {
    this.#lostAtMs = atMs;
  }

  intended({ permit, process, family, sequence, redisMs, callMs, atMs }: At<Intended>): void {
    const known = this.#spendings.get(permit);
    const isAgain = known?.family === family && known.sequence === sequence;
    const begunAtMs = isAgain ? known.begunAtMs : atMs;
    this.#spendings.set(permit, {
      ...{ permit, process, family, sequence, begunAtMs, spentAtMs: atMs, untilRedisMs: redisMs + callMs },
      ...{ heard: undefined, outcome: undefined, toldAtMs: Number.POSITIVE_INFINITY },
      ...{ calledForAtMs: Number.POSITIVE_INFINITY, tellingAtMs: Number.NEGATIVE_INFINITY },
    });
    const overAtMs = this.#exhaustedAtMs.get(family);
    this.#expect('G6', overAtMs === undefined || overAtMs <= this.#lostAtMs, () => {
      return `a refresh token was to be spent, although its family is over since ${String(overAtMs)} ms`;
    });
  }

  waited({ owner, redisMs, atMs }: At<Waited>): void {
    const spending = this.#spendings.get(owner);
    if (spending === undefined || redisMs < spending.untilRedisMs) return;
    spending.calledForAtMs = Math.min(spending.calledForAtMs, atMs);
  }

  telling({ permit, atMs }: At<Telling>): void {
    const spending = this.#spendings.get(permit);
    if (spending !== undefined) spending.tellingAtMs = atMs;
  }

  told({ permit, outcome, family, sequence, atMs }: At<Told>): void {
    const spending = this.#spendings.get(permit);
    if (spending === undefined) return;
    if (outcome === 'exhausted') {
      this.#expect('G6', family === spending.family && sequence === spending.sequence, () => {
        return `${permit}: the family was ended for the refusal of another refresh token than the one that it has`;
      });
      this.#expect('G6', !this.#isOver(family), () => `${permit}: a family was ended a second time`);
      if (family !== undefined) this.#exhaustedAtMs.set(family, atMs);
    }
    if (spending.outcome !== undefined) return;
    spending.outcome = outcome;
    spending.toldAtMs = atMs;
  }

  callEnded({ permit, heard }: At<CallEnded>): void {
    const spending = permit === undefined ? undefined : this.#spendings.get(permit);
    if (spending !== undefined) spending.heard = heard;
  }

  /** The journal first: a token that is given out before its successor is safe may be the last one. */
  committed({ slot, attempt }: At<Committed>): void {
    const spending = this.#spendings.get(attempt);
    if (spending?.heard !== 'successor') return;
    this.#expect('G6', spending.outcome === 'succeeded', () => {
      return `${slot}: a token was committed before the journal had the successor of its refresh token`;
    });
  }

  arrived({ permit, refreshToken, atMs }: At<Arrived>): void {
    if (refreshToken === undefined) return;
    const now = permit === undefined ? undefined : this.#spendings.get(permit);
    this.#expect('G6', now !== undefined, () => `${refreshToken} was spent, and the journal does not know by whom`);
    if (now === undefined) return;
    const before = this.#latest.get(refreshToken);
    this.#latest.set(refreshToken, now);
    if (before === undefined || before === now) return;
    const isExcused =
      this.#isExcused(before, now) || (before.outcome === 'replaced' && this.#spentTwice.has(refreshToken));
    if (before.heard !== 'kept' && before.heard !== 'failure') this.#spentTwice.add(refreshToken);
    this.#expect('G6', isExcused, () => {
      const heard = before.heard === undefined ? 'is still in the air' : `had heard: ${before.heard}`;
      return `${refreshToken} was spent twice: at ${String(before.spentAtMs)} ms by ${before.process}, which ${heard}, and at ${String(atMs)} ms`;
    });
  }

  #isExcused(before: Spending, now: Spending): boolean {
    if (this.#lostAtMs >= Math.min(before.begunAtMs, now.begunAtMs)) return true;
    if (this.#absences.hasBeenAwaySince(before.process, before.begunAtMs)) return true;
    // It was stopped when it was about to call.
    if (this.#absences.hasBeenAwaySince(now.process, now.spentAtMs)) return true;
    const wasTold = before.toldAtMs <= now.spentAtMs;
    switch (before.heard) {
      case undefined:
        return false;
      case 'successor':
        return !wasTold && this.#couldNotTell(before, now);
      case 'refresh-token-refused':
        // It was said, and Redis did not take it: the next one finds it out again.
        return wasTold ? before.outcome === 'moved' : before.tellingAtMs >= before.begunAtMs;
      case 'token':
      case 'kept':
      case 'throttled':
      case 'failure':
        // It stays good, or nobody knows whether it was spent.
        return true;
    }
  }

  /** It was called for, has told its outcome since, and Redis has not heard of it. */
  #couldNotTell(before: Spending, now: Spending): boolean {
    const { calledForAtMs, tellingAtMs } = before;
    return calledForAtMs <= now.spentAtMs - CALLED_FOR_MS && tellingAtMs >= calledForAtMs;
  }

  #isOver(family: string | undefined): boolean {
    const overAtMs = family === undefined ? undefined : this.#exhaustedAtMs.get(family);
    return overAtMs !== undefined && overAtMs > this.#lostAtMs;
  }
}
