import { delay } from '@token-broker/foundation';
import { failure, type Failure } from '@token-broker/protocol';
import { minimumRemainingMs } from '../../domain/lifetime.js';
import type { RecordContent } from '../../domain/record.js';
import { tokenHashOf } from '../../domain/recipe.js';
import { failed, outdated, type FlightOutcome, type FlightPlan, type FlightPorts } from './flight-plan.js';
import { Held } from '../tokens/held.js';
import { tokenOf } from '../tokens/issued.js';
import type { IssuedToken } from '../ports/provider.js';
import { StoreError, type CommitReply, type CommitRequest } from '../ports/store.js';
import { sendUntilAnswered } from '../upstream/send-until-answered.js';
import { takeBack } from '../upstream/take-back.js';
import { takeRecord } from './take-record.js';
import { callUpstream, type Reservation, type UpstreamCall } from './upstream-call.js';

/** Pauses after failures in a row, shared by all replicas. */
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;

/**
 * Calls the identity provider, and commits what it says. `undefined`: refused by the store, read again. `wait`: another
 * flight spends what this one needs.
 */
export async function fetchAndCommit(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
): Promise<FlightOutcome | 'wait' | undefined> {
  let called: UpstreamCall;
  let channelCandidate: Uint8Array;
  try {
    const calling = callUpstream(ports, plan, reservation);
    // Made while others work, not when all wait for the commit.
    channelCandidate = ports.codec.newChannel(plan.address, reservation.asOf.epoch, reservation.generation);
    called = await calling;
  } catch (error) {
    await giveBack(ports, plan, reservation);
    throw error;
  }
  switch (called.kind) {
    case 'issued':
      return commit(ports, plan, reservation, called.issued, channelCandidate);
    case 'failed': {
      const { code, message, detail, retryAfterMs } = called.failure;
      ports.log.warn('idp: no token', { source: plan.address.source, code, detail });
      return fail(ports, plan, reservation, failure(code, message, retryAfterMs));
    }
    case 'refused':
      await giveBack(ports, plan, reservation);
      // Those who wait for this flight would be told the same; a renewal may be refused what they are not.
      if (!plan.onlyIfFree) ports.publisher.flightFailed(plan.address, reservation.floor, called.failure);
      return failed(called.failure);
    case 'unable':
      await giveBack(ports, plan, reservation);
      return failed(called.failure);
    case 'wait':
      await giveBack(ports, plan, reservation);
      return 'wait';
    case 'again':
      await giveBack(ports, plan, reservation);
      return undefined;
  }
}

/** Best effort: a reservation that is not given back runs out. */
async function giveBack({ store }: FlightPorts, { address }: FlightPlan, { attempt }: Reservation): Promise<void> {
  try {
    await store.abandon(address, attempt);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

async function commit(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
  issued: IssuedToken,
  channelCandidate: Uint8Array,
): Promise<FlightOutcome | undefined> {
  const { clock, codec, memory, publisher, metrics, log } = ports;
  const { address } = plan;
  const content = contentOf(plan, reservation, issued);
  const request = commitRequest(ports, plan, reservation, content, channelCandidate);
  const reply = await sendUntilAnswered(clock, () => ports.store.commit(request));
  plan.span.event('commit', { outcome: reply.kind, generation: reservation.generation });
  if (reply.kind !== 'ok') {
    metrics.commitRefused(reply.kind);
    log.info('flight: the commit was refused', { source: address.source, why: reply.kind });
    return refused(ports, plan, reservation, issued, reply.kind);
  }
  const channel = codec.openChannel(address, reply.asOf.epoch, reply.channel);
  const { generation, asOf } = reply;
  const held = new Held(
    {
      address,
      ...content,
      generation,
      expiresAtMs: request.expiresAtMs,
      asOf,
      ...(channel === undefined ? {} : { channel }),
    },
    ports.timing,
    plan.wantedAtMs,
    plan.caller,
  );
  const tellNearCaches = (): void => {
    publisher.refreshed(held, channel);
  };
  // Whom a flight has kept waiting comes before whoever holds an older token and could ask. A renewal is for the latter.
  if (plan.onlyIfFree) tellNearCaches();
  else clock.startTimer(0, tellNearCaches);
  publisher.flightCommitted(held);
  // Revoked between the commit and here: what was committed must not be answered with.
  if (!memory.accepts(address.partition, asOf)) return undefined;
  return { kind: 'token', held: memory.put(held), layer: 'flight' };
}

async function refused(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
  issued: IssuedToken,
  why: Exclude<CommitReply['kind'], 'ok'>,
): Promise<FlightOutcome | undefined> {
  switch (why) {
    case 'dead':
      takeBackDead(ports, plan, issued);
      return undefined;
    case 'epoch':
    case 'lost':
      return undefined;
    case 'policy':
      return outdated();
    case 'expired':
      return fail(ports, plan, reservation, failure('IDP_PROTOCOL', 'the token came too late to be of use'));
    case 'replayed':
      return replayed(ports, plan, reservation);
  }
}

/** The upstream has brought again what was revoked. One that does so for a moment is asked again after it. */
async function replayed(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
): Promise<FlightOutcome | undefined> {
  const { repeatsWithinMs } = plan.source.provider.capabilities;
  if (repeatsWithinMs === undefined) {
    const cause = failure('REVOKED', 'the identity provider returned the token that was revoked');
    return fail(ports, plan, reservation, cause);
  }
  await giveBack(ports, plan, reservation);
  await delay(ports.clock, repeatsWithinMs);
  return undefined;
}

/**
 * Nobody has seen a token that was revoked before it was committed, and nobody must: the provider takes it back where it
 * can. Only this refusal is sure that no replica uses it.
 */
function takeBackDead(ports: FlightPorts, plan: FlightPlan, issued: IssuedToken): void {
  const { clock, random, log } = ports;
  const { source } = plan.address;
  void takeBack({ clock, random }, plan.source.provider, issued).then((outcome) => {
    if (outcome === 'failed') log.warn('idp: a token that was revoked in flight could not be taken back', { source });
  });
}

/** Ends the reservation with a failure, for all replicas: with a pause, and a word to those who wait. */
async function fail(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
  cause: Failure,
): Promise<FlightOutcome> {
  const { store, publisher, random } = ports;
  const { address } = plan;
  let pauseMs: number | undefined = cause.retryAfterMs ?? 0;
  try {
    pauseMs = await store.fail({
      address,
      attempt: reservation.attempt,
      code: cause.code,
      message: cause.message,
      retryAfterMs: pauseMs,
      backoffFirstMs: BACKOFF_FIRST_MS,
      backoffMaxMs: BACKOFF_MAX_MS,
      uniform: random.uniform(),
    });
  } catch (error) {
    // The pause is lost with the store; the failure itself is not.
    if (!(error instanceof StoreError)) throw error;
  }
  if (pauseMs === undefined) return overtaken(ports, plan, reservation, cause);
  const answer = failure(cause.code, cause.message, pauseMs);
  publisher.flightFailed(address, reservation.floor, answer);
  return failed(answer);
}

/**
 * This replica was too slow, or suspended: others have gone on without it. Its failure is theirs no more, and a token that
 * counts by now is the answer. One look, and no second call for the same request.
 */
async function overtaken(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
  cause: Failure,
): Promise<FlightOutcome> {
  const read = await ports.store.read(plan.address, reservation.policy);
  const taken = read.kind === 'hit' ? takeRecord(ports, plan, read, plan.wantGreaterThan) : undefined;
  return taken?.kind === 'token' ? taken : failed(cause);
}

function commitRequest(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
  content: RecordContent,
  channelCandidate: Uint8Array,
): CommitRequest {
  const { codec, timing, recipeKey } = ports;
  const { address } = plan;
  const { generation, attempt } = reservation;
  const { epoch } = reservation.asOf;
  const { expiresAtMs } = content;
  return {
    address,
    attempt,
    epoch,
    generation,
    expiresAtMs,
    usableUntilMs: expiresAtMs - minimumRemainingMs(timing.minLifetimeMs, content.lifeMs),
    sealed: codec.seal(address, epoch, generation, content),
    tokenHash: tokenHashOf(recipeKey(), content.token.accessToken),
    isConfigured: !plan.source.provider.capabilities.callsUpstream,
    policy: reservation.policy,
    channelCandidate,
    sealedBy: codec.sealsBy,
  };
}

function contentOf(plan: FlightPlan, reservation: Reservation, issued: IssuedToken): RecordContent {
  const { lifeMs, revocationHandle } = issued;
  const token = tokenOf(issued);
  // Redis read its clock before the identity provider was called: the true expiry is never earlier than this.
  const expiresAtMs = Math.floor(reservation.asOf.redisMs + lifeMs);
  const { parameters, subjects } = plan;
  return {
    token,
    lifeMs,
    expiresAtMs,
    parameters,
    ...(subjects === undefined ? {} : { subjects }),
    ...(revocationHandle === undefined ? {} : { revocationHandle: revocationHandle.reveal() }),
  };
}
