import { createOperator } from '@token-broker/client/operator';
import { createSystemClock, delay, type Clock } from '@token-broker/foundation';
import { SeededRandom } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { startReplicas, stopReplicas, TICK_MS } from '../chaos/processes/replicas.js';
import { PASSWORD, sourceSettings, startStack, type Settings, type Stack } from '../integration/stack.js';
import { stamped, type CallerReport } from './caller-messages.js';
import { startCallers, type CallerProcess } from './caller-process.js';
import { Disturbance, type DisturbanceCounts } from './disturbance.js';
import { revokeAtRandom } from './revocations.js';
import { judge, type Verdict } from './verdict.js';

const REPLICAS = 3;
const SOURCES = Array.from({ length: 6 }, (_, index) => `soak-${String(index)}`);
const CALLER_PROCESSES = 2;
const CLIENTS_IN_EACH = 10;
/** Of the stack's configuration. */
const MIN_LIFETIME_MS = 1_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Seconds; a run draws one. */
const [LEAST_LIFE, MOST_LIFE] = [10, 20];
const IDP_MS = 80;

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Told once a second how far the run is. */
  readonly progress?: (text: string) => void;
}

export interface SoakReport {
  readonly seed: number;
  readonly seconds: number;
  readonly tokenLifeSeconds: number;
  readonly disturbances: DisturbanceCounts;
  readonly revocations: number;
  readonly callers: Omit<CallerReport, 'handedOut'>;
  readonly verdict: Verdict;
}

/**
 * Runs a deployment under load for some time while its replicas are killed, ended and stopped at random and tokens are
 * revoked; then says whether everything held that must.
 */
export async function soak({ seconds, seed, progress = () => undefined }: SoakOptions): Promise<SoakReport> {
  const clock = createSystemClock();
  const random = new SeededRandom(seed);
  const tokenLifeSeconds = LEAST_LIFE + random.integer(MOST_LIFE - LEAST_LIFE + 1);
  const stack = await startStack({
    brokers: 0,
    tokenLifeSeconds,
    tokenTransform: (accessToken) => stamped(accessToken, clock.wallMs()),
    configure: (settings, idp) => soakSettings(settings, idp),
  });
  stack.idp.setDelay(IDP_MS);
  const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  const callers: CallerProcess[] = [];
  let disturbance: Disturbance | undefined;
  try {
    const replicas = await startReplicas(stack, REPLICAS);
    disturbance = new Disturbance(clock, new SeededRandom(random.uint32()), stack.configurationPath, replicas);
    const runMs = seconds * 1_000;
    const seeds = Array.from({ length: CALLER_PROCESSES }, () => random.uint32());
    callers.push(
      ...(await Promise.all(
        seeds.map((callerSeed) =>
          startCallers({
            url: stack.nats.url,
            caller: 'orders',
            password: PASSWORD,
            sources: SOURCES,
            clients: CLIENTS_IN_EACH,
            runMs,
            seed: callerSeed,
            lifeMs: tokenLifeSeconds * 1_000,
            minLifetimeMs: MIN_LIFETIME_MS,
            requestTimeoutMs: REQUEST_TIMEOUT_MS,
          }),
        ),
      )),
    );
    const operator = createOperator({
      connection: await stack.connectAs('ops'),
      caller: 'ops',
      requestTimeoutMs: 5_000,
    });
    const parts = { clock, random: new SeededRandom(random.uint32()), operator, redis };
    const beganAtMs = clock.wallMs();
    const untilMs = clock.elapsedMs() + runMs;
    const ended = new AbortController();
    const watching = tellProgress({ clock, stack, callers, disturbance, progress }, untilMs, ended.signal);
    const [, revocations, reports] = await Promise.all([
      disturbance.run(untilMs),
      revokeAtRandom(parts, SOURCES, untilMs),
      Promise.all(callers.map((caller) => caller.report(2 * REQUEST_TIMEOUT_MS))),
    ]);
    ended.abort();
    await watching;
    const verdict = judge({
      sources: SOURCES,
      lifeMs: tokenLifeSeconds * 1_000,
      tickMs: TICK_MS,
      beganAtMs,
      endedAtMs: beganAtMs + runMs,
      idpCalls: stack.idpCalls(),
      disturbances: disturbance.counts,
      revocations,
      reports,
    });
    return {
      seed,
      seconds,
      tokenLifeSeconds,
      disturbances: disturbance.counts,
      revocations: revocations.length,
      callers: summed(reports),
      verdict,
    };
  } finally {
    await Promise.all(callers.map((caller) => caller.stop()));
    await stopReplicas(disturbance?.replicas ?? []);
    redis.disconnect();
    await stack.stop();
  }
}

function soakSettings(settings: Settings, idp: Stack['idp']): Settings {
  const times = { timeout: '3s', lockTime: '4s' };
  return {
    ...settings,
    sources: Object.fromEntries(SOURCES.map((source) => [source, sourceSettings(idp, times)])),
    callers: { orders: { sources: ['*'] }, ops: { sources: ['*'], admin: true } },
  };
}

interface Watched {
  readonly clock: Clock;
  readonly stack: Stack;
  readonly callers: readonly CallerProcess[];
  readonly disturbance: Disturbance;
  readonly progress: (text: string) => void;
}

async function tellProgress(
  { clock, stack, callers, disturbance, progress }: Watched,
  untilMs: number,
  ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    await delay(clock, 1_000, ended);
    const done = callers.map((caller) => caller.progress());
    const calls = done.reduce((sum, each) => sum + each.calls, 0);
    const errors = done.reduce((sum, each) => sum + each.errors, 0);
    const { SIGKILL, SIGTERM, SIGSTOP } = disturbance.counts;
    const leftSeconds = Math.max(0, Math.round((untilMs - clock.elapsedMs()) / 1_000));
    progress(
      `${String(leftSeconds)} s left: ${String(calls)} calls, ${String(errors)} errors, ${String(stack.idpCalls())} calls of the identity provider, ` +
        `${String(SIGKILL)} killed, ${String(SIGTERM)} ended, ${String(SIGSTOP)} stopped`,
    );
  }
}

function summed(reports: readonly CallerReport[]): Omit<CallerReport, 'handedOut'> {
  const sum = (pick: (report: CallerReport) => number): number =>
    reports.reduce((total, report) => total + pick(report), 0);
  const errors: Record<string, number> = {};
  for (const report of reports)
    for (const [code, count] of Object.entries(report.errors)) errors[code] = (errors[code] ?? 0) + count;
  return {
    calls: sum(({ calls }) => calls),
    errors,
    longestMs: Math.max(...reports.map(({ longestMs }) => longestMs)),
    late: sum(({ late }) => late),
    leastRemainingMs: Math.min(...reports.map(({ leastRemainingMs }) => leastRemainingMs)),
    belowMinimum: sum(({ belowMinimum }) => belowMinimum),
    stepsBack: sum(({ stepsBack }) => stepsBack),
  };
}
