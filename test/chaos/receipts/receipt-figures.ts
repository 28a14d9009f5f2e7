import { fileURLToPath } from 'node:url';
import { createSystemClock, delay } from '@token-broker/foundation';
import { encode } from '@token-broker/protocol';
import { startProgram, type Program } from '@token-broker/testing';
import { ask } from '../../integration/asking.js';
import { PASSWORD, startStack, type Stack } from '../../integration/stack.js';
import { machineMs } from '../upstream/machine-time.js';
import { whileWatched } from './blocked.js';
import { READY, type SubscriberSettings } from './subscriber-settings.js';

const SUBSCRIBERS = fileURLToPath(new URL('subscribers.ts', import.meta.url));
const CALLER = 'orders';
const SOURCE = 'payments-api';
/** Between two rounds, so that one does not begin in the noise of the other. */
const PAUSE_MS = 1_000;

const clock = createSystemClock();

export interface ReceiptOptions {
  readonly nearCaches: number;
  readonly connections: number;
  readonly processes: number;
  readonly rounds: number;
  /** Near caches that never answer. */
  readonly silent: number;
  readonly progress: (text: string) => void;
}

/** One revocation with `wait`. All times in milliseconds. */
export interface ReceiptRound {
  /** From the operator's call to the reply. */
  readonly tookMs: number;
  readonly counts: { readonly confirmed: number; readonly stragglers: number };
  readonly afterMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** The longest that the event loop of the broker that collected the receipts could do nothing else. */
  readonly blockedMs: number;
  /** The same over a second without a revocation: what the machine does to any process. */
  readonly idleBlockedMs: number;
  /** Of the process of that broker, while it revoked. */
  readonly processorMs: number;
  readonly replyBytes: number;
}

/** Measures revocations on real servers: the broker in this process, near caches in others. */
export async function measureReceipts(options: ReceiptOptions): Promise<ReceiptRound[]> {
  const stack = await startStack({ brokers: 1, tokenLifeSeconds: 3_600 });
  const fleet: Program[] = [];
  try {
    for (let i = 0; i < options.processes; i++) fleet.push(startSubscribers(stack, options, i === 0));
    await Promise.all(fleet.map((program) => program.waitForLine(new RegExp(`^${READY}$`), 120_000)));
    const rounds: ReceiptRound[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      options.progress(
        `${String(options.nearCaches)} near caches: round ${String(round)} of ${String(options.rounds)}`,
      );
      rounds.push(await measureRound(stack, options.silent > 0 ? 2_000 : 30_000));
    }
    return rounds;
  } finally {
    await Promise.all(fleet.map((program) => program.stop()));
    await stack.stop();
  }
}

function startSubscribers(stack: Stack, options: ReceiptOptions, isFirst: boolean): Program {
  const { nearCaches, connections, processes, silent } = options;
  const settings: SubscriberSettings = {
    address: stack.nats.url,
    caller: CALLER,
    password: PASSWORD,
    connections: connections / processes,
    subscriptions: nearCaches / connections,
    silent: isFirst ? silent : 0,
  };
  return startProgram(SUBSCRIBERS, {
    nodeArgs: ['--import', 'tsx', '--conditions=token-broker:source'],
    args: [JSON.stringify(settings)],
  });
}

async function measureRound(stack: Stack, timeoutMs: number): Promise<ReceiptRound> {
  const operator = await stack.operator();
  await ask(await stack.connectAs(CALLER), CALLER, SOURCE);
  const idle = await whileWatched(() => delay(clock, PAUSE_MS));
  const processor = process.cpuUsage();
  const calledAtMs = machineMs();
  const { value: reply, blockedMs } = await whileWatched(() =>
    operator.revoke({ selector: { source: SOURCE }, reason: 'a figure', wait: true, timeoutMs }),
  );
  const tookMs = machineMs() - calledAtMs;
  const { user, system } = process.cpuUsage(processor);
  const { counts, afterMs } = reply.receipts ?? {};
  if (counts === undefined || afterMs === undefined) throw new Error('a revocation without receipts');
  const processorMs = (user + system) / 1_000;
  return {
    tookMs,
    counts,
    afterMs,
    blockedMs,
    idleBlockedMs: idle.blockedMs,
    processorMs,
    replyBytes: encode(reply).length,
  };
}
