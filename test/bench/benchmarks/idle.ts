import { setTimeout as pause } from 'node:timers/promises';
import type { Benchmark } from '../harness/benchmark.js';
import { medianOf } from '../harness/figures.js';
import { processorMsOf } from '../harness/machine.js';
import type { BareResponderMethods } from '../programs/bare-responder.js';
import { fillSlots } from '../stack/fill-slots.js';
import { BARE_SUBJECTS } from '../stack/settings.js';
import { withStack } from '../stack/stack.js';

const REPLICAS = 3;
/** Each slot is asked for so often, so that nearly every replica comes to hold it. */
const ROUNDS = 4;
const SETTLED_AFTER_MS = 3_000;
const BOUND_PERCENT = 1;

/** What replicas cost that nobody asks for anything. */
export const idle: Benchmark = {
  name: 'idle',
  ours: `processor time of the busiest of ${String(REPLICAS)} idle replicas that hold 10,000 slots`,
  baseline: 'the bound itself: 1 % of a core (`bareShare`: what an idle process with a bare `nats` connection takes)',
  run: (context) =>
    withStack(context, { brokers: REPLICAS }, async (stack) => {
      const { effort, progress } = context;
      const slots = effort.choose(10_000, 1_000);
      await fillSlots(context, stack, slots, ROUNDS);
      const bare = await stack.worker<BareResponderMethods>('bare-responder');
      const reply = new Uint8Array();
      await bare.call('serve', { url: stack.nats.url, subject: `${BARE_SUBJECTS}.idle`, reply });
      await pause(effort.choose(SETTLED_AFTER_MS, 500));

      const forMs = effort.choose(10_000, 1_000);
      const pids = [...stack.brokers.map(({ program }) => program.pid), bare.pid];
      const ours: number[] = [];
      const bareShares: number[] = [];
      for (let run = 1; run <= effort.runs; run++) {
        progress(`window ${String(run)} of ${String(effort.runs)}`);
        const startedAtMs = performance.now();
        const before = await Promise.all(pids.map(processorMsOf));
        await pause(forMs);
        const after = await Promise.all(pids.map(processorMsOf));
        const windowMs = performance.now() - startedAtMs;
        const shares = after.map((ms, index) => ((ms - (before[index] ?? Number.NaN)) / windowMs) * 100);
        // All in one window: what the machine does meanwhile hits each of them.
        ours.push(Math.max(...shares.slice(0, REPLICAS)));
        bareShares.push(shares[REPLICAS] ?? Number.NaN);
      }
      const baseline = ours.map(() => BOUND_PERCENT);
      const more = { slots, bareShare: medianOf(bareShares) };
      return [{ ours, baseline, unit: '% of a core', target: { atMost: 1 }, more }];
    }),
};
