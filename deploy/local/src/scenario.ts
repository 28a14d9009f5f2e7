import { eventually, type TokenEndpointCounts } from '@token-broker/testing';
import { connect } from 'nats';
import { scrape, sumOf } from './broker-metrics.js';
import { LocalError } from './local-error.js';
import { machineNowMs } from './machine-clock.js';
import type {
  AccessChecks,
  ColdStart,
  Observations,
  Refresh,
  RevokedNearCache,
  Revocation,
  Totals,
  WarmCalls,
} from './observations.js';
import { CLIENT_OF_SOURCE, EXPORT_SCOPE, LEDGER, PAYMENTS, type SampleServiceName } from './participants.js';
import type { ScenarioReport } from './report.js';
import type { SampleProcess } from './sample-process.js';
import type { Stack } from './stack.js';
import { runRevocation } from './tokenctl-run.js';

const CALLERS_PER_SERVICE = 50;
const WARM_CALLS_PER_CALLER = 2_000;
/** The life of a token of the payments API is 20 s, and it is renewed with half of it left. */
const RENEWAL_LIMIT_MS = 20_000;
const REVOKED_LIMIT_MS = 5_000;

/**
 * Shows the main job on a stack that has just started, and tells `report` of each step.
 *
 * @throws {LocalError} where a step cannot be done; what is merely untrue is for the claims to say
 */
export async function runScenario(stack: Stack, report: ScenarioReport, signal: AbortSignal): Promise<Observations> {
  const { services } = stack;
  const ledger = new Ledger(services);
  const shape = {
    replicas: stack.brokers.length,
    services: services.map(({ name }) => name),
    callersPerService: CALLERS_PER_SERVICE,
  };

  report.beginColdStart(shape);
  const cold = await coldStart(stack, ledger);
  report.coldStart(cold);
  if (cold.served === 0) {
    throw new LocalError('no caller got a token', {
      why: cold.failure ?? 'nothing was answered',
      next: 'What the brokers printed last is below.',
      lines: stack.brokers.flatMap(({ process }) => process.lastLines().slice(-3)),
    });
  }
  signal.throwIfAborted();

  report.beginWarmCalls();
  const warm = await warmCalls(stack, ledger);
  report.warmCalls(warm);
  signal.throwIfAborted();

  report.beginAccessChecks();
  const access = await accessChecks(stack);
  report.accessChecks(access);
  signal.throwIfAborted();

  report.beginRefresh(RENEWAL_LIMIT_MS);
  const refresh = await awaitRefresh(stack, signal);
  report.refresh(refresh);
  signal.throwIfAborted();

  report.beginRevocation();
  const revocation = await revoke(stack, ledger);
  report.revocation(revocation);

  return { ...shape, cold, warm, access, refresh, revocation, totals: await totalsOf(stack, ledger) };
}

/** Adds up what the near caches count while callers call. */
class Ledger {
  served = 0;
  nearCacheHits = 0;
  joined = 0;
  asked = 0;
  refetched = 0;
  readonly #services: readonly SampleProcess[];

  constructor(services: readonly SampleProcess[]) {
    this.#services = services;
  }

  async burst(times: number): Promise<Omit<ColdStart, 'idpCalls'> & { readonly nearCacheHits: number }> {
    const before = await statsOf(this.#services);
    const results = await Promise.all(
      this.#services.map((service) => service.ask('burst', { callers: CALLERS_PER_SERVICE, times })),
    );
    const after = await statsOf(this.#services);
    const served = sum(results.map((result) => result.served));
    const nearCacheHits = after.hits - before.hits;
    this.served += served;
    this.nearCacheHits += nearCacheHits;
    this.joined += after.joined - before.joined;
    this.asked += after.requests - before.requests;
    return {
      served,
      nearCacheHits,
      failed: sum(results.map((result) => result.failed)),
      failure: results.find((result) => result.failure !== null)?.failure ?? null,
      fingerprints: [...new Set(results.flatMap((result) => result.fingerprints))],
      tookMs: Math.max(...results.map((result) => result.tookMs)),
    };
  }
}

async function coldStart(stack: Stack, ledger: Ledger): Promise<ColdStart> {
  const idpCallsBefore = await idpCalls(stack);
  const { nearCacheHits: _none, ...burst } = await ledger.burst(1);
  return { ...burst, idpCalls: (await idpCalls(stack)) - idpCallsBefore };
}

async function warmCalls(stack: Stack, ledger: Ledger): Promise<WarmCalls> {
  const idpCallsBefore = await idpCalls(stack);
  const { served, failed, nearCacheHits, tookMs } = await ledger.burst(WARM_CALLS_PER_CALLER);
  return { served, failed, nearCacheHits, tookMs, idpCalls: (await idpCalls(stack)) - idpCallsBefore };
}

async function accessChecks(stack: Stack): Promise<AccessChecks> {
  const request = { source: LEDGER, scope: EXPORT_SCOPE };
  const [allowedScope, refusedScope, refusedSource] = await Promise.all([
    serviceOf(stack, 'reports').ask('try', request),
    serviceOf(stack, 'billing').ask('try', request),
    serviceOf(stack, 'orders').ask('try', { source: LEDGER }),
  ]);
  const samples = await scrape(stack.brokers.map(({ httpUrl }) => httpUrl));
  const seen = { source: LEDGER, caller: 'orders' };
  return {
    allowedScope,
    refusedScope,
    refusedSource,
    refusedSourceSeenByBrokers: sumOf(samples, 'token_broker_requests_total', seen),
  };
}

async function awaitRefresh(stack: Stack, signal: AbortSignal): Promise<Refresh> {
  const { services } = stack;
  const [idpCallsBefore, before, statsBefore] = await Promise.all([
    idpCalls(stack),
    heldBy(services),
    Promise.all(services.map((service) => service.ask('stats'))),
  ]);
  const isRenewed = (service: SampleProcess): boolean => service.events.some(({ kind }) => kind === 'renewed');
  await eventually(() => signal.aborted || services.every(isRenewed), {
    what: 'every near cache to get the renewed token',
    withinMs: RENEWAL_LIMIT_MS,
  }).catch(() => undefined);
  signal.throwIfAborted();
  const [idpCallsAfter, held, statsAfter] = await Promise.all([
    idpCalls(stack),
    heldBy(services),
    Promise.all(services.map((service) => service.ask('stats'))),
  ]);
  return {
    idpCalls: idpCallsAfter - idpCallsBefore,
    before: [...before.values()].find((fingerprint) => fingerprint !== null) ?? '',
    fingerprints: [...new Set([...held.values()].filter((fingerprint) => fingerprint !== null))],
    nearCaches: services.map((service, index) => ({
      service: service.name,
      renewed: isRenewed(service),
      requests: (statsAfter[index]?.requests ?? 0) - (statsBefore[index]?.requests ?? 0),
    })),
  };
}

async function revoke(stack: Stack, ledger: Ledger): Promise<Revocation> {
  const { services, nats, observer } = stack;
  const [idpCallsBefore, heldBefore, statsBefore] = await Promise.all([
    idpCalls(stack),
    heldBy(services),
    statsOf(services),
  ]);
  for (const service of services) service.clearEvents();
  // The moment of the revocation is the one at which NATS passes the request on: seen by a listener who may do nothing else.
  const connection = await connect({ servers: nats.url, user: observer.user, pass: observer.password });
  let requestedAtMs: number | undefined;
  connection.subscribe(observer.subject, {
    callback: () => {
      requestedAtMs ??= machineNowMs();
    },
  });
  await connection.flush();
  const { exitCode, reply, ackAtMs } = await runRevocation(stack.operatorEnvironment, stack.guard).finally(() =>
    connection.close(),
  );
  const heldAfterAck = await heldBy(services);
  const last = (service: SampleProcess, kind: 'dropped' | 'renewed'): number | undefined =>
    service.events.find((event) => event.kind === kind)?.atMs;
  await eventually(() => services.every((service) => last(service, 'renewed') !== undefined), {
    what: 'every near cache to get the successor of the revoked token',
    withinMs: REVOKED_LIMIT_MS,
  }).catch(() => undefined);
  const [idpCallsAfter, heldAtTheEnd, statsAfter] = await Promise.all([
    idpCalls(stack),
    heldBy(services),
    statsOf(services),
  ]);
  ledger.refetched += statsAfter.requests - statsBefore.requests;
  if (requestedAtMs === undefined) {
    throw new LocalError('the moment of the revocation is not known', {
      why: `nothing was seen on ${observer.subject}`,
      next: 'This is a defect: the request of tokenctl has to pass there.',
    });
  }
  const since = (atMs: number | undefined): number | null =>
    atMs === undefined || requestedAtMs === undefined ? null : atMs - requestedAtMs;
  return {
    exitCode,
    complete: reply.complete,
    durable: reply.durable,
    brokers: reply.brokers,
    confirmed: reply.receipts?.confirmed.length ?? 0,
    brokerTookMs: reply.tookMs,
    idpCalls: idpCallsAfter - idpCallsBefore,
    revoked: [...heldBefore.values()].find((fingerprint) => fingerprint !== null) ?? '',
    nearCaches: services.map((service): RevokedNearCache => {
      const droppedAtMs = last(service, 'dropped');
      return {
        service: service.name,
        droppedAfterMs: since(droppedAtMs),
        renewedAfterMs: since(last(service, 'renewed')),
        droppedBeforeAck: droppedAtMs !== undefined && droppedAtMs <= ackAtMs,
        heldAfterAck: heldAfterAck.get(service.name) ?? null,
        heldAtTheEnd: heldAtTheEnd.get(service.name) ?? null,
      };
    }),
  };
}

async function totalsOf(stack: Stack, ledger: Ledger): Promise<Totals> {
  const samples = await scrape(stack.brokers.map(({ httpUrl }) => httpUrl));
  const answered = (layer: string): number =>
    sumOf(samples, 'token_broker_requests_total', { source: PAYMENTS, outcome: 'ok', layer });
  return {
    served: ledger.served,
    nearCacheHits: ledger.nearCacheHits,
    joined: ledger.joined,
    asked: ledger.asked,
    refetched: ledger.refetched,
    brokerMemory: answered('memory'),
    brokerRedis: answered('redis'),
    // Who began the one flight, and who joined it.
    brokerFlight: answered('flight') + answered('idp'),
    idpCalls: await idpCalls(stack),
  };
}

/** Token requests for the payments API that have arrived at the provider, by its own counter. */
async function idpCalls(stack: Stack): Promise<number> {
  const response = await fetch(`${stack.identityProvider.issuer}/counts`);
  const counts = (await response.json()) as TokenEndpointCounts;
  return counts.tokenRequestsByClient[CLIENT_OF_SOURCE[PAYMENTS]] ?? 0;
}

async function heldBy(services: readonly SampleProcess[]): Promise<Map<string, string | null>> {
  const held = await Promise.all(
    services.map(async (service) => [service.name, (await service.ask('fingerprint')).fingerprint] as const),
  );
  return new Map(held);
}

async function statsOf(
  services: readonly SampleProcess[],
): Promise<{ hits: number; joined: number; requests: number }> {
  const all = await Promise.all(services.map((service) => service.ask('stats')));
  return {
    hits: sum(all.map(({ hits }) => hits)),
    joined: sum(all.map(({ joined }) => joined)),
    requests: sum(all.map(({ requests }) => requests)),
  };
}

function serviceOf({ services }: Stack, name: SampleServiceName): SampleProcess {
  const service = services.find((each) => each.name === name);
  if (service === undefined) throw new RangeError(`there is no service ${name}`);
  return service;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
