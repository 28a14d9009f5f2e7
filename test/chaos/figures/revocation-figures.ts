import type { Operator } from '@token-broker/client/operator';
import { createSystemClock, delay } from '@token-broker/foundation';
import { startFaultProxy, type FaultProxy } from '@token-broker/testing';
import { startBrokerProcess } from '../../e2e/broker-process.js';
import { PASSWORD, startStack, type Settings, type Stack } from '../../integration/stack.js';
import { machineMs } from '../upstream/machine-time.js';
import { allServe, allStopped, NearCacheProcess } from './near-cache-process.js';

const SOURCE = 'payments-api';
const CALLER = 'orders';
/** The start of all processes on a loaded machine, and the recovery of all near caches after a cut. */
const ALL_SERVE_WITHIN_MS = 60_000;
const BROKERS = 3;

const clock = createSystemClock();

/** What is measured, and how. All times in milliseconds. */
export interface FiguresOptions {
  readonly tickMs: number;
  /** For the near caches that stay connected. */
  readonly nearCaches: number;
  readonly processes: number;
  readonly rounds: number;
  /** For the near caches that are cut off, each at another phase of the tick. */
  readonly cuts: number;
  readonly cutRounds: number;
  readonly maxStalenessMs: number;
  /** Of the messages to each near cache, replies included. */
  readonly lostShare: number;
  readonly seed: number;
  readonly progress: (text: string) => void;
}

/** From the call of `revoke` until the last of all near caches did not serve the token any more; one value a round. */
export interface ConnectedFigure {
  readonly nearCaches: number;
  readonly lastDropMs: readonly number[];
  /** From the call until `revoke` returned. */
  readonly ackMs: readonly number[];
}

/** How long after it was cut off each near cache served the revoked token for the last time; one value a cut. */
export interface CutOffFigure {
  readonly boundMs: number;
  readonly servedMs: readonly number[];
}

export interface RevocationFigures {
  readonly connected: ConnectedFigure;
  readonly connectedLossy: ConnectedFigure;
  readonly cutOff: CutOffFigure;
  readonly cutOffLossy: CutOffFigure;
}

/** Measures all, one after the other, on real servers with brokers and near caches in processes of their own. */
export async function measureRevocations(options: FiguresOptions): Promise<RevocationFigures> {
  const { progress, tickMs, maxStalenessMs } = options;
  progress('starting servers and brokers');
  return withBrokers({ tick: ms(tickMs), maxStaleness: ms(maxStalenessMs) }, async (stack, operator) => {
    const connected = await measureConnected(stack, operator, { ...options, lostShare: 0 });
    const connectedLossy = await measureConnected(stack, operator, options);
    const [cutOff, cutOffLossy] = await measureCutOff(stack, operator, options);
    return { connected, connectedLossy, cutOff, cutOffLossy };
  });
}

async function measureConnected(stack: Stack, operator: Operator, options: FiguresOptions): Promise<ConnectedFigure> {
  const { nearCaches, processes, rounds, lostShare, progress } = options;
  const addresses = Array.from({ length: Math.ceil(nearCaches / processes) }, () => stack.nats.url);
  const fleet = Array.from({ length: processes }, (_, index) => startNearCaches(addresses, options, index));
  try {
    const lastDropMs: number[] = [];
    const ackMs: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      progress(`connected, ${share(lostShare)} of the messages lost: round ${String(round)} of ${String(rounds)}`);
      const served = await allServe(fleet, ALL_SERVE_WITHIN_MS);
      const calledAtMs = machineMs();
      await operator.revoke({ selector: { source: SOURCE }, reason: 'a test' });
      ackMs.push(machineMs() - calledAtMs);
      const stops = await allStopped(fleet, served, ALL_SERVE_WITHIN_MS);
      lastDropMs.push(Math.max(...stops.map(({ seenAtMs }) => seenAtMs)) - calledAtMs);
    }
    return { nearCaches: addresses.length * processes, lastDropMs, ackMs };
  } finally {
    await Promise.all(fleet.map((process) => process.stop()));
  }
}

/** Both kinds of near caches are cut off by the same cuts: those that hear everything, and those that do not. */
async function measureCutOff(
  stack: Stack,
  operator: Operator,
  options: FiguresOptions,
): Promise<[CutOffFigure, CutOffFigure]> {
  const { cuts, cutRounds, maxStalenessMs, tickMs, lostShare, progress } = options;
  const proxies: FaultProxy[] = [];
  for (let i = 0; i < cuts; i++) proxies.push(await startFaultProxy(stack.nats));
  const addresses = proxies.map(({ host, port }) => `nats://${host}:${String(port)}`);
  const fleet = [0, lostShare].map((lost, index) => startNearCaches(addresses, { ...options, lostShare: lost }, index));
  try {
    const servedMs: [number[], number[]] = [[], []];
    for (let round = 1; round <= cutRounds; round++) {
      progress(`cut off at ${String(cuts)} moments of a tick: round ${String(round)} of ${String(cutRounds)}`);
      await allServe(fleet, ALL_SERVE_WITHIN_MS);
      // From the reply that brought the token to heartbeats that verify it: those are what the bound is counted from.
      await delay(clock, 3 * tickMs);
      const served = await allServe(fleet, ALL_SERVE_WITHIN_MS);
      const cutAtMs: number[] = [];
      for (const proxy of proxies) {
        proxy.halfOpen();
        cutAtMs.push(machineMs());
        await delay(clock, tickMs / cuts);
      }
      await operator.revoke({ selector: { source: SOURCE }, reason: 'a test' });
      const stops = await allStopped(fleet, served, maxStalenessMs + ALL_SERVE_WITHIN_MS);
      for (const [index, { lastServedAtMs }] of stops.entries())
        servedMs[index < cuts ? 0 : 1].push(lastServedAtMs - (cutAtMs[index % cuts] ?? 0));
      for (const proxy of proxies) proxy.mend();
    }
    const [all, lossy] = servedMs;
    return [
      { boundMs: maxStalenessMs, servedMs: all },
      { boundMs: maxStalenessMs, servedMs: lossy },
    ];
  } finally {
    await Promise.all(fleet.map((process) => process.stop()));
    await Promise.all(proxies.map((proxy) => proxy.stop()));
  }
}

function startNearCaches(
  addresses: readonly string[],
  { lostShare, seed }: FiguresOptions,
  index: number,
): NearCacheProcess {
  return new NearCacheProcess({
    addresses,
    caller: CALLER,
    password: PASSWORD,
    source: SOURCE,
    lostShare,
    seed: seed + 1_000 * index,
  });
}

async function withBrokers<T>(
  cluster: Settings,
  measure: (stack: Stack, operator: Operator) => Promise<T>,
): Promise<T> {
  const stack = await startStack({
    brokers: 0,
    tokenLifeSeconds: 3_600,
    configure: (settings) => ({ ...settings, cluster }),
  });
  const brokers = await Promise.all(Array.from({ length: BROKERS }, () => startBrokerProcess(stack.configurationPath)));
  try {
    return await measure(stack, await stack.operator());
  } finally {
    await Promise.all(brokers.map(({ program }) => program.stop()));
    await stack.stop();
  }
}

function ms(value: number): string {
  return `${String(value)}ms`;
}

export function share(part: number): string {
  return `${String(Math.round(part * 100))} %`;
}
