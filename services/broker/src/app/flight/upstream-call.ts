import { failure, type Failure, type TokenParameters } from '@token-broker/protocol';
import type { Result } from '@token-broker/foundation';
import type { CallClass } from '../../domain/call-class.js';
import type { TraceContext } from '../../domain/trace-context.js';
import { sourceChanged, type FlightPlan, type FlightPorts, type SubjectTokens } from './flight-plan.js';
import type { IssuedToken, ProviderFailure, ProviderRequest } from '../ports/provider.js';
import type { AsOf } from '../ports/store.js';
import type { CallReason } from '../ports/telemetry.js';
import type { Tracing } from '../ports/tracing.js';
import type { Spent } from '../upstream/refresh-tokens.js';
import type { Source } from '../sources/sources.js';

/** A claimed generation: the right, and the duty, to call the identity provider once. */
export interface Reservation {
  readonly attempt: string;
  readonly generation: number;
  readonly asOf: AsOf;
  /** It takes the place of a token that died before its time. */
  readonly isRefetch: boolean;
  /** The floor that the lock was named by. */
  readonly floor: number;
  /** The configuration version that it was made under. */
  readonly policy: number;
}

export type UpstreamCall =
  | { readonly kind: 'issued'; readonly issued: IssuedToken }
  /** The provider was called, and gave none. */
  | { readonly kind: 'failed'; readonly failure: ProviderFailure }
  /** It was not called, or its answer says nothing about this slot: nothing is noted for the slot. */
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** As `refused`, for a reason that is this replica's own: another one may well call. */
  | { readonly kind: 'unable'; readonly failure: Failure }
  /** Another flight spends the source's refresh token. */
  | { readonly kind: 'wait' }
  /**
   * The refresh token was replaced while it was spent: what came back belongs to another than the current one. That one
   * deserves a call of its own, with a claim and the time of its own.
   */
  | { readonly kind: 'again' };

/**
 * One call of the provider, with what must surround it: the refresh token is taken from the journal before and its
 * successor is there after; the budget is asked before and told after.
 */
export async function callUpstream(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
): Promise<UpstreamCall> {
  const { source, parameters } = plan;
  const request = requestOf(source, parameters, plan.subject);
  if (!source.provider.capabilities.mayRotate) {
    return callOf(await permitAndFetch(ports, plan, reservation, request));
  }
  return spendAndFetch(ports, plan, reservation, request);
}

async function spendAndFetch(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
  request: ProviderRequest,
): Promise<UpstreamCall> {
  const { refreshTokens } = ports;
  const { source } = plan;
  const call = reservation.attempt;
  const spend = await refreshTokens.spend(source, call, source.configuration.lockTimeMs);
  switch (spend.kind) {
    case 'busy':
      return { kind: 'wait' };
    case 'missing':
      return reauthorise(source, 'has no refresh token yet');
    case 'exhausted':
      // Whoever found it out may have died before the tokens did.
      ports.onFamilyOver(source, spend.family);
      return reauthorise(source, 'needs a new refresh token: the identity provider refuses the one that it had');
    case 'unreadable':
      return {
        kind: 'unable',
        failure: failure('STORE_UNAVAILABLE', 'the refresh token in Redis cannot be opened by this replica'),
      };
    case 'spend':
  }
  let fetched: Fetched;
  try {
    fetched = await permitAndFetch(ports, plan, reservation, { ...request, refreshToken: spend.token });
  } catch (error) {
    await refreshTokens.release(source, call);
    throw error;
  }
  if (fetched.kind !== 'fetched') {
    await refreshTokens.release(source, call);
    return fetched;
  }
  return conclude(ports, source, call, spend.spent, spend.token, fetched.end);
}

/** The journal first: a successor that is lost is a family that is lost. */
async function conclude(
  ports: FlightPorts,
  source: Source,
  call: string,
  spent: Spent,
  token: NonNullable<ProviderRequest['refreshToken']>,
  end: Result<IssuedToken, ProviderFailure>,
): Promise<UpstreamCall> {
  const { refreshTokens, audit } = ports;
  const successor = end.ok ? end.value.refreshToken : end.error.refreshToken;
  if (end.ok || successor !== undefined) {
    const outcome =
      successor === undefined
        ? await refreshTokens.keep(source, call, spent, token)
        : await refreshTokens.succeed(source, call, spent, successor);
    return outcome === 'replaced' ? { kind: 'again' } : callOf({ kind: 'fetched', end });
  }
  if (end.error.refused === 'refresh-token') {
    if ((await refreshTokens.exhaust(source, call, spent)) === 'moved') return { kind: 'again' };
    audit.note({
      event: 'refresh-token.refused',
      by: 'token-broker',
      source: source.configuration.name,
      result: 'refused',
      facts: { detail: end.error.detail },
    });
    ports.onFamilyOver(source, spent.family);
    return reauthorise(source, 'needs a new refresh token: the identity provider refuses the one that it had');
  }
  await refreshTokens.release(source, call);
  return callOf({ kind: 'fetched', end });
}

type Fetched =
  | { readonly kind: 'fetched'; readonly end: Result<IssuedToken, ProviderFailure> }
  | { readonly kind: 'refused' | 'unable'; readonly failure: Failure };

async function permitAndFetch(
  ports: FlightPorts,
  plan: FlightPlan,
  reservation: Reservation,
  request: ProviderRequest,
): Promise<Fetched> {
  const { clock, governor, metrics, sources, tracing } = ports;
  const call = reservation.attempt;
  const { source, address, caller } = plan;
  const { lockTimeMs, timeoutMs } = source.configuration;
  const askedAtMs = clock.elapsedMs();
  const refused = await governor.permit(source, call, classOf(plan, reservation));
  if (refused !== undefined) {
    plan.span.event('budget refused', { code: refused.code });
    return { kind: 'refused', failure: refused };
  }
  const startedAtMs = clock.elapsedMs();
  // A process that was suspended until here would call when the permit and the reservation have ended for all others.
  if (startedAtMs - Math.min(askedAtMs, reservation.asOf.sentAtMs) > lockTimeMs - timeoutMs) {
    governor.settle(source, call, 'not-made');
    return { kind: 'unable', failure: failure('BROKER_UNAVAILABLE', 'this replica was too slow to fetch it', 0) };
  }
  // A reload since the flight began: the old provider is closed, and its failure would count against the upstream.
  const current = sources.source(address.source);
  if (current?.recipe !== address.recipe) {
    governor.settle(source, call, 'not-made');
    return { kind: 'unable', failure: sourceChanged() };
  }
  const reason = reasonOf(plan, reservation);
  const end = await fetchTraced(tracing, current, request, reason, plan.span.context);
  governor.settle(source, call, end);
  const outcome = end.ok ? 'ok' : end.error.code;
  if (current.provider.capabilities.callsUpstream)
    metrics.idpCalled(address.source, reason, outcome, clock.elapsedMs() - startedAtMs, caller);
  return { kind: 'fetched', end };
}

function callOf(fetched: Fetched): UpstreamCall {
  if (fetched.kind !== 'fetched') return fetched;
  const { end } = fetched;
  return end.ok ? { kind: 'issued', issued: end.value } : { kind: 'failed', failure: end.error };
}

function reauthorise(source: Source, why: string): UpstreamCall {
  const { name } = source.configuration;
  return { kind: 'refused', failure: failure('REAUTH_REQUIRED', `the source "${name}" ${why}`) };
}

function classOf({ onlyIfFree, reason }: FlightPlan, { isRefetch }: Reservation): CallClass {
  // Fetched before what it takes the place of is revoked: callers have that one until then.
  if (reason === 'revoked') return 'refetch';
  if (onlyIfFree) return isRefetch ? 'refetch' : 'refresh-ahead';
  return isRefetch ? 'waiting-refetch' : 'waiting';
}

function reasonOf({ reason }: FlightPlan, { isRefetch }: Reservation): CallReason {
  return reason === 'miss' && isRefetch ? 'revoked' : reason;
}

/**
 * The one token request, as a part of a trace. The provider is told nothing of it: what services do and when is nothing that
 * others need to learn from a header.
 */
export async function fetchTraced(
  tracing: Tracing,
  { configuration: { name: source, provider }, provider: upstream }: Source,
  request: ProviderRequest,
  reason: CallReason,
  within: TraceContext | undefined,
): Promise<Result<IssuedToken, ProviderFailure>> {
  const span = tracing.start('idp call', within, { source, provider, reason });
  try {
    const end = await upstream.fetch(request);
    if (end.ok) span.set({ life_ms: end.value.lifeMs });
    span.end(end.ok ? 'ok' : end.error.code);
    return end;
  } catch (error) {
    span.end('INTERNAL');
    throw error;
  }
}

/** What the provider is asked for. */
export function requestOf(
  source: Source,
  parameters: TokenParameters,
  subject: SubjectTokens | undefined,
): ProviderRequest {
  const own = source.configuration;
  const audience = parameters.audience ?? own.audience;
  const resource = parameters.resource ?? own.resource;
  return {
    scopes: parameters.scopes ?? own.scopes,
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
    ...subject,
  };
}
