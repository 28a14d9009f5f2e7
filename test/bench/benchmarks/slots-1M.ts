import { setTimeout as pause } from 'node:timers/promises';
import { createOperator } from '@token-broker/client/operator';
import type { BenchContext, Benchmark, Comparison } from '../harness/benchmark.js';
import { machineNs, processorMsOf } from '../harness/machine.js';
import type { SlotHolderMethods } from '../programs/slot-holder.js';
import type { SlotResponderMethods } from '../programs/slot-responder.js';
import { fillSlots } from '../stack/fill-slots.js';
import { OPERATOR, SOURCE } from '../stack/settings.js';
import { withStack, type Stack } from '../stack/stack.js';

/** Of the identity provider's tokens, too. */
const TOKEN_CHARACTERS = 1_100;
const HEAP = '--max-old-space-size=12288';
const REPORT_AT_SIGNAL = new URL('../programs/report-at-signal.js', import.meta.url).href;
/** Each of them is fetched: a million would take more than half an hour. */
const BROKER_SLOTS = 50_000;
/** Each takes two minutes. */
const RUNS = 5;
const BLOCKED_TARGET_MS = 10;
const MEMORY_TARGET = 1.3;
const REVOKE_WITHIN_MS = 120_000;
const SETTLE_MS = 200;

/** What a million slots cost a near cache and a broker. */
export const slots1M: Benchmark = {
  name: 'slots-1M',
  ours: 'a near cache with 1,000,000 slots, and a broker with 50,000: memory for each, the longest time for which a revocation of all of them blocks the event loop, and what an idle broker costs',
  baseline:
    'the bare bytes of as many tokens; the event loop of the same process while nothing happens; the same broker without slots',
  run: async (context) => {
    const runs: (readonly Comparison[])[] = [];
    const { effort } = context;
    for (let run = 1; run <= effort.choose(Math.min(RUNS, effort.runs), 1); run++) {
      context.progress(`run ${String(run)}`);
      runs.push(await once(context));
    }
    return merged(runs);
  },
};

async function once(context: BenchContext): Promise<readonly Comparison[]> {
  return withStack(
    context,
    {
      brokerNodeArgs: ['--expose-gc', HEAP, '--import', REPORT_AT_SIGNAL],
      configure: (settings) => ({ ...settings, memory: { maxEntries: 1_000_000, maxBytes: '32GiB' } }),
    },
    async (stack) => {
      const nearCache = await ofNearCache(context, stack, context.effort.choose(1_000_000, 10_000));
      return [...nearCache.comparisons, ...(await ofOneBroker(context, stack, nearCache.bareBytes))];
    },
  );
}

/** The figures of all runs; what is beside the ratios is of the last. */
function merged(runs: readonly (readonly Comparison[])[]): Comparison[] {
  return (runs.at(-1) ?? []).map((last, index) => ({
    ...last,
    ours: runs.flatMap((comparisons) => comparisons[index]?.ours ?? []),
    baseline: runs.flatMap((comparisons) => comparisons[index]?.baseline ?? []),
  }));
}

async function ofNearCache(
  { progress }: BenchContext,
  stack: Stack,
  slots: number,
): Promise<{ readonly comparisons: readonly Comparison[]; readonly bareBytes: number }> {
  const { url } = stack.nats;
  const responder = await stack.worker<SlotResponderMethods>('slot-responder');
  await responder.call('serve', { url, tokenCharacters: TOKEN_CHARACTERS });
  const holder = await stack.worker<SlotHolderMethods>('slot-holder', ['--expose-gc', HEAP]);
  await holder.call('open', { url, slots });
  const bareBytes = await holder.call('fillBare', { slots, tokenCharacters: TOKEN_CHARACTERS });
  progress(`filling a near cache with ${String(slots)} slots`);
  const bytes = await holder.call('fill', { slots });
  const idleMs = await holder.call('idleBlockMs');
  progress('revoking them');
  const revoked = holder.call('awaitRevocation');
  await pause(2 * SETTLE_MS);
  await responder.call('revoke', SOURCE);
  const { blockedMs, sweptMs } = await revoked;
  await holder.stop();
  return {
    bareBytes,
    comparisons: [
      {
        variant: 'near cache, memory for each slot',
        ...{ ours: [bytes], baseline: [bareBytes], unit: 'bytes', target: { atMost: MEMORY_TARGET } },
        more: { slots },
      },
      {
        variant: 'near cache, event loop blocked by a revocation of all',
        ...{ ours: [blockedMs], baseline: [idleMs], unit: 'ms', target: { atMost: BLOCKED_TARGET_MS, of: 'ours' } },
        more: { slots, sweptMs: Math.round(sweptMs) },
      },
    ],
  };
}

async function ofOneBroker(context: BenchContext, stack: Stack, bareBytes: number): Promise<Comparison[]> {
  const { effort, progress } = context;
  const slots = effort.choose(BROKER_SLOTS, 1_000);
  const windowMs = effort.choose(10_000, 1_000);
  const pid = stack.brokers[0]?.program.pid ?? Number.NaN;
  let reports = 0;
  const report = async (): Promise<number> => {
    const number = String(++reports);
    const program = stack.brokers[0]?.program;
    program?.signal('SIGUSR2');
    const line = await program?.waitForLine((each) => each.startsWith(`report ${number} `), REVOKE_WITHIN_MS);
    return Number(line?.split(' ')[2]);
  };
  const idleMsPerSecond = async (): Promise<number> => {
    const before = await processorMsOf(pid);
    const startedAtMs = performance.now();
    await pause(windowMs);
    return ((await processorMsOf(pid)) - before) / ((performance.now() - startedAtMs) / 1_000);
  };

  progress('watching an idle broker');
  const idleWithout = await idleMsPerSecond();
  const bytesWithout = await report();
  await pause(SETTLE_MS);
  const blockedIdle = await report();
  await fillSlots(context, stack, slots);
  await pause(2_000);
  progress('watching an idle broker with slots');
  const idleWith = await idleMsPerSecond();
  const bytesWith = await report();
  progress('revoking them');
  const operator = createOperator({ connection: await stack.connectAs(OPERATOR), caller: OPERATOR });
  const calledAtNs = machineNs();
  const { tookMs } = await operator.revoke({
    ...{ selector: { source: SOURCE }, reason: 'a benchmark', timeoutMs: REVOKE_WITHIN_MS },
  });
  const revokeMs = (machineNs() - calledAtNs) / 1e6;
  const blocked = await report();
  return [
    {
      variant: 'broker, memory for each slot',
      ...{ ours: [(bytesWith - bytesWithout) / slots], baseline: [bareBytes], unit: 'bytes' },
      ...{ target: { atMost: MEMORY_TARGET }, more: { slots } },
    },
    {
      variant: 'broker, event loop blocked by a revocation of all',
      ...{ ours: [blocked], baseline: [blockedIdle], unit: 'ms' },
      ...{
        target: { atMost: BLOCKED_TARGET_MS, of: 'ours' },
        more: { slots, deadMs: tookMs, revokeMs: Math.round(revokeMs) },
      },
    },
    {
      variant: 'broker, processor time while idle',
      ...{ ours: [idleWith], baseline: [idleWithout], unit: 'ms/s', more: { slots } },
    },
  ];
}
