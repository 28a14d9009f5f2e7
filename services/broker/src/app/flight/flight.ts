import { delay, randomId } from '@token-broker/foundation';
import { failure } from '@token-broker/protocol';
import { fetchAndCommit } from './fetch-and-commit.js';
import {
  failed,
  outdated,
  pausedFailure,
  superseded,
  type FlightOutcome,
  type FlightPlan,
  type FlightPorts,
} from './flight-plan.js';
import type { Held } from '../tokens/held.js';
import type { NoticeListener } from '../cluster/notices.js';
import { StoreError, type Failed, type Hit, type ReserveRequest } from '../ports/store.js';
import { sendUntilAnswered } from '../upstream/send-until-answered.js';
import { takeRecord } from './take-record.js';

/** Without a notice, a waiter looks itself: first soon, then less and less often. */
const POLL_FIRST_MS = 250;
const POLL_MAX_MS = 1_000;
/** How often the world may have moved between two steps before a flight pauses: nothing is asked in a tight loop. */
const MOVES_WITHOUT_PAUSE = 3;
/** How long to wait for another's flight or a revocation to settle before giving up, in lives of the lock. */
const PATIENCE = 2.5;

/**
 * One flight: read, lock, re-read and claim, call, commit. The lock makes it efficient, the commit makes it right. It owns
 * its deadline, whoever waits for it; whatever goes wrong is an outcome, so that it never rejects.
 */
export async function fly(ports: FlightPorts, plan: FlightPlan): Promise<FlightOutcome> {
  // Opened before the lock is tried: a notice between "held" and the wait is not missed.
  const listener = ports.notices.listen(plan.address.slot);
  try {
    const outcome = await new Flight(ports, plan, listener).run();
    // What was heard before there was anything to compare it with.
    if (outcome.kind !== 'token' || !listener.heardOfLater(outcome.held)) return ended(plan, outcome);
    return ended(plan, { ...outcome, held: (await lookForLater(ports, plan)) ?? outcome.held });
  } catch (error) {
    const { source } = plan.address;
    if (error instanceof StoreError) {
      ports.log.warn('store: a flight could not use Redis', { source, reason: error.message });
      return ended(plan, failed(failure('STORE_UNAVAILABLE', `Redis did not take the command ${error.command}`)));
    }
    ports.log.error('flight: failed by a fault of the broker', { source, reason: String(error) });
    return ended(plan, failed(failure('INTERNAL', 'the broker failed while it fetched the token')));
  } finally {
    listener.close();
  }
}

function ended({ span }: FlightPlan, outcome: FlightOutcome): FlightOutcome {
  if (outcome.kind === 'token') span.set({ layer: outcome.layer, generation: outcome.held.generation });
  span.end(outcome.kind === 'token' ? 'ok' : outcome.kind === 'failure' ? outcome.failure.code : 'elsewhere');
  return outcome;
}

/** The token that another replica has committed meanwhile. `undefined`: it cannot be read now, and the one at hand is good. */
async function lookForLater(ports: FlightPorts, plan: FlightPlan): Promise<Held | undefined> {
  try {
    const read = await ports.store.read(plan.address, ports.sources.current.policy);
    const taken = read.kind === 'hit' ? takeRecord(ports, plan, read, plan.wantGreaterThan) : undefined;
    return taken?.kind === 'token' ? taken.held : undefined;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return undefined;
  }
}

function pausedBy({ code, message, remainingMs }: Failed): FlightOutcome {
  return failed(failure(code, message, remainingMs));
}

class Flight {
  readonly #ports: FlightPorts;
  readonly #plan: FlightPlan;
  readonly #listener: NoticeListener;
  readonly #deadlineMs: number;
  #want: number;
  #pollMs = POLL_FIRST_MS;
  #moves = 0;

  constructor(ports: FlightPorts, plan: FlightPlan, listener: NoticeListener) {
    this.#ports = ports;
    this.#plan = plan;
    this.#listener = listener;
    this.#want = plan.wantGreaterThan;
    this.#deadlineMs = ports.clock.elapsedMs() + PATIENCE * plan.source.configuration.lockTimeMs;
  }

  async run(): Promise<FlightOutcome> {
    while (this.#ports.clock.elapsedMs() < this.#deadlineMs) {
      const outcome = await this.#round();
      if (outcome === 'wait') {
        if (this.#plan.onlyIfFree) return { kind: 'elsewhere' };
        const failure = await this.#waitForOther();
        if (failure !== undefined) return failure;
      } else if (outcome !== undefined) return outcome;
      else if (++this.#moves > MOVES_WITHOUT_PAUSE) await delay(this.#ports.clock, POLL_FIRST_MS);
    }
    // The time may have passed while this process was suspended: what another has won meanwhile is still the answer.
    const { address } = this.#plan;
    const read = await this.#ports.store.read(address, this.#ports.sources.current.policy);
    const found = read.kind === 'hit' ? this.#take(read) : undefined;
    return found ?? failed(failure('DEADLINE', 'no replica finished fetching this token in time'));
  }

  /** One try from the read to the commit. `undefined`: the world has moved, try again. `wait`: another replica is at it. */
  async #round(): Promise<FlightOutcome | 'wait' | undefined> {
    const { store, locks, metrics, clock, sources, log } = this.#ports;
    const { address, source, span } = this.#plan;
    const read = await store.read(address, sources.current.policy);
    span.event('read', { outcome: read.kind });
    // During the pause after a failed call nobody calls: the failure is the answer.
    if (read.kind === 'failed') return pausedBy(read);
    const found = read.kind === 'hit' ? this.#take(read) : undefined;
    if (found !== undefined) return found;

    const startedAtMs = clock.elapsedMs();
    const lock = await locks.acquire(
      `${address.slot}:${String(read.floor)}`,
      address.partition,
      source.configuration.lockTimeMs,
    );
    metrics.lockWaited(lock.kind, clock.elapsedMs() - startedAtMs);
    span.event('lock', { outcome: lock.kind });
    if (lock.kind === 'held') return 'wait';
    // The claim itself keeps others out: a lock master that is away costs efficiency, not correctness.
    if (lock.kind === 'error')
      log.warn('lock: a master did not answer', { source: address.source, reason: lock.detail });
    const release = (): void => {
      if (lock.kind !== 'acquired') return;
      // Not awaited: nobody's answer depends on it.
      void lock.lock.release().then((ended) => {
        if (ended === 'lost') metrics.lockLost(source.configuration.name);
      });
    };
    let outcome: FlightOutcome | 'wait' | undefined;
    try {
      outcome = await this.#claim(read.floor);
    } catch (error) {
      release();
      throw error;
    }
    // With a token, who waits for this flight comes first; without one, the next may want the lock.
    if (typeof outcome === 'object' && outcome.kind === 'token') clock.startTimer(0, release);
    else release();
    return outcome;
  }

  async #claim(floor: number): Promise<FlightOutcome | 'wait' | undefined> {
    const { random, sources, clock, store } = this.#ports;
    const { address, source, span } = this.#plan;
    const policy = sources.policyFor(address);
    if (policy === undefined) return superseded();
    const attempt = randomId(random);
    const callMs = source.configuration.lockTimeMs;
    const request: ReserveRequest = { address, wantGreaterThan: this.#want, floor, attempt, callMs, policy };
    const reply = await sendUntilAnswered(clock, () => store.reserve(request));
    span.event('claim', { outcome: reply.kind, ...(reply.kind === 'go' ? { generation: reply.generation } : {}) });
    switch (reply.kind) {
      case 'hit':
        return this.#take(reply);
      case 'relock':
        return undefined;
      case 'busy':
        return 'wait';
      case 'failed':
        return pausedBy(reply);
      case 'paused':
        return failed(pausedFailure(address.source));
      case 'policy':
        return outdated();
      case 'go':
        // Suspended until the reservation was over: by now another may be calling.
        if (clock.elapsedMs() - reply.asOf.sentAtMs >= callMs) return undefined;
        return fetchAndCommit(this.#ports, this.#plan, {
          attempt,
          generation: reply.generation,
          asOf: reply.asOf,
          isRefetch: reply.isRefetch,
          floor,
          policy,
        });
    }
  }

  #take(hit: Hit): FlightOutcome | undefined {
    const taken = takeRecord(this.#ports, this.#plan, hit, this.#want);
    if (taken.kind === 'unreadable') this.#want = hit.record.generation;
    return taken.kind === 'unreadable' || taken.kind === 'stale' ? undefined : taken;
  }

  /** Waits for a word of the other replica. A failure of the same recipe is ours too; else look again. */
  async #waitForOther(): Promise<FlightOutcome | undefined> {
    const { clock, random } = this.#ports;
    const leftMs = Math.max(1, this.#deadlineMs - clock.elapsedMs());
    this.#plan.span.event('wait for another replica');
    const notice = await this.#listener.next(Math.min(leftMs, this.#pollMs * (0.75 + 0.5 * random.uniform())));
    if (notice === undefined) this.#pollMs = Math.min(POLL_MAX_MS, this.#pollMs * 2);
    if (notice?.outcome !== 'failed' || notice.recipe !== this.#plan.address.recipe) return undefined;
    const { code, message, retryAfterMs } = notice.error;
    return failed(failure(code, message, retryAfterMs));
  }
}
