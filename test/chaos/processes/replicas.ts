import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually, startProgram, type Program } from '@token-broker/testing';
import { metricValue, sourceSettings, startStack, type Settings, type Stack } from '../../integration/stack.js';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../../services/broker/bin/token-broker.js', import.meta.url));
const FAULTS = new URL('fault-at-signal.mjs', import.meta.url).href;
const READY_WITHIN_MS = 15_000;

/** The tick of the stack, and with it how long a broker may answer from memory: `LEASE_TICKS` of the broker. */
export const TICK_MS = 200;
export const LEASE_MS = 3 * TICK_MS;

/** One call of the identity provider may take so long, and its lock lives so long. */
export const IDP_TIMEOUT_MS = 2_000;
export const LOCK_MS = 2_500;
/** The longest pause between two looks of a replica that waits for another's flight: `POLL_MAX_MS` and its jitter. */
export const WAITER_LOOKS_EVERY_MS = 1_250;
/** What a loaded machine may add to anything that is timed here. */
export const SLACK_MS = 1_500;

/** A broker as a process of its own, that a test can kill, stop and wake. */
export interface Replica {
  readonly program: Program;
  /** Where `/metrics` and `/readyz` are. */
  readonly url: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGSTOP; resolves when the process has stopped. */
  halt(): Promise<void>;
  /** Resolves when the process has been stopped, by whomever. */
  halted(): Promise<void>;
  /** SIGCONT. */
  wake(): void;
  /** SIGUSR2: see `fault-at-signal.mjs`. Resolves when the fault is armed. */
  arm(): Promise<void>;
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

/** @param fault what SIGUSR2 does: see `fault-at-signal.mjs` */
export async function startReplica(configurationPath: string, fault?: string): Promise<Replica> {
  const program = startProgram(MAIN, {
    args: ['--config', configurationPath],
    ...(fault === undefined ? {} : { nodeArgs: ['--import', FAULTS], env: { FAULT: fault } }),
  });
  const line = await program.waitForLine(/"msg":"http: listening"/, READY_WITHIN_MS);
  const { address } = JSON.parse(line) as { address: string };
  const url = `http://${address}`;
  const isReady = async (): Promise<boolean> => {
    const reply = await fetch(`${url}/readyz`);
    await reply.text();
    return reply.status === 200;
  };
  await eventually(isReady, {
    what: 'the replica to be ready',
    withinMs: READY_WITHIN_MS,
  });
  // Ready says that it may be asked; this, that the NATS server has its subscriptions.
  await program.waitForLine(/"msg":"broker: serving"/, READY_WITHIN_MS);
  const halted = async (): Promise<void> => {
    await eventually(async () => (await stateOf(program.pid)).startsWith('T'), { what: 'the replica to stop' });
  };
  return {
    program,
    url,
    async kill() {
      program.signal('SIGKILL');
      await program.exited;
    },
    async halt() {
      program.signal('SIGSTOP');
      await halted();
    },
    halted,
    wake() {
      program.signal('SIGCONT');
    },
    async arm() {
      program.signal('SIGUSR2');
      await program.waitForLine(/^fault: armed$/);
    },
    async metric(name, labels) {
      return metricValue(await (await fetch(`${url}/metrics`)).text(), name, labels);
    },
  };
}

async function stateOf(pid: number): Promise<string> {
  return (await run('ps', ['-o', 'stat=', '-p', String(pid)])).stdout.trim();
}

export function startReplicas(stack: Stack, count: number, fault?: string): Promise<Replica[]> {
  return Promise.all(Array.from({ length: count }, () => startReplica(stack.configurationPath, fault)));
}

/** Ends replicas, in whatever state a test has left them. */
export async function stopReplicas(replicas: readonly Replica[]): Promise<void> {
  await Promise.all(replicas.map(({ program }) => program.stop(2_000)));
}

/** Servers without brokers, with locks that end soon. */
export function startServers(tokenTransform?: (accessToken: string) => string): Promise<Stack> {
  return startStack({
    brokers: 0,
    configure: withShortLocks,
    ...(tokenTransform === undefined ? {} : { tokenTransform }),
  });
}

/** A source whose calls, and whose locks, last a short time. */
export const shortCalls = (idp: Stack['idp'], change: Settings = {}): Settings =>
  sourceSettings(idp, {
    // A call is one request: discovery would be a second one within its time.
    issuer: undefined,
    tokenEndpoint: idp.tokenEndpoint,
    timeout: `${String(IDP_TIMEOUT_MS)}ms`,
    lockTime: `${String(LOCK_MS)}ms`,
    ...change,
  });

/** Long times for Redis: a loaded machine must not add faults of its own to those of a case. */
export const patientWithRedis = (settings: Settings): Settings => ({
  ...(settings['redis'] as Settings),
  commandTimeout: '5s',
});

function withShortLocks(settings: Settings, idp: Stack['idp']): Settings {
  const source = shortCalls(idp);
  return {
    ...settings,
    redis: patientWithRedis(settings),
    sources: { 'payments-api': source, 'orders-api': source },
  };
}

/** The replica that calls the identity provider, while only one request has been made in all. */
export function holderAmong(replicas: readonly Replica[]): Promise<Replica> {
  return eventually(
    async () => {
      const flights = await Promise.all(replicas.map((replica) => replica.metric('token_broker_flights')));
      return replicas.find((_, index) => flights[index] === 1);
    },
    { what: 'a replica to hold the flight' },
  );
}
