import { alternate } from '../harness/alternate.js';
import type { Benchmark } from '../harness/benchmark.js';
import { openFloodSides } from '../stack/flood-sides.js';
import { withStack } from '../stack/stack.js';

/** How long one request takes where nothing else is asked. */
export const brokerLatency: Benchmark = {
  name: 'broker-latency',
  ours: 'a request for what is in the memory of a broker, one after the other, by raw socket',
  baseline: 'the same request to a bare `nats` responder with one buffer of the same bytes',
  run: (context) =>
    withStack(context, {}, async (stack) => {
      const { generator } = await openFloodSides(context, stack);
      const count = context.effort.choose(10_000, 1_500);
      const { ours, baseline } = await alternate(context, {
        ours: () => generator.call('latency', { side: 'ours', count }),
        baseline: () => generator.call('latency', { side: 'baseline', count }),
      });
      return [
        {
          variant: 'p50',
          ours: ours.map(({ p50 }) => p50 * 1_000),
          baseline: baseline.map(({ p50 }) => p50 * 1_000),
          unit: 'µs',
          target: { atMost: 1.05 },
        },
        {
          variant: 'p99',
          ours: ours.map(({ p99 }) => p99 * 1_000),
          baseline: baseline.map(({ p99 }) => p99 * 1_000),
          unit: 'µs',
          target: { atMost: 1.2 },
        },
      ];
    }),
};
