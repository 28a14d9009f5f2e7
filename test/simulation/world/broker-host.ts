import {
  Broker,
  BUDGET_SCRIPTS,
  createNatsBus,
  createNatsService,
  JOURNAL_SCRIPTS,
  noTracing,
  type Service,
  type ServiceRequest,
} from '@token-broker/broker/simulation';
import { traitsOf } from '@token-broker/configuration';
import { createAesGcm } from '@token-broker/foundation';
import { createSubjects } from '@token-broker/protocol';
import type { SimulatedProcess } from '@token-broker/testing';
import type { SimulatedConnection } from '@token-broker/testing';
import { configurationFor, COMMAND_TIMEOUT_MS } from './configuration.js';
import { natsLinkOf } from './nats-link.js';
import { auditTo, logTo, NO_METRICS } from './silence.js';
import type { Surroundings } from './surroundings.js';

/** How long a broker that is told to end may take. */
const DRAIN_MS = 5_000;

/** A place where a broker runs: killed, it is started anew as another incarnation. */
export class BrokerHost {
  readonly index: number;
  process: SimulatedProcess;
  service: SimulatedConnection;
  events: SimulatedConnection;
  broker: Broker;
  readonly #world: Surroundings;
  #incarnation = 0;

  constructor(world: Surroundings, index: number) {
    this.#world = world;
    this.index = index;
    ({ process: this.process, service: this.service, events: this.events, broker: this.broker } = this.#begin());
  }

  /** SIGKILL: its connections are reset, its leases run out. */
  kill(): void {
    if (this.process.isDead) return;
    this.process.kill();
    this.#world.nats.gone(this.process);
  }

  restart(): void {
    if (!this.process.isDead) return;
    ({ process: this.process, service: this.service, events: this.events, broker: this.broker } = this.#begin());
  }

  /** SIGTERM: it drains and leaves. */
  terminate(): void {
    const { broker } = this;
    const host = this.process;
    if (host.state !== 'running') return;
    void broker.stop(DRAIN_MS).then(() => {
      host.kill();
      this.#world.nats.gone(host);
    });
  }

  #begin(): { process: SimulatedProcess; service: SimulatedConnection; events: SimulatedConnection; broker: Broker } {
    const world = this.#world;
    const { shape, sabotage } = world;
    const name = `b${String(this.index + 1)}-${String(++this.#incarnation)}`;
    const process = world.createProcess(name);
    const { clock } = process;
    const random = world.randomOf(name);
    const log = logTo(world.noteOf(name));
    const serving = world.nats.connect(process, { name: `${name}/service` });
    const events = world.nats.connect(process, { name: `${name}/events` });
    const subjects = createSubjects();
    const link = natsLinkOf(serving);
    const service = createNatsService({
      connection: link,
      subjects,
      name: 'token-broker',
      version: '0.0.0',
      queue: 'token-broker',
      clock,
      log,
      audit: auditTo(world.noteOf(name)),
      metrics: NO_METRICS,
    });
    const store = world.redis.store(process, world.scripts(process), COMMAND_TIMEOUT_MS);
    const { upstream } = world.observer;
    const budgetScripts = upstream.budgetScripts(sabotage?.budgetScripts?.(BUDGET_SCRIPTS) ?? BUDGET_SCRIPTS, process);
    const budgets = upstream.budgets(world.redis.budgets(process, budgetScripts, COMMAND_TIMEOUT_MS), process);
    const journalScripts = sabotage?.journalScripts?.(JOURNAL_SCRIPTS) ?? JOURNAL_SCRIPTS;
    const journal = upstream.journal(
      world.redis.journal(process, upstream.journalScripts(journalScripts, process), COMMAND_TIMEOUT_MS),
      process,
    );
    const locks = world.locks.locks(process);
    const observed = this.#observed(service, process);
    const broker = new Broker(
      {
        clock,
        random,
        aead: createAesGcm(random),
        store: sabotage?.store?.(store, clock) ?? store,
        locks: sabotage?.locks?.(locks) ?? locks,
        budgets: sabotage?.budgets?.(budgets) ?? budgets,
        journal: sabotage?.journal?.(journal, clock) ?? journal,
        bus: createNatsBus({ connection: natsLinkOf(events), clock, log }),
        service: sabotage?.service?.(observed, clock) ?? observed,
        subjects,
        log,
        audit: auditTo(world.noteOf(name)),
        metrics: upstream.metrics(NO_METRICS, process),
        traitsOf,
        tracing: noTracing,
        createProvider: (source) => {
          const mayRotate = source.provider === 'oauth2' && source.grant.kind === 'refresh_token';
          const provider = world.idp.provider(source.name, mayRotate, shape.timeoutMs, process);
          return sabotage?.provider?.(provider, clock) ?? provider;
        },
        readConfiguration: () => Promise.resolve(configurationFor(shape)),
        fsyncAlways: () => false,
        redisProblems: () => Promise.resolve([]),
        broker: name,
        version: '0.0.0',
      },
      configurationFor(shape),
    );
    void broker.start();
    return { process, service: serving, events, broker };
  }

  /** What leaves the service is what this broker has answered. */
  #observed(service: Service, process: SimulatedProcess): Service {
    const observe = (request: ServiceRequest, reply: Uint8Array): Uint8Array => {
      if (!process.isDead) this.#world.observer.answered(process, request, reply);
      return reply;
    };
    return {
      start: (handle) =>
        service.start((request) => {
          const reply = handle(request);
          return reply instanceof Uint8Array ? observe(request, reply) : reply.then((bytes) => observe(request, bytes));
        }),
      drain: (limitMs) => service.drain(limitMs),
      isConnected: () => service.isConnected(),
    };
  }
}
