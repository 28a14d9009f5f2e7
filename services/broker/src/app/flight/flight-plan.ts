import type { Clock, Random, Redacted } from '@token-broker/foundation';
import { failure, type Failure, type Timing, type TokenParameters } from '@token-broker/protocol';
import type { Governor } from '../upstream/governor.js';
import type { Held } from '../tokens/held.js';
import type { Memory } from '../memory/memory.js';
import type { Notices } from '../cluster/notices.js';
import type { Audit } from '../ports/audit.js';
import type { Locks } from '../ports/locks.js';
import type { SlotAddress, Store } from '../ports/store.js';
import type { CallReason, Layer, Log, Metrics } from '../ports/telemetry.js';
import type { Span, Tracing } from '../ports/tracing.js';
import type { Publisher } from '../cluster/publisher.js';
import type { RecordCodec } from '../tokens/record-codec.js';
import type { RefreshTokens } from '../upstream/refresh-tokens.js';
import type { Source, Sources } from '../sources/sources.js';

/** What a flight is for. */
export interface FlightPlan {
  readonly source: Source;
  readonly address: SlotAddress;
  readonly parameters: TokenParameters;
  /** A token above this generation is the answer; 0: any that counts. Refresh-ahead asks for more than it has. */
  readonly wantGreaterThan: number;
  readonly reason: CallReason;
  /** Leaves at once when another replica is at it. */
  readonly onlyIfFree: boolean;
  readonly wantedAtMs: number;
  /** Whose wish it is: who asked, or was the last to ask for the token that is renewed. */
  readonly caller?: string;
  /** Tokens that the caller gave, and that were found to be its own. Kept by nobody. */
  readonly subject?: SubjectTokens;
  /** Whom they name, kept with the token, so that it can be found by them. */
  readonly subjects?: readonly string[];
  /** Ends with the flight. */
  readonly span: Span;
}

export interface SubjectTokens {
  readonly subjectToken: Redacted;
  readonly actorToken?: Redacted;
}

export type FlightOutcome =
  | { readonly kind: 'token'; readonly held: Held; readonly layer: Layer }
  | { readonly kind: 'failure'; readonly failure: Failure }
  /** Only with `onlyIfFree`: another replica does it. */
  | { readonly kind: 'elsewhere' };

export interface FlightPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly locks: Locks;
  readonly sources: Sources;
  readonly memory: Memory;
  readonly notices: Notices;
  readonly publisher: Publisher;
  readonly codec: RecordCodec;
  readonly log: Log;
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly timing: Timing;
  readonly governor: Governor;
  readonly refreshTokens: RefreshTokens;
  /** The provider has ended a family of refresh tokens: its access tokens are dead there too, and must be here. */
  readonly onFamilyOver: (source: Source, family: string) => void;
  /** Keys the hashes of tokens. */
  readonly recipeKey: () => Uint8Array;
}

export function failed(cause: Failure): FlightOutcome {
  return { kind: 'failure', failure: cause };
}

/** The source was changed or removed by a reload: what began before must not write any more. */
export function superseded(): FlightOutcome {
  return failed(sourceChanged());
}

export function sourceChanged(): Failure {
  return failure('BROKER_UNAVAILABLE', 'the source was changed while its token was fetched', 0);
}

/** After how long it is tried again by those who try by themselves. */
const PAUSED_RETRY_MS = 5_000;

/** An operator wants no fetches of the source now. Nothing is noted for the slot: `resume` has an effect at once. */
export function pausedFailure(source: string): Failure {
  return failure(
    'PAUSED',
    `the source "${source}" is paused: what is held goes on, nothing is fetched`,
    PAUSED_RETRY_MS,
  );
}

/** This replica is behind a reload that others have made: it must not write, another replica can. */
export function outdated(): FlightOutcome {
  return failed(
    failure('BROKER_UNAVAILABLE', 'this replica runs an older configuration of the source than the cluster', 1_000),
  );
}
