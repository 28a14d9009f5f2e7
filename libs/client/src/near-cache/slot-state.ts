import type { Redacted } from '@token-broker/foundation';
import type { Token } from '../token.js';
import type { Cohort } from './cohort.js';
import { isAlive, type Entry } from './entry.js';
import type { Anchor } from './lifetime.js';

/** What a request says beside the name of the source. */
export interface RequestParameters {
  readonly scope?: readonly string[];
  readonly audience?: string;
  readonly resource?: string;
  /** On whose behalf. It is kept for as long as a handle or the near cache holds the slot, since each request names it. */
  readonly subjectToken?: Redacted;
  readonly actorToken?: Redacted;
}

/** The parameters as the fields of a request's body: the only place where the tokens of a subject are revealed. */
export function bodyOf({ scope, audience, resource, subjectToken, actorToken }: RequestParameters): {
  scope: string[] | undefined;
  audience: string | undefined;
  resource: string | undefined;
  subjectToken: string | undefined;
  actorToken: string | undefined;
} {
  return {
    scope: scope === undefined ? undefined : [...scope],
    audience,
    resource,
    subjectToken: subjectToken?.reveal(),
    actorToken: actorToken?.reveal(),
  };
}

/** The key that opens the pushed tokens of a slot. */
export interface ChannelKey {
  readonly version: number;
  /** As it came, in base64url: most of them are replaced before a push is opened with them. */
  readonly key: string;
}

/** The user that a token names; most name none. */
export interface UserOfToken {
  readonly name: string | undefined;
}

const NOBODY: UserOfToken = { name: undefined };

export function userOf({ username }: Pick<Token, 'username'>): UserOfToken {
  return username === undefined ? NOBODY : { name: username };
}

/** All that is known of one slot. Handles share it, and hold it, so that the hot path builds no key. */
export interface SlotState {
  readonly source: string;
  readonly slot: string;
  readonly parameters: RequestParameters;
  /** Requests say something of it beside its source. */
  readonly hasParameters: boolean;
  /** Whoever hands it out looks first whether its {@link Cohort} has ended, or asks `NearCache.entryOf`. */
  entry: Entry | undefined;
  /** A token of it was taken at some time. */
  wasTaken: boolean;
  /** Whose the last token was that somebody was given: what was made with it is that user's. */
  user: UserOfToken | undefined;
  /** `undefined` until a reply has named its partition. */
  cohort: Cohort<SlotState> | undefined;
  channel: ChannelKey | undefined;
  /** Set by the last reply. */
  anchor: Anchor | undefined;
  /** The greatest (epoch, generation) heard of, taken or not. */
  greatestEpoch: number;
  greatestGeneration: number;
  /** The generation that was last taken, in `greatestEpoch`. */
  takenGeneration: number;
  /** The last generation whose end listeners were told of. */
  announcedGeneration: number;
  lastUsedAtMs: number;
  readonly attachedAtMs: number;
  /** What it costs beside its token: the tokens of its subject. */
  readonly parameterBytes: number;
  /** In the map of the near cache; otherwise a handle must ask for it anew. */
  attached: boolean;
  /** The fetch in the air. */
  flight: Promise<Token> | undefined;
}

export function createSlotState(source: string, slot: string, parameters: RequestParameters, nowMs: number): SlotState {
  return {
    source,
    slot,
    parameters,
    hasParameters: Object.values(parameters).some((value) => value !== undefined),
    entry: undefined,
    wasTaken: false,
    user: undefined,
    cohort: undefined,
    channel: undefined,
    anchor: undefined,
    greatestEpoch: 0,
    greatestGeneration: 0,
    takenGeneration: 0,
    announcedGeneration: 0,
    lastUsedAtMs: Number.NEGATIVE_INFINITY,
    attachedAtMs: nowMs,
    parameterBytes: (parameters.subjectToken?.reveal().length ?? 0) + (parameters.actorToken?.reveal().length ?? 0),
    attached: true,
    flight: undefined,
  };
}

/** A slot that nobody has used for so long is forgotten; its handle works on, and begins anew. */
const IDLE_MS = 900_000;
/**
 * The same for a slot on somebody's behalf that holds no good token any more: subjects come and go by the thousand, and
 * their tokens do not last. Longer than a usual request, so that a slot that waits for its first token is not forgotten.
 */
const IDLE_SUBJECT_MS = 60_000;

/** Whether a slot need not be kept in mind any longer. */
export function isSpent(state: SlotState, nowMs: number): boolean {
  const idleMs = nowMs - Math.max(state.lastUsedAtMs, state.attachedAtMs);
  if (idleMs > IDLE_MS) return true;
  const { entry, parameters } = state;
  if (parameters.subjectToken === undefined || (entry !== undefined && isAlive(entry, nowMs))) return false;
  return idleMs > IDLE_SUBJECT_MS;
}

/** The part of the state that belongs to one epoch starts anew when a greater one is heard of. */
export function noticeGeneration(state: SlotState, epoch: number, generation: number): void {
  if (epoch < state.greatestEpoch) return;
  if (epoch > state.greatestEpoch) {
    state.greatestEpoch = epoch;
    state.greatestGeneration = 0;
    state.takenGeneration = 0;
    state.announcedGeneration = 0;
  }
  state.greatestGeneration = Math.max(state.greatestGeneration, generation);
}
