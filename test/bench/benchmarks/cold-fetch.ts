import type { Benchmark, Comparison } from '../harness/benchmark.js';
import { medianOf } from '../harness/figures.js';
import type { ColdCallerMethods } from '../programs/cold-caller.js';
import { withStack } from '../stack/stack.js';

/** What the first caller of a slot waits longer than if it had called the identity provider itself. */
export const coldFetch: Benchmark = {
  name: 'cold-fetch',
  ours: 'a token of a slot that nobody has asked for yet, through a broker',
  baseline: 'the same identity provider (a bare HTTP server), called directly on a connection that is kept open',
  run: (context) =>
    withStack(context, {}, async (stack) => {
      const { effort, progress } = context;
      const service = await stack.worker<ColdCallerMethods>('cold-caller');
      await service.call('open', { url: stack.nats.url, endpoint: stack.tokenEndpoint });
      const calls = effort.choose(500, 60);
      const runs: { client: number; request: number; direct: number }[] = [];
      for (let run = 1; run <= effort.warmUps + effort.runs; run++) {
        progress(`run ${String(run)} of ${String(effort.warmUps + effort.runs)}`);
        const figures = await service.call('calls', calls);
        if (run > effort.warmUps) runs.push(figures);
      }
      const baseline = runs.map(({ direct }) => direct);
      const comparison = (variant: string, ours: readonly number[]): Comparison => ({
        ...{ variant, ours, baseline, unit: 'ms' },
        target: { atMost: 1, of: 'more' },
        more: { overheadMs: medianOf(ours) - medianOf(baseline) },
      });
      return [
        comparison(
          'through the client',
          runs.map(({ client }) => client),
        ),
        comparison(
          'through `nats` `request()`',
          runs.map(({ request }) => request),
        ),
      ];
    }),
};
