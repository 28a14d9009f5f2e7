import type {
  BudgetScripts,
  IssuedToken,
  JournalScripts,
  Metrics,
  ProviderFailure,
  RefreshTokenJournal,
  UpstreamBudgets,
} from '@token-broker/broker/simulation';
import type { Result } from '@token-broker/foundation';
import type { EventLoop, SimulatedProcess } from '@token-broker/testing';
import type { Seen } from '../checker/observation.js';
import type { Order } from '../checker/order.js';
import type { Heard } from '../checker/upstream-observation.js';
import type { CallWatch, WatchedCall } from './identity-provider.js';
import type { Point } from '../faults/points.js';
import type { RedisServer } from './redis-server.js';

/** What it looks at, and whom it tells where the world can be struck. */
interface Watched {
  readonly loop: EventLoop;
  readonly redis: RedisServer;
  pass(point: Point, process: SimulatedProcess | undefined): void;
}

/** A claim of a slot's next generation. */
export interface Claim extends Order {
  readonly slot: string;
  readonly recipe: string;
  readonly isRefetch: boolean;
}

type Tell = (process: SimulatedProcess | undefined, seen: Seen) => void;

/** Sees what brokers owe to an identity provider: claims, permits, refresh tokens, calls. It changes nothing. */
export class UpstreamObserver implements CallWatch {
  readonly #world: Watched;
  readonly #tell: Tell;
  readonly #claims = new Map<string, Claim>();
  /** By process: the call that it was permitted last, which it makes before it does anything else. */
  readonly #permits = new Map<string, string>();
  /** By process: the call whose end it has just heard. */
  readonly #ended = new Map<string, string>();
  /** By family of the journal: when an operator began it. */
  readonly #seededAtMs = new Map<string, number>();
  #calls = 0;
  /** Families that were found to be over. */
  ends = 0;

  constructor(world: Watched, tell: Tell) {
    this.#world = world;
    this.#tell = tell;
  }

  claimed(attempt: string, claim: Claim): void {
    this.#claims.set(attempt, claim);
  }

  givenBack(attempt: string, process: SimulatedProcess): void {
    const claim = this.#claims.get(attempt);
    if (claim === undefined) return;
    const { slot, recipe, epoch, generation } = claim;
    this.#tell(process, { kind: 'given-back', slot, recipe, epoch, generation });
  }

  /** Whether a source could not be called since nobody had given it a refresh token that is good. */
  lacksRefreshToken(source: string, sinceMs: number): boolean {
    let lines = 0;
    // Redis that was emptied has another key for fingerprints: then a source may have more than one line.
    for (const [key, { entry }] of this.#world.redis.redis.journals) {
      if (!key.startsWith(`${source}/`)) continue;
      lines++;
      if (entry === undefined || entry.exhausted || (this.#seededAtMs.get(entry.family) ?? 0) >= sinceMs) return true;
    }
    return lines === 0;
  }

  budgetScripts(scripts: BudgetScripts, process: SimulatedProcess): BudgetScripts {
    return {
      permit: (script, request) => {
        const reply = scripts.permit(script, request);
        const { call: permit, upstream, callMs, limits } = request;
        const redisMs = script.nowMs;
        if (reply.kind === 'go') {
          const isRefetch = this.#claims.get(permit)?.isRefetch ?? false;
          this.#tell(process, { kind: 'permitted', permit, upstream, redisMs, callMs, isRefetch });
        } else if (reply.why === 'limit')
          this.#tell(process, {
            kind: 'over-quota',
            permit,
            upstream,
            redisMs,
            callMs,
            common: limits[0]?.common ?? 0,
          });
        return reply;
      },
      settle: (script, request) => {
        scripts.settle(script, request);
        const wasMade = request.outcome.kind !== 'not-made';
        this.#tell(process, { kind: 'settled', permit: request.call, redisMs: script.nowMs, wasMade });
      },
    };
  }

  /** What was permitted is called next. */
  budgets(budgets: UpstreamBudgets, process: SimulatedProcess): UpstreamBudgets {
    return {
      ...budgets,
      permit: async (request) => {
        const reply = await budgets.permit(request);
        if (reply.kind === 'go') this.#permits.set(process.name, request.call);
        return reply;
      },
    };
  }

  journalScripts(scripts: JournalScripts, process: SimulatedProcess): JournalScripts {
    return {
      ...scripts,
      spend: (script, attempt, callMs) => {
        const owner = script.journal.intent?.attempt;
        const reply = scripts.spend(script, attempt, callMs);
        const redisMs = script.nowMs;
        if (reply.kind === 'spend') {
          const { family, sequence } = reply.entry;
          this.#tell(process, { kind: 'intended', permit: attempt, redisMs, callMs, family, sequence });
        } else if (reply.kind === 'busy' && owner !== undefined)
          this.#tell(process, { kind: 'waited', owner, redisMs });
        return reply;
      },
      succeed: (script, attempt, spent, successor) => {
        const kind = scripts.succeed(script, attempt, spent, successor);
        this.#told(process, attempt, kind === 'ok' ? 'succeeded' : 'replaced', script.journal.entry);
        return kind;
      },
      keep: (script, attempt, spent, sealed) => {
        const kind = scripts.keep(script, attempt, spent, sealed);
        this.#told(process, attempt, kind === 'ok' ? 'released' : 'replaced', script.journal.entry);
        return kind;
      },
      release: (script, attempt) => {
        scripts.release(script, attempt);
        this.#told(process, attempt, 'released', script.journal.entry);
      },
      exhaust: (script, attempt, spent) => {
        const wasOver = script.journal.entry?.exhausted === true;
        const outcome = scripts.exhaust(script, attempt, spent);
        if (outcome === 'moved') this.#told(process, attempt, 'moved', script.journal.entry);
        else if (!wasOver) {
          this.ends++;
          this.#told(process, attempt, 'exhausted', script.journal.entry);
        }
        return outcome;
      },
      seed: (script, family, sealed, hash) => {
        const reply = scripts.seed(script, family, sealed, hash);
        if (reply.kind === 'ok') {
          this.#seededAtMs.set(family, this.#world.loop.nowMs);
          this.#tell(process, { kind: 'seeded', family });
        }
        return reply;
      },
    };
  }

  /** What leaves a broker for the journal, whether or not it gets there. */
  journal(journal: RefreshTokenJournal, process: SimulatedProcess): RefreshTokenJournal {
    const telling = (permit: string): void => {
      this.#tell(process, { kind: 'telling', permit });
    };
    return {
      ...journal,
      succeed: (address, attempt, spent, successor) => {
        telling(attempt);
        return journal.succeed(address, attempt, spent, successor);
      },
      keep: (address, attempt, spent, sealed) => {
        telling(attempt);
        return journal.keep(address, attempt, spent, sealed);
      },
      exhaust: (address, attempt, spent) => {
        telling(attempt);
        return journal.exhaust(address, attempt, spent);
      },
    };
  }

  /** Metrics that nobody reads, but for what they say of calls. */
  metrics(metrics: Metrics, process: SimulatedProcess): Metrics {
    const idpCalled: Metrics['idpCalled'] = (_source, reason) => {
      const permit = this.#ended.get(process.name);
      if (permit !== undefined) this.#tell(process, { kind: 'attributed', permit, isRenewal: reason === 'refresh' });
    };
    return new Proxy(metrics, {
      get: (target, name, receiver) =>
        name === 'idpCalled' ? idpCalled : (Reflect.get(target, name, receiver) as unknown),
    });
  }

  called(process: SimulatedProcess): WatchedCall {
    const call = ++this.#calls;
    const permit = this.#permits.get(process.name);
    this.#permits.delete(process.name);
    const claim = permit === undefined ? undefined : this.#claims.get(permit);
    if (claim !== undefined) {
      const { slot, recipe, epoch, generation } = claim;
      this.#tell(process, { kind: 'called', slot, recipe, epoch, generation, call });
    }
    this.#world.pass('idp:called', process);
    return { call, permit };
  }

  arrived(
    { call, permit }: WatchedCall,
    refreshToken: string | undefined,
    family: string | undefined,
    process: SimulatedProcess,
  ): void {
    this.#tell(process, { kind: 'arrived', call, permit, refreshToken, family });
    this.#world.pass('idp:arrived', process);
  }

  ended(
    { call, permit }: WatchedCall,
    reply: Result<IssuedToken, ProviderFailure> | undefined,
    hadRefreshToken: boolean,
    process: SimulatedProcess,
  ): void {
    const retryAfterMs = reply?.ok === false && reply.error.code === 'QUOTA_EXHAUSTED' ? reply.error.retryAfterMs : 0;
    const heard = heardOf(reply, hadRefreshToken);
    this.#tell(process, { kind: 'call-ended', call, permit, heard, retryAfterMs: retryAfterMs ?? 0 });
    if (permit !== undefined) this.#ended.set(process.name, permit);
  }

  issued(call: number, token: string, lifeMs: number, expiresAtMs: number, family: string | undefined): void {
    this.#tell(undefined, { kind: 'issued', call, token, lifeMs, expiresAtMs, family });
    this.#world.pass('idp:issued', undefined);
  }

  takenBack(token: string, process: SimulatedProcess): void {
    this.#tell(process, { kind: 'taken-back', token });
  }

  familyEnded(family: string, why: 'replayed' | 'withdrawn'): void {
    this.#tell(undefined, { kind: 'family-ended', family, why });
  }

  #told(
    process: SimulatedProcess,
    permit: string,
    outcome: Extract<Seen, { kind: 'told' }>['outcome'],
    entry: { readonly family: string; readonly sequence: number } | undefined,
  ): void {
    this.#tell(process, { kind: 'told', permit, outcome, family: entry?.family, sequence: entry?.sequence });
  }
}

function heardOf(reply: Result<IssuedToken, ProviderFailure> | undefined, hadRefreshToken: boolean): Heard {
  if (reply === undefined) return 'failure';
  if (reply.ok) return !hadRefreshToken ? 'token' : reply.value.refreshToken === undefined ? 'kept' : 'successor';
  if (reply.error.refused === 'refresh-token') return 'refresh-token-refused';
  return reply.error.code === 'QUOTA_EXHAUSTED' ? 'throttled' : 'failure';
}
