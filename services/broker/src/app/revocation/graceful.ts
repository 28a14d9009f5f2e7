import { within, type Clock } from '@token-broker/foundation';
import { failure, type Failure, type GracefulOutcome, type TokenParameters } from '@token-broker/protocol';
import type { RecordContent } from '../../domain/record.js';
import { StoreError, type SlotAddress, type Store } from '../ports/store.js';
import type { Span } from '../ports/tracing.js';
import type { Source, Sources } from '../sources/sources.js';
import type { Held } from '../tokens/held.js';
import type { RecordCodec } from '../tokens/record-codec.js';
import { revocableOf } from '../upstream/take-back.js';
import { inTurns } from './in-turns.js';
import type { Doomed, DoomedToken } from './provider-revocation.js';
import type { RevocationTarget } from './revocation-order.js';
import type { FoundSlot } from './selection.js';

/** Successors that are fetched at once. */
const FETCHES_AT_ONCE = 16;
/** Failures that a reply tells one by one. */
const FAILURES_NAMED = 100;

/** What is renewed: a slot with what it was asked for. */
export interface Renewable {
  readonly source: Source;
  readonly address: SlotAddress;
  readonly parameters: TokenParameters;
}

export interface GracefulPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly sources: Sources;
  readonly codec: RecordCodec;
  /** A token above this generation, in the class of calls that replace what is revoked. */
  readonly renew: (
    slot: Renewable,
    above: number,
    asked: Span,
  ) => Promise<
    | { readonly kind: 'token'; readonly held: Held }
    | { readonly kind: 'failure'; readonly failure: Failure }
    | { readonly kind: 'elsewhere' }
  >;
}

/**
 * Fetches a successor for each slot. What comes back is what may be revoked then: everything up to the generation of before,
 * of the slots that have one, with the tokens of before. The others keep their tokens, and are told.
 */
export async function fetchSuccessors(
  ports: GracefulPorts,
  slots: readonly FoundSlot[],
  limitMs: number,
  asked: Span,
): Promise<{
  readonly targets: readonly RevocationTarget[];
  readonly doomed: Doomed;
  readonly outcome: GracefulOutcome;
}> {
  const untilMs = ports.clock.elapsedMs() + limitMs;
  const targets: RevocationTarget[] = [];
  const tokens: DoomedToken[] = [];
  const failures: GracefulOutcome['failures'] = [];
  await inTurns(slots, FETCHES_AT_ONCE, async ({ slot, source }) => {
    const leftMs = untilMs - ports.clock.elapsedMs();
    const ended = leftMs > 0 ? await within(ports.clock, leftMs, replaced(ports, slot, source, asked)) : undefined;
    const outcome =
      ended?.inTime === true
        ? ended.value
        : failure('DEADLINE', 'its successor was not there in time; the fetch goes on');
    if (outcome === undefined) return;
    if ('code' in outcome) failures.push({ source, slot, code: outcome.code, message: outcome.message });
    else {
      targets.push({ target: { kind: 'slot', slot }, upTo: outcome.generation });
      tokens.push(outcome);
    }
  });
  return {
    targets,
    doomed: { tokens, outOfReach: 0 },
    outcome: { replaced: targets.length, failed: failures.length, failures: failures.slice(0, FAILURES_NAMED) },
  };
}

/** A token that has a successor. */
interface Replaced extends DoomedToken {
  readonly generation: number;
}

/** The token that has a successor now; `undefined`: there is nothing to replace any more. */
async function replaced(
  ports: GracefulPorts,
  slot: string,
  name: string,
  asked: Span,
): Promise<Replaced | Failure | undefined> {
  const { store, sources, codec } = ports;
  const source = sources.source(name);
  if (source === undefined) return undefined;
  const address = sources.addressOfSlot(source, slot);
  try {
    const read = await store.read(address, sources.current.policy);
    if (read.kind === 'failed') return failure(read.code, read.message);
    if (read.kind === 'miss') return undefined;
    const opened = codec.open(address, read);
    if (!opened.ok) return failure('STORE_UNAVAILABLE', 'the stored token cannot be opened by this replica');
    return await replacedBy(ports, { source, address }, read.record.generation, opened.value, asked);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return failure('STORE_UNAVAILABLE', `Redis did not take the command ${error.command}`);
  }
}

async function replacedBy(
  { renew }: GracefulPorts,
  of: Omit<Renewable, 'parameters'>,
  generation: number,
  before: RecordContent,
  asked: Span,
): Promise<Replaced | Failure> {
  const { parameters } = before;
  if (parameters.subjectHash !== undefined)
    return failure(
      'BAD_REQUEST',
      'a token on behalf of somebody is fetched when its caller brings the subject token again',
    );
  const outcome = await renew({ ...of, parameters }, generation, asked);
  if (outcome.kind === 'failure') return outcome.failure;
  if (outcome.kind === 'elsewhere') return failure('DEADLINE', 'another replica is fetching it');
  // An identity provider that caches: to revoke the one would be to revoke the other.
  if (outcome.held.token.accessToken === before.token.accessToken)
    return failure('REVOKED', 'the identity provider returned the same token again');
  return { generation, source: of.source, ...revocableOf(before) };
}
