import { Absences } from './absences.js';
import { CallBudget, type QuotaBounds } from './call-budget.js';
import type { Expect } from './expectation.js';
import { Families } from './families.js';
import type { At, HandedOut, Issued, Observation } from './observation.js';
import { RefreshTokens } from './refresh-tokens.js';
import type { Arrived, Told } from './upstream-observation.js';

/** From the script that ends a family until the source is cut off, where nothing is wrong. */
const CUT_OFF_WITHIN_MS = 1_500;

export interface UpstreamBounds {
  readonly detectionMs: number;
  readonly drift: number;
  readonly graceMs: number;
  readonly quota: QuotaBounds | undefined;
}

/** What must hold of the calls of identity providers: each observation goes to those whom it concerns. */
export class UpstreamCalls {
  readonly #absences = new Absences();
  readonly #refreshTokens: RefreshTokens;
  readonly #families: Families;
  readonly #budget: CallBudget;
  /** By call: the provider's name of the family that it spends from. */
  readonly #spendsFrom = new Map<string, string>();

  constructor({ detectionMs, drift, graceMs, quota }: UpstreamBounds, expect: Expect) {
    this.#refreshTokens = new RefreshTokens(this.#absences, expect);
    this.#families = new Families(this.#absences, expect, { graceMs, withinMs: detectionMs + CUT_OFF_WITHIN_MS });
    this.#budget = new CallBudget(this.#absences, expect, quota, drift);
  }

  observe(observation: Observation): void {
    switch (observation.kind) {
      case 'call-ended':
        this.#refreshTokens.callEnded(observation);
        this.#budget.callEnded(observation);
        return;
      case 'committed':
        this.#refreshTokens.committed(observation);
        return;
      case 'data-set-replaced':
        if (observation.how === 'restart') return;
        this.#refreshTokens.dataLost(observation.atMs);
        this.#budget.dataLost(observation.atMs);
        return;
      case 'permitted':
        this.#budget.permitted(observation);
        return;
      case 'over-quota':
        this.#budget.overQuota(observation);
        return;
      case 'settled':
        this.#budget.settled(observation);
        return;
      case 'attributed':
        this.#budget.attributed(observation);
        return;
      case 'arrived':
        this.#arrived(observation);
        return;
      case 'intended':
        this.#refreshTokens.intended(observation);
        return;
      case 'waited':
        this.#refreshTokens.waited(observation);
        return;
      case 'telling':
        this.#refreshTokens.telling(observation);
        return;
      case 'told':
        this.#told(observation);
        return;
      case 'family-ended':
        this.#families.ended(observation);
        return;
      case 'left':
        this.#absences.left(observation.process);
        return;
      case 'returned':
        this.#absences.returned(observation.process, observation.atMs);
        return;
      default:
      // The rest is of the slots of tokens.
    }
  }

  handedOut(now: At<HandedOut>, issued: Issued): void {
    this.#families.handedOut(now, issued);
  }

  #arrived(now: At<Arrived>): void {
    if (now.permit !== undefined && now.family !== undefined) this.#spendsFrom.set(now.permit, now.family);
    this.#refreshTokens.arrived(now);
    this.#budget.arrived(now);
  }

  #told(now: At<Told>): void {
    this.#refreshTokens.told(now);
    const family = this.#spendsFrom.get(now.permit);
    if (now.outcome === 'exhausted' && family !== undefined) this.#families.found(family, now.process, now.atMs);
  }
}
