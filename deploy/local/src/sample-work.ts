import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { TokenBrokerError, type SourceHandle, type TokenBroker } from '@token-broker/client';
import { machineNowMs } from './machine-clock.js';
import type { BurstResult, SampleCommand, SampleMessage, SampleResults, TryResult } from './sample-messages.js';

/** The sample's own parts, as sample-service.ts made them. */
export interface SampleParts {
  readonly broker: TokenBroker;
  readonly payments: SourceHandle;
  readonly callPayments: () => Promise<string>;
}

export interface SampleWork {
  noteDropped(): void;
  noteRenewed(accessToken: string): void;
  stop(): void;
}

/**
 * What the sample does with its time: the commands that come on standard input, answered on standard output. With
 * SAMPLE_TRAFFIC_MS in the environment it calls by itself, every so many milliseconds.
 */
export function startSampleWork(parts: SampleParts): SampleWork {
  const { broker, payments, callPayments } = parts;
  let traffic: NodeJS.Timeout | undefined;
  const startTraffic = (everyMs: number): void => {
    clearInterval(traffic);
    traffic = setInterval(() => {
      callPayments().catch((error: unknown) => {
        process.stderr.write(`no token: ${describe(error)}\n`);
      });
    }, everyMs);
  };

  const results: {
    [K in keyof SampleResults]: (
      command: SampleCommand & { command: K },
    ) => SampleResults[K] | Promise<SampleResults[K]>;
  } = {
    burst: ({ callers, times }) => burst(callPayments, callers, times),
    try: ({ source, scope }) => tryOnce(broker, source, scope),
    fingerprint: () => ({
      fingerprint: payments.current === undefined ? null : fingerprintOf(payments.current.accessToken),
    }),
    stats: () => broker.stats(),
    traffic: ({ everyMs }) => {
      startTraffic(everyMs);
      return {};
    },
  };
  const answer = async (id: number, command: SampleCommand): Promise<void> => {
    try {
      const run = results[command.command] as (command: SampleCommand) => unknown;
      tell({ id, result: await run(command) });
    } catch (error) {
      tell({ id, error: describe(error) });
    }
  };
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => {
    // Only deploy/local writes here; what is no JSON ends this process, and shows why.
    const { id, ...command } = JSON.parse(line) as { id: number } & SampleCommand;
    void answer(id, command);
  });

  const everyMs = Number(process.env['SAMPLE_TRAFFIC_MS'] ?? Number.NaN);
  if (everyMs > 0) startTraffic(everyMs);
  broker.ready().then(
    () => {
      tell({ event: 'ready' });
    },
    (error: unknown) => {
      process.stderr.write(`no broker answers yet: ${describe(error)}\n`);
    },
  );
  return {
    noteDropped() {
      tell({ event: 'dropped', atMs: machineNowMs() });
    },
    noteRenewed(accessToken) {
      tell({ event: 'renewed', atMs: machineNowMs(), fingerprint: fingerprintOf(accessToken) });
    },
    stop() {
      clearInterval(traffic);
      input.close();
      process.stdin.destroy();
    },
  };
}

async function burst(callPayments: () => Promise<string>, callers: number, times: number): Promise<BurstResult> {
  const tokens = new Set<string>();
  let served = 0;
  let failed = 0;
  let failure: string | null = null;
  const caller = async (): Promise<void> => {
    for (let turn = 0; turn < times; turn++) {
      try {
        tokens.add(await callPayments());
        served += 1;
      } catch (error) {
        failed += 1;
        failure = describe(error);
        return;
      }
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - startedMs;
  return { served, failed, failure, fingerprints: [...tokens].map(fingerprintOf), tookMs };
}

async function tryOnce(broker: TokenBroker, source: string, scope: string | undefined): Promise<TryResult> {
  try {
    const token = await broker.source(source, scope === undefined ? {} : { scope }).get({ timeoutMs: 5_000 });
    return { code: 'ok', message: '', scope: token.scope ?? null };
  } catch (error) {
    if (error instanceof TokenBrokerError) return { code: error.code, message: error.message, scope: null };
    throw error;
  }
}

/** Tells tokens apart without showing them. */
function fingerprintOf(accessToken: string): string {
  return createHash('sha256').update(accessToken).digest('hex').slice(0, 10);
}

function tell(message: SampleMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function describe(error: unknown): string {
  if (error instanceof TokenBrokerError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
