import { SCRIPTS, type Scripts } from '@token-broker/broker/simulation';
import { EventLoop, SeededRandom, SimulatedNats, type SimulatedProcess } from '@token-broker/testing';
import type { Bug } from '../bugs/bug.js';
import { Checker } from '../checker/checker.js';
import { Timeline } from '../checker/timeline.js';
import type { Point } from '../faults/points.js';
import { TICK_MS, type Scenario, type Shape } from '../scenario.js';
import { BareCaller } from './bare-caller.js';
import { BrokerHost } from './broker-host.js';
import { ClientHost } from './client-host.js';
import { OPERATOR, refreshedSources, slotsOf, type WorldSlot } from './configuration.js';
import { IdentityProvider } from './identity-provider.js';
import { LockServer } from './lock-server.js';
import { Observer } from './observer.js';
import { OperatorHost } from './operator-host.js';
import { RedisServer } from './redis-server.js';
import type { Surroundings } from './surroundings.js';
import { Trouble } from './trouble.js';
import { WatchedProcess } from './watched-process.js';

/** What a near cache that hears everything needs to drop a revoked token, at most. */
const DETECTION_MS = 2.5 * TICK_MS;

/** So late may be a message that others overtake, or the second copy of one: longer than a request takes. */
const STRAY_MS = 1_500;

const NO_REFRESH_TOKENS = { graceMs: 0, rotation: 'always', sources: 0 } as const;

/** Everything that a deployment has, on one event loop. */
export class World implements Surroundings {
  readonly scenario: Scenario;
  readonly shape: Shape;
  readonly sabotage: Bug | undefined;
  readonly loop = new EventLoop();
  readonly checker: Checker;
  readonly observer: Observer;
  readonly trouble: Trouble;
  readonly timeline: Timeline | undefined;
  readonly slots: readonly WorldSlot[];
  readonly nats: SimulatedNats;
  readonly redis: RedisServer;
  readonly locks: LockServer;
  readonly idp: IdentityProvider;
  readonly brokers: BrokerHost[] = [];
  readonly clients: ClientHost[] = [];
  readonly operator: OperatorHost;
  readonly bareCaller: BareCaller;
  readonly counts = { refusals: new Map<string, number>() };
  /** Calls that ended without a token, by when they were made. */
  readonly refusals: { readonly askedAtMs: number; readonly code: string }[] = [];
  readonly #expected: {
    readonly point: Point;
    readonly process: SimulatedProcess;
    readonly happen: () => void;
  }[] = [];
  /** Told of each point that the world passes, with the process that is at it. */
  onPass: (point: Point, process: SimulatedProcess | undefined) => void = () => undefined;

  constructor(scenario: Scenario, options: { readonly bug?: Bug | undefined; readonly recorded?: boolean } = {}) {
    const { shape } = scenario;
    this.scenario = scenario;
    this.shape = shape;
    this.sabotage = options.bug;
    const now = (): number => this.loop.nowMs;
    this.timeline = options.recorded === true ? new Timeline(now) : undefined;
    this.trouble = new Trouble(now);
    this.slots = slotsOf(shape);
    this.checker = new Checker({
      minLifetimeMs: shape.minLifetimeMs,
      maxStalenessMs: shape.maxStalenessMs,
      detectionMs: DETECTION_MS,
      drift: shape.drift,
      idpCaches: shape.idpCaches,
      graceMs: shape.refreshTokens?.graceMs ?? 0,
      quota: shape.quota,
    });
    this.observer = new Observer(this, this.checker);
    this.nats = new SimulatedNats(this.loop, this.randomOf('nats'), {
      latencyMs: shape.natsLatencyMs,
      jitterMs: shape.natsLatencyMs,
      strayMs: STRAY_MS,
    });
    this.nats.onMessage = (subject, data) => {
      this.#message(subject, data);
    };
    this.redis = new RedisServer(this.loop, this.randomOf('redis'), {
      partitions: shape.partitions,
      latencyMs: shape.redisLatencyMs,
      clockRate: this.clockRateOf('redis'),
      isReplicated: shape.isReplicated,
    });
    this.redis.onCommand = (command, when, process) => {
      this.pass(`redis:${command}:${when}` as Point, process);
    };
    this.locks = new LockServer(this.loop, this.randomOf('locks'), shape.redisLatencyMs);
    this.idp = new IdentityProvider(this.loop, this.randomOf('idp'), {
      lifeMs: shape.tokenLifeMs,
      latencyMs: shape.idpLatencyMs,
      slowMs: shape.timeoutMs * 1.2,
      distantMs: shape.timeoutMs * 0.9,
      caches: shape.idpCaches,
      refreshTokens: shape.refreshTokens ?? NO_REFRESH_TOKENS,
      watch: this.observer.upstream,
    });
    for (let index = 0; index < shape.brokers; index++) this.brokers.push(new BrokerHost(this, index));
    for (let index = 0; index < shape.clients; index++) this.clients.push(new ClientHost(this, index));
    this.operator = new OperatorHost(this);
    this.bareCaller = new BareCaller(this);
    for (const source of refreshedSources(shape)) this.operator.authorise(source);
  }

  lastJumpAtMs(): number {
    return Math.max(...this.brokers.map(({ process }) => process.clock.jumpedAtMs ?? Number.NEGATIVE_INFINITY));
  }

  /** Lets something happen when a process passes a point next. */
  once(point: Point, process: SimulatedProcess, happen: () => void): void {
    this.#expected.push({ point, process, happen });
  }

  pass(point: Point, process: SimulatedProcess | undefined): void {
    if (point === 'revocation-ordered' || point === 'floor-raised') this.bareCaller.wake();
    const index = this.#expected.findIndex((one) => one.point === point && one.process === process);
    if (index >= 0) this.#expected.splice(index, 1)[0]?.happen();
    this.onPass(point, process);
  }

  /** Random numbers for one part of the world: what others draw does not change them. */
  randomOf(part: string): SeededRandom {
    let hash = this.scenario.seed ^ 0x9e3779b9;
    for (let i = 0; i < part.length; i++) hash = Math.imul(hash ^ part.charCodeAt(i), 0x85ebca6b) ^ (hash >>> 13);
    return new SeededRandom(hash >>> 0);
  }

  clockRateOf(part: string): number {
    return 1 + this.shape.drift * (2 * this.randomOf(`clock ${part}`).uniform() - 1);
  }

  createProcess(name: string): SimulatedProcess {
    const process = new WatchedProcess(this.loop, name, this.clockRateOf(name));
    process.watch = this.observer;
    process.onStep = (step) => {
      this.pass(`step:${step}` as Point, process);
    };
    return process;
  }

  reauthorise(source: string): void {
    this.operator.reauthorise(source);
  }

  isReplaced(slot: string): boolean {
    return this.operator.replaces(slot);
  }

  /** The scripts of Redis for one process: sabotaged where that is the point of the run, and observed. */
  scripts(process: SimulatedProcess): Scripts {
    return this.observer.scripts(this.sabotage?.scripts?.(SCRIPTS) ?? SCRIPTS, process);
  }

  noteOf(process: string): ((text: string) => void) | undefined {
    const { timeline } = this;
    return timeline === undefined
      ? undefined
      : (text) => {
          timeline.note(process, text);
        };
  }

  #message(subject: string, data: Uint8Array): void {
    const [, , verb = ''] = subject.split('.');
    if (verb === 'invalidation') {
      const { id } = JSON.parse(Buffer.from(data).toString('utf8')) as { id: string };
      // A revocation that is made again names its messages by a number after its own name.
      this.observer.messageTaken(id.slice(0, 22));
    }
    if (subject.startsWith('_INBOX.')) {
      if (!subject.startsWith(`_INBOX.${OPERATOR}`)) this.pass('message:reply', undefined);
    } else this.pass(`message:${verb}` as Point, undefined);
  }
}
