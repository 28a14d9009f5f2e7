import type { Absences } from './absences.js';
import type { Expect } from './expectation.js';
import type { At, CallEnded } from './observation.js';
import type { Arrived, Attributed, OverQuota, Permitted, Settled } from './upstream-observation.js';

export interface QuotaBounds {
  readonly limit: number;
  readonly windowMs: number;
  readonly reserve: number;
}

/** The part of the common calls that renewals leave to those who wait. */
const HEADROOM = 0.2;
/** What rounding to whole milliseconds may cost. */
const ROUNDING_MS = 3;

interface Call {
  readonly process: string;
  readonly upstream: string;
  readonly begunAtMs: number;
  readonly callMs: number;
  readonly isRefetch: boolean;
  /** Common calls that surely counted when it was permitted. */
  readonly before: number;
  /** Redis had just lost data. */
  readonly isExcused: boolean;
  /** What Redis knew of when it permitted the call. */
  readonly pause: Pause | undefined;
  /** Time of Redis until which it may have arrived. */
  untilRedisMs: number;
  /** The pause that its caller was asked for. */
  retryAfterMs: number;
  isSettled: boolean;
}

/** From when Redis knew of it, and until when it lasts. */
interface Pause {
  readonly upstream: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * The quota, at the counter of the provider: no stretch of a window's length holds more arrivals than the limit. Pauses that
 * Redis knows of are kept by whoever is permitted after. Renewals leave room to those who wait, and everybody leaves the
 * reserve to what is fetched again after a revocation; nobody is refused while there is room.
 */
export class CallBudget {
  readonly #absences: Absences;
  readonly #expect: Expect;
  readonly #quota: QuotaBounds | undefined;
  readonly #drift: number;
  readonly #calls = new Map<string, Call>();
  /** Those that may still count. */
  readonly #counting = new Map<string, Call>();
  /** The latest arrivals, as many as the limit, the oldest first. */
  readonly #arrivals: { readonly atMs: number; readonly call: Call }[] = [];
  #pause: Pause | undefined;
  #lostAtMs = Number.NEGATIVE_INFINITY;

  constructor(absences: Absences, expect: Expect, quota: QuotaBounds | undefined, drift: number) {
    this.#absences = absences;
    this.#expect = expect;
    this.#quota = quota;
    this.#drift = drift;
  }

  dataLost(atMs: number): void {
    this.#lostAtMs = atMs;
  }

  permitted({ permit, process, upstream, redisMs, callMs, isRefetch, atMs }: At<Permitted>): void {
    const known = this.#calls.get(permit);
    if (known !== undefined) {
      known.untilRedisMs = Math.max(known.untilRedisMs, redisMs + callMs);
      return;
    }
    const windowMs = this.#quota?.windowMs ?? 0;
    const isExcused = this.#lostAtMs >= atMs - windowMs - callMs;
    const before = this.#counted(redisMs + ROUNDING_MS, (one) => one.upstream === upstream && !one.isRefetch);
    const call = {
      ...{ process, upstream, begunAtMs: atMs, callMs, isRefetch, before, isExcused, pause: this.#pause },
      ...{ untilRedisMs: redisMs + callMs, retryAfterMs: 0, isSettled: false },
    };
    this.#calls.set(permit, call);
    if (this.#quota === undefined) return;
    this.#counting.set(permit, call);
    const common = this.#quota.limit - this.#quota.reserve;
    if (!isRefetch && !isExcused)
      this.#expect(
        'classes',
        before < common,
        () => `${permit} was permitted beyond the ${String(common)} common calls`,
      );
  }

  overQuota({ permit, upstream, redisMs, common, callMs, atMs }: At<OverQuota>): void {
    // Where the end of a call was lost, it counts for as long as it could have lasted.
    if (this.#calls.has(permit) || this.#lostAtMs >= atMs - (this.#quota?.windowMs ?? 0) - callMs) return;
    const counted = this.#counted(redisMs - ROUNDING_MS, (one) => one.upstream === upstream);
    this.#expect('quota', counted >= common, () => {
      return `${permit} was refused, although only ${String(counted)} of ${String(common)} calls count`;
    });
  }

  callEnded({ permit, retryAfterMs }: CallEnded): void {
    const call = permit === undefined ? undefined : this.#calls.get(permit);
    if (call !== undefined) call.retryAfterMs = retryAfterMs;
  }

  attributed({ permit, isRenewal }: Attributed): void {
    const call = this.#calls.get(permit);
    if (call === undefined || this.#quota === undefined || !isRenewal || call.isRefetch || call.isExcused) return;
    const common = this.#quota.limit - this.#quota.reserve;
    const most = common - (common > 1 ? Math.max(1, Math.floor(common * HEADROOM)) : 0);
    this.#expect('classes', call.before < most, () => {
      return `${permit} renewed a token, and left nothing of the ${String(common)} common calls to those who wait`;
    });
  }

  settled({ permit, redisMs, wasMade, atMs }: At<Settled>): void {
    const call = this.#calls.get(permit);
    if (call === undefined || call.isSettled) return;
    call.isSettled = true;
    // Told late, it counts anew: it may have arrived until now.
    if (wasMade && this.#quota !== undefined) this.#counting.set(permit, call);
    else this.#counting.delete(permit);
    call.untilRedisMs = redisMs;
    const untilMs = atMs + call.retryAfterMs * (1 - 2 * this.#drift) - ROUNDING_MS;
    if (call.retryAfterMs > 0 && untilMs > (this.#pause?.untilMs ?? 0))
      this.#pause = { upstream: call.upstream, fromMs: atMs, untilMs };
  }

  arrived({ permit = '', process, atMs }: At<Arrived>): void {
    const call = this.#calls.get(permit);
    this.#expect('quota', call !== undefined, () => `call ${permit} arrived, and no budget has permitted it`);
    if (call === undefined) return;
    this.#keepsPause(permit, call, atMs);
    if (this.#quota === undefined) return;
    if (atMs > call.begunAtMs + call.callMs * (1 + 2 * this.#drift) + ROUNDING_MS) {
      // A process that was stopped at that very moment cannot know; nobody counts with it.
      const wasAway = this.#absences.hasBeenAwaySince(process, call.begunAtMs);
      this.#expect('quota', wasAway, () => `call ${permit} arrived when its permit was over`);
      return;
    }
    const { limit, windowMs } = this.#quota;
    this.#arrivals.push({ atMs, call });
    if (this.#arrivals.length <= limit) return;
    // Redis has lost data since it permitted the first of them, or once its key of fingerprints: budgets have two names.
    const isExcused = this.#arrivals.some(
      (one) => one.call.begunAtMs <= this.#lostAtMs || one.call.upstream !== call.upstream,
    );
    const oldest = this.#arrivals.shift();
    if (oldest === undefined || isExcused) return;
    this.#expect('quota', atMs - oldest.atMs > windowMs * (1 - 2 * this.#drift) - ROUNDING_MS, () => {
      return `${String(limit + 1)} calls arrived within ${String(atMs - oldest.atMs)} ms`;
    });
  }

  #keepsPause(permit: string, call: Call, atMs: number): void {
    const { pause } = call;
    if (call.upstream !== pause?.upstream || this.#lostAtMs >= pause.fromMs) return;
    this.#expect('pause', atMs >= pause.untilMs, () => {
      return `call ${permit} arrived ${String(pause.untilMs - atMs)} ms before the end of a pause that Redis knew of since ${String(pause.fromMs)} ms`;
    });
  }

  /** Calls of the window before this time of Redis; those that can count for no later one are forgotten. */
  #counted(redisMs: number, isMeant: (call: Call) => boolean): number {
    const { windowMs = 0 } = this.#quota ?? {};
    let counted = 0;
    for (const [permit, call] of this.#counting) {
      if (call.untilRedisMs < redisMs - windowMs - 2 * ROUNDING_MS) this.#counting.delete(permit);
      else if (call.untilRedisMs >= redisMs - windowMs && isMeant(call)) counted++;
    }
    return counted;
  }
}
