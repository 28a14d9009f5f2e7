import { encode, LIMITS, type GetRequest } from '@token-broker/protocol';
import { bodyOf, type SlotState } from './near-cache/slot-state.js';

const EMPTY = new Uint8Array(0);

/** What a caller wants beyond the token of the slot. */
export interface FetchWish {
  readonly minTtlMs?: number;
  /** Raises the deadline of the fetch above the client's `requestTimeoutMs`. */
  readonly timeoutMs?: number;
  /** Nobody waits for it. */
  readonly isBackground?: boolean;
}

/** The last body that spoke of nothing but this least life: the callers of a service wish the same, as a rule. */
let ofLeastLife: { readonly minTtlMs: number; readonly body: Uint8Array } | undefined;

/**
 * The body of a request. Empty, as a rule: a broker answers that without parsing anything. What this client knows of is told
 * when the last answer did not have it, or the answer to this request was refused (`again`).
 */
export function requestBody(state: SlotState, wish: FetchWish, again: boolean): Uint8Array {
  const { parameters, greatestGeneration } = state;
  const partition = state.cohort?.partition;
  const tellsPosition = partition !== undefined && (again || partition.heard > partition.repliedAsOf);
  const tellsGeneration = greatestGeneration > 0 && (again || greatestGeneration > state.takenGeneration);
  const { minTtlMs, timeoutMs } = wish;
  if (!tellsPosition && !tellsGeneration && timeoutMs === undefined && !state.hasParameters) {
    if (minTtlMs === undefined) return EMPTY;
    if (ofLeastLife?.minTtlMs !== minTtlMs)
      ofLeastLife = { minTtlMs, body: encode({ minTtlMs: Math.ceil(minTtlMs) } satisfies GetRequest) };
    return ofLeastLife.body;
  }
  const { scope, audience, resource, subjectToken, actorToken } = bodyOf(parameters);
  // One literal, whose absent fields JSON leaves out: objects that are spread into it cost more than all the rest.
  return encode({
    scope,
    audience,
    resource,
    subjectToken,
    actorToken,
    minTtlMs: minTtlMs === undefined ? undefined : Math.ceil(minTtlMs),
    deadlineMs: timeoutMs === undefined ? undefined : Math.min(LIMITS.deadlineMs, Math.ceil(timeoutMs)),
    after: tellsPosition ? { epoch: partition.epoch, vseq: partition.heard } : undefined,
    minGeneration: tellsGeneration ? greatestGeneration : undefined,
  } satisfies GetRequest);
}
