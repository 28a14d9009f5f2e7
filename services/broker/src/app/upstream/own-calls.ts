import { backoffMs, type Clock, type Random, type Result } from '@token-broker/foundation';
import { failure, type Failure } from '@token-broker/protocol';
import { shareOf } from '../../domain/share.js';
import type { IssuedToken, ProviderFailure } from '../ports/provider.js';
import type { Source } from '../sources/sources.js';

/** Pauses after calls that failed in a row, while nobody can be told of them. */
const BACKOFF = { firstMs: 1_000, maxMs: 30_000 };

/** How a call ended; `not-made`: it was permitted, and then there was no time left for it. */
export type CallEnd = Result<IssuedToken, ProviderFailure> | 'not-made';

interface Call {
  /** Elapsed time until which it may have reached the provider. */
  arrivedByMs: number;
}

interface Upstream {
  readonly calls: Map<string, Call>;
  failures: number;
  pausedUntilMs: number;
  /** What the pause is for. */
  trouble: Pick<ProviderFailure, 'code' | 'message'> | undefined;
}

export interface OwnCallsPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly broker: string;
  /** The replicas that were there when Redis was last read, this one included. */
  readonly brokers: () => readonly string[];
}

/**
 * What this replica has called itself: all that it knows of a budget while Redis is away. Then each replica keeps to its
 * share of each limit. What the others called before that is not known: in the window in which Redis is lost, the limit may
 * be exceeded by it.
 */
export class OwnCalls {
  readonly #ports: OwnCallsPorts;
  readonly #upstreams = new Map<string, Upstream>();

  constructor(ports: OwnCallsPorts) {
    this.#ports = ports;
  }

  /** A call is about to be made, whoever allowed it. */
  begin(source: Source, call: string): void {
    const upstream = this.#of(source);
    this.#prune(source, upstream);
    upstream.calls.set(call, { arrivedByMs: this.#ports.clock.elapsedMs() + source.configuration.lockTimeMs });
  }

  end(source: Source, call: string, end: CallEnd): void {
    const { clock, random } = this.#ports;
    const upstream = this.#of(source);
    const nowMs = clock.elapsedMs();
    if (end === 'not-made') {
      upstream.calls.delete(call);
      return;
    }
    const made = upstream.calls.get(call);
    if (made !== undefined) made.arrivedByMs = nowMs;
    const isTrouble =
      !end.ok &&
      (end.error.refused === 'credential' ||
        ['QUOTA_EXHAUSTED', 'IDP_UNAVAILABLE', 'IDP_TIMEOUT'].includes(end.error.code));
    if (!isTrouble) {
      upstream.failures = 0;
      return;
    }
    upstream.failures++;
    upstream.trouble = end.error;
    const pauseMs = Math.max(end.error.retryAfterMs ?? 0, backoffMs(BACKOFF, upstream.failures, random.uniform()));
    upstream.pausedUntilMs = Math.max(upstream.pausedUntilMs, nowMs + pauseMs);
  }

  /** How long to wait for a call within this replica's share; 0: it may be made now. `undefined`: not without Redis. */
  waitMs(source: Source): number | undefined {
    const { clock, broker, brokers } = this.#ports;
    const upstream = this.#of(source);
    this.#prune(source, upstream);
    const nowMs = clock.elapsedMs();
    const replicas = [...new Set([...brokers(), broker])].sort();
    let waitMs = Math.max(0, upstream.pausedUntilMs - nowMs);
    for (const { limit, reserve, window } of source.quota) {
      // What a day or a month has had stands in Redis alone.
      if (window.kind === 'calendar') return undefined;
      const share = shareOf(limit - reserve, replicas.length, replicas.indexOf(broker));
      if (share === 0) return undefined;
      const counting = [...upstream.calls.values()]
        .map(({ arrivedByMs }) => arrivedByMs + window.ms - nowMs)
        .filter((leftMs) => leftMs >= 0)
        .sort((a, b) => b - a);
      // The call that must have left the window for one more to fit.
      waitMs = Math.max(waitMs, counting[share - 1] === undefined ? 0 : (counting[share - 1] ?? 0) + 1);
    }
    return waitMs;
  }

  /** Why calls pause, with the time that is left; `undefined`: they do not. */
  troubleOf(source: Source): Failure | undefined {
    const { trouble, pausedUntilMs } = this.#of(source);
    const leftMs = pausedUntilMs - this.#ports.clock.elapsedMs();
    return trouble === undefined || leftMs <= 0 ? undefined : failure(trouble.code, trouble.message, leftMs);
  }

  #of({ upstream }: Source): Upstream {
    const known = this.#upstreams.get(upstream);
    if (known !== undefined) return known;
    const fresh: Upstream = { calls: new Map<string, Call>(), failures: 0, pausedUntilMs: 0, trouble: undefined };
    this.#upstreams.set(upstream, fresh);
    return fresh;
  }

  #prune(source: Source, { calls }: Upstream): void {
    const longestMs = Math.max(0, ...source.quota.map(({ window }) => (window.kind === 'sliding' ? window.ms : 0)));
    const beforeMs = this.#ports.clock.elapsedMs() - longestMs;
    // In the order of their beginning, which is about that of their end: the first that counts ends the search.
    for (const [call, { arrivedByMs }] of calls) {
      if (arrivedByMs >= beforeMs) break;
      calls.delete(call);
    }
  }
}
