import type { Benchmark } from '../harness/benchmark.js';
import { medianOf } from '../harness/figures.js';
import type { BoundaryServiceMethods } from '../programs/boundary-service.js';
import { withStack } from '../stack/stack.js';

const SLOTS = 100;
const LIFE_SECONDS = 3;
/** A call so near to a renewal of its slot counts as one across it. */
const NEAR_MS = 25;

/** Whether callers feel that tokens expire. */
export const refreshBoundary: Benchmark = {
  name: 'refresh-boundary',
  ours: `p99.99 of \`get\` within ${String(NEAR_MS)} ms of a renewal of its token, over 1,000 renewals`,
  baseline: 'p99.99 of `get` at all other times of the same run',
  run: (context) =>
    withStack(
      context,
      { configure: (settings) => ({ ...settings, cluster: { minLifetime: '200ms' } }) },
      async (stack) => {
        const { effort, progress } = context;
        await stack.idp.call('setLife', LIFE_SECONDS);
        const service = await stack.worker<BoundaryServiceMethods>('boundary-service');
        await service.call('open', { url: stack.nats.url, slots: SLOTS });
        const wanted = effort.choose(1_000, 100);
        // Programs get warm.
        await service.call('measure', { wanted: SLOTS, nearMs: NEAR_MS });
        const runs: Awaited<ReturnType<BoundaryServiceMethods['measure']>>[] = [];
        for (let run = 1; run <= effort.runs; run++) {
          progress(`run ${String(run)} of ${String(effort.runs)}`);
          runs.push(await service.call('measure', { wanted, nearMs: NEAR_MS }));
        }
        return [
          {
            ours: runs.map(({ across }) => across),
            baseline: runs.map(({ between }) => between),
            unit: 'µs',
            target: { atMost: 2 },
            more: {
              renewals: wanted,
              misses: runs.reduce((sum, { misses }) => sum + misses, 0),
              requests: runs.reduce((sum, { requests }) => sum + requests, 0),
              samplesAcross: medianOf(runs.map(({ samplesAcross }) => samplesAcross)),
              samplesBetween: medianOf(runs.map(({ samplesBetween }) => samplesBetween)),
            },
          },
        ];
      },
    ),
};
