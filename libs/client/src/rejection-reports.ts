import { SingleFlight, type Clock } from '@token-broker/foundation';
import {
  encode,
  rejectedReplySchema,
  type RejectedReply,
  type RejectedRequest,
  type Subjects,
} from '@token-broker/protocol';
import { rejectGeneration } from './near-cache/invalidations.js';
import type { NearCache } from './near-cache/near-cache.js';
import { bodyOf, type SlotState } from './near-cache/slot-state.js';
import { readReply } from './read-reply.js';
import type { Requester } from './requester.js';
import type { Token } from './token.js';

/** `dropped` and `stale`: the token is not used any more. `limited`: nothing was done; try again later. */
export type ReportOutcome = RejectedReply['outcome'];

export interface RejectionReportsOptions {
  readonly clock: Clock;
  readonly requester: Requester;
  readonly subjects: Subjects;
  readonly caller: string;
  readonly cache: NearCache;
  readonly requestTimeoutMs: number;
}

/** Tells brokers of tokens that a resource server refused: one report of a generation is in the air at a time. */
export class RejectionReports {
  readonly #options: RejectionReportsOptions;
  readonly #reports = new SingleFlight<ReportOutcome>();

  constructor(options: RejectionReportsOptions) {
    this.#options = options;
  }

  report(state: SlotState, token: Token): Promise<ReportOutcome> {
    const key = [state.slot, token.epoch, token.generation].map(String).join(' ');
    return this.#reports.join(key, () => this.#send(state, token));
  }

  async #send(state: SlotState, token: Token): Promise<ReportOutcome> {
    const { clock, requester, subjects, caller, cache, requestTimeoutMs } = this.#options;
    const { epoch, generation } = token;
    const request: RejectedRequest = { ...bodyOf(state.parameters), epoch, generation };
    const data = await requester.request(subjects.rejected(caller, state.source), encode(request), requestTimeoutMs);
    const { outcome } = readReply(rejectedReplySchema, data);
    if (outcome !== 'limited') rejectGeneration(cache, state, token, clock.elapsedMs());
    return outcome;
  }
}
