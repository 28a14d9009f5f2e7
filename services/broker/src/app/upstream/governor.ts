import { delay, type Clock, type Random } from '@token-broker/foundation';
import { failure, type Failure } from '@token-broker/protocol';
import { ceilingsFor, type CallClass } from '../../domain/call-class.js';
import { OwedWrites } from './owed-writes.js';
import type { CallEnd, OwnCalls } from './own-calls.js';
import { StoreError } from '../ports/store.js';
import type { Log, Metrics } from '../ports/telemetry.js';
import type { BudgetState, SettleRequest, UpstreamBudgets } from '../ports/upstream-budgets.js';
import { sendUntilAnswered } from './send-until-answered.js';
import type { Source } from '../sources/sources.js';

export interface GovernorPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly budgets: UpstreamBudgets;
  readonly ownCalls: OwnCalls;
  readonly log: Log;
  readonly metrics: Metrics;
}

/**
 * Asks the shared budget before each call of an upstream, and tells it how the call ended. What a replica learns from an
 * upstream — a pause, an outage, a refused client — holds for all replicas from their next call on.
 */
export class Governor {
  readonly #ports: GovernorPorts;
  readonly #settling = new Set<Promise<void>>();
  readonly #owed: OwedWrites;

  constructor(ports: GovernorPorts) {
    this.#ports = ports;
    this.#owed = new OwedWrites(ports.clock);
  }

  /** `undefined`: the call may be made, now. Rejects with a `StoreError` when Redis does not say. */
  async permit(source: Source, call: string, callClass: CallClass): Promise<Failure | undefined> {
    const { clock, budgets, ownCalls, metrics } = this.#ports;
    const { upstream, credential, quota, configuration, provider } = source;
    if (!provider.capabilities.callsUpstream) return undefined;
    const callMs = configuration.lockTimeMs;
    const request = { upstream, credential, call, callMs, ...ceilingsFor(quota, callClass) };
    const reply = await sendUntilAnswered(clock, () => budgets.permit(request));
    if (reply.kind === 'go') {
      ownCalls.begin(source, call);
      return undefined;
    }
    metrics.callRefused(configuration.name, callClass, reply.why);
    return failure(reply.code, reply.message, reply.retryAfterMs);
  }

  /** Not awaited by anybody who waits for a token: until it is told, the call counts as being under way. */
  settle(source: Source, call: string, end: CallEnd): void {
    if (!source.provider.capabilities.callsUpstream) return;
    const { clock, budgets, ownCalls, log } = this.#ports;
    ownCalls.end(source, call, end);
    const request = this.#settleRequest(source, call, end);
    // Behind what its flight sends next: the commit is what others wait for.
    const settling = delay(clock, 0)
      .then(() => sendUntilAnswered(clock, () => budgets.settle(request)))
      .catch((error: unknown) => {
        // Safe: it counts until it could have reached the provider at the latest. A pause is told by the next call.
        log.warn('quota: the end of a call could not be noted', {
          source: source.configuration.name,
          reason: error instanceof StoreError ? error.message : String(error),
        });
      })
      .finally(() => this.#settling.delete(settling));
    this.#settling.add(settling);
  }

  /** Without Redis: `undefined` when the call is within this replica's share of the budget. */
  permitAlone(source: Source, call: string): Failure | undefined {
    if (!source.provider.capabilities.callsUpstream) return undefined;
    const { ownCalls, metrics } = this.#ports;
    const waitMs = ownCalls.waitMs(source);
    const trouble = ownCalls.troubleOf(source);
    if (waitMs === 0) {
      ownCalls.begin(source, call);
      return undefined;
    }
    if (waitMs !== undefined && waitMs === trouble?.retryAfterMs) {
      metrics.callRefused(source.configuration.name, 'waiting', 'paused');
      return trouble;
    }
    metrics.callRefused(source.configuration.name, 'waiting', 'limit');
    return waitMs === undefined
      ? failure('STORE_UNAVAILABLE', 'what is left of the quota is not known without Redis')
      : failure('QUOTA_EXHAUSTED', "this replica's share of the quota is used up", waitMs);
  }

  /**
   * As {@link settle}; Redis is told when it is back, and counts the call from then. Not after its window has passed: it
   * would count where it does no more, and an outage would pile up what is owed.
   */
  settleAlone(source: Source, call: string, end: CallEnd): void {
    if (!source.provider.capabilities.callsUpstream) return;
    const { budgets, ownCalls } = this.#ports;
    const windowsMs = source.quota.map(({ window }) => (window.kind === 'sliding' ? window.ms : 0));
    ownCalls.end(source, call, end);
    const request = this.#settleRequest(source, call, end);
    const told = (): void => undefined;
    this.#owed.send(() => budgets.settle(request), told, Math.max(0, ...windowsMs)).catch(told);
  }

  #settleRequest(source: Source, call: string, end: CallEnd): SettleRequest {
    const { upstream, credential, quota } = source;
    const observed = end === 'not-made' ? undefined : end.ok ? end.value.observed : end.error.observed;
    return {
      ...{ upstream, credential, call, outcome: outcomeOf(end), uniform: this.#ports.random.uniform() },
      limits: ceilingsFor(quota, 'waiting').limits,
      ...(observed === undefined ? {} : { observed }),
    };
  }

  /** Resolves when every end that was told so far has been noted, or given up. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#settling);
  }

  state(source: Source): Promise<BudgetState> {
    const { upstream, credential, quota } = source;
    return this.#ports.budgets.state(upstream, credential, quota);
  }
}

function outcomeOf(end: CallEnd): SettleRequest['outcome'] {
  if (end === 'not-made') return { kind: 'not-made' };
  if (end.ok) return { kind: 'answered' };
  const { code, message, retryAfterMs: pauseMs = 0, refused } = end.error;
  if (refused === 'credential') return { kind: 'credential-refused', code, message };
  switch (code) {
    case 'QUOTA_EXHAUSTED':
      return { kind: 'throttled', pauseMs, message };
    case 'IDP_UNAVAILABLE':
    case 'IDP_TIMEOUT':
      return { kind: 'unavailable', code, message, pauseMs };
    default:
      return { kind: 'answered' };
  }
}
