import {
  FakeRedis,
  FakeRefreshTokenJournal,
  FakeStore,
  FakeUpstreamBudgets,
  StoreError,
  type BudgetScripts,
  type JournalScripts,
  type RedisData,
  type RefreshTokenJournal,
  type Scripts,
  type Store,
  type UpstreamBudgets,
  type Wire,
} from '@token-broker/broker/simulation';
import { MachineClock, type EventLoop, type SeededRandom, type SimulatedProcess } from '@token-broker/testing';
import { limiting } from './time-limit.js';

/** Commands that a replica serves, and a server without memory too. */
const READING = new Set(['read', 'list', 'hgetall', 'budgetState', 'journalState']);

/** One process's way to Redis: an ordered stream each way. */
export class RedisLink {
  /** Nothing gets through, and nobody says so. */
  blocked = false;
  /** The next replies of these commands are lost. */
  readonly lost = new Map<string, number>();
  delayMs = 0;
  /** Beyond that, of replies alone. */
  replyDelayMs = 0;
  #sentUntilMs = 0;
  #repliedUntilMs = 0;

  /** When something that is sent now arrives: never before what was sent earlier. */
  arrival(way: 'sent' | 'replied', atMs: number): number {
    if (way === 'sent') return (this.#sentUntilMs = Math.max(this.#sentUntilMs, atMs));
    return (this.#repliedUntilMs = Math.max(this.#repliedUntilMs, atMs));
  }
}

/** A Redis server with a replica: the shipped scripts' meaning, and all that goes wrong with servers. */
export class RedisServer {
  readonly redis: FakeRedis;
  /** The command is known not to be taken: connections are refused. */
  away = false;
  /** The server is stopped: commands wait. */
  paused = false;
  readOnly = false;
  outOfMemory = false;
  readonly links = new Map<string, RedisLink>();
  /** Called before a command runs, and when it has run: places for faults. */
  onCommand: (command: string, when: 'before' | 'after', process: SimulatedProcess) => void = () => undefined;
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  readonly #latencyMs: number;
  readonly #waiting: (() => void)[] = [];
  readonly #isReplicated: boolean;
  #replica: RedisData | undefined;

  constructor(loop: EventLoop, random: SeededRandom, options: RedisServerOptions) {
    this.#loop = loop;
    this.#random = random;
    this.#latencyMs = options.latencyMs;
    this.redis = new FakeRedis(new MachineClock(loop, options.clockRate), options.partitions);
    this.#isReplicated = options.isReplicated;
    this.redis.replicas = options.isReplicated ? 1 : 0;
  }

  linkOf(process: SimulatedProcess): RedisLink {
    let link = this.links.get(process.name);
    if (link === undefined) this.links.set(process.name, (link = new RedisLink()));
    return link;
  }

  /** The store of one broker: over its link, with a time limit for each command. */
  store(process: SimulatedProcess, scripts: Scripts, commandTimeoutMs: number): Store {
    const inner = new FakeStore(this.redis, process.name, process.clock, scripts);
    inner.wire = this.#wire(process);
    const limit = limiting(process.clock, commandTimeoutMs);
    return {
      read: (...args) => limit('read', inner.read(...args)),
      reserve: (...args) => limit('reserve', inner.reserve(...args)),
      commit: (...args) => limit('commit', inner.commit(...args)),
      fail: (...args) => limit('fail', inner.fail(...args)),
      abandon: (...args) => limit('abandon', inner.abandon(...args)),
      reject: (...args) => limit('reject', inner.reject(...args)),
      revoke: (...args) => limit('revoke', inner.revoke(...args)),
      confirm: (...args) => limit('confirm', inner.confirm(...args)),
      lease: (...args) => limit('lease', inner.lease(...args)),
      tail: (...args) => limit('tail', inner.tail(...args)),
      leave: () => limit('leave', inner.leave()),
      registerPolicy: (...args) => limit('policy', inner.registerPolicy(...args)),
      recipes: () => limit('hgetall', inner.recipes()),
      noteRecipe: (...args) => limit('hset', inner.noteRecipe(...args)),
      generations: (...args) => limit('read', inner.generations(...args)),
      list: (...args) => limit('list', inner.list(...args)),
      scan: (...args) => limit('scan', inner.scan(...args)),
      count: (request) => limit('count', inner.count(request)),
      pause: (...args) => limit('pause', inner.pause(...args)),
      present: (...args) => limit('presence', inner.present(...args)),
      presences: () => limit('presence', inner.presences()),
      sharedSecret: (...args) => limit('set', inner.sharedSecret(...args)),
      replaceSharedSecret: (...args) => limit('set', inner.replaceSharedSecret(...args)),
      isAvailable: () => !this.away,
    };
  }

  /** The budgets of upstreams, over the same link and with the same limit. */
  budgets(process: SimulatedProcess, scripts: BudgetScripts, commandTimeoutMs: number): UpstreamBudgets {
    const inner = new FakeUpstreamBudgets(this.redis, scripts);
    inner.wire = this.#wire(process);
    const limit = limiting(process.clock, commandTimeoutMs);
    return {
      permit: (...args) => limit('permit', inner.permit(...args)),
      settle: (...args) => limit('settle', inner.settle(...args)),
      state: (...args) => limit('budgetState', inner.state(...args)),
    };
  }

  /** The journal of refresh tokens, over the same link and with the same limit. */
  journal(process: SimulatedProcess, scripts: JournalScripts, commandTimeoutMs: number): RefreshTokenJournal {
    const inner = new FakeRefreshTokenJournal(this.redis, scripts);
    inner.wire = this.#wire(process);
    const limit = limiting(process.clock, commandTimeoutMs);
    return {
      spend: (...args) => limit('journalSpend', inner.spend(...args)),
      succeed: (...args) => limit('journalSucceed', inner.succeed(...args)),
      keep: (...args) => limit('journalKeep', inner.keep(...args)),
      release: (...args) => limit('journalRelease', inner.release(...args)),
      exhaust: (...args) => limit('journalExhaust', inner.exhaust(...args)),
      seed: (...args) => limit('journalSeed', inner.seed(...args)),
      state: (...args) => limit('journalState', inner.state(...args)),
    };
  }

  pause(): void {
    this.paused = true;
  }

  goOn(): void {
    this.paused = false;
    for (const run of this.#waiting.splice(0)) run();
  }

  /** The replica falls behind from now on; a promotion loses what is written until {@link RedisServer.catchUp}. */
  fallBehind(): void {
    if (!this.#isReplicated || this.#replica !== undefined) return;
    this.#replica = this.redis.snapshot();
    this.redis.replicas = 0;
  }

  catchUp(): void {
    this.#replica = undefined;
    this.redis.replicas = this.#isReplicated ? 1 : 0;
  }

  /** The replica is promoted. What it had not heard of is lost. */
  failOver(): void {
    if (this.#replica === undefined) this.redis.promote();
    else this.redis.failOver(this.#replica);
    this.catchUp();
  }

  #wire(process: SimulatedProcess): Wire {
    const link = this.linkOf(process);
    return {
      toRedis: (command) => this.#travelTo(process, link, command),
      fromRedis: (command) => this.#travelBack(process, link, command),
    };
  }

  #travelTo(process: SimulatedProcess, link: RedisLink, command: string): Promise<void> {
    return new Promise((resolve, reject) => {
      process.leave(`redis:${command}`, () => {
        if (this.away) {
          this.#loop.after(this.#latencyMs, () => {
            process.enter(() => {
              reject(new StoreError(command, 'unknown', 'connection refused'));
            });
          });
          return;
        }
        if (link.blocked) return;
        const run = (): void => {
          // The fault that this moment may be the place for comes first: it may be that the server is not there.
          if (!this.paused) this.onCommand(command, 'before', process);
          if (this.paused) this.#waiting.push(run);
          else if (!this.away) this.#answer(command, process, resolve, reject);
        };
        this.#loop.at(link.arrival('sent', this.#loop.nowMs + this.#trip(link)), run);
      });
    });
  }

  #answer(command: string, process: SimulatedProcess, run: () => void, reject: (error: StoreError) => void): void {
    const refusal = this.#refusal(command);
    if (refusal === undefined) run();
    else
      this.#loop.after(this.#latencyMs, () => {
        process.enter(() => {
          reject(new StoreError(command, 'refused', refusal));
        });
      });
  }

  #travelBack(process: SimulatedProcess, link: RedisLink, command: string): Promise<void> {
    this.onCommand(command, 'after', process);
    return new Promise((resolve) => {
      const left = link.lost.get(command) ?? link.lost.get('*') ?? 0;
      if (left > 0) {
        link.lost.set(link.lost.has(command) ? command : '*', left - 1);
        return;
      }
      if (link.blocked || this.away) return;
      this.#loop.at(link.arrival('replied', this.#loop.nowMs + this.#trip(link) + link.replyDelayMs), () => {
        process.enter(resolve);
      });
    });
  }

  #trip(link: RedisLink): number {
    return (this.#latencyMs + link.delayMs) * (0.5 + this.#random.uniform());
  }

  #refusal(command: string): string | undefined {
    if (READING.has(command)) return undefined;
    if (this.readOnly) return 'READONLY You can not write against a read only replica';
    if (this.outOfMemory && command !== 'leave') return 'OOM command not allowed when used memory > maxmemory';
    return undefined;
  }
}

export interface RedisServerOptions {
  readonly partitions: number;
  readonly latencyMs: number;
  readonly clockRate: number;
  readonly isReplicated: boolean;
}
