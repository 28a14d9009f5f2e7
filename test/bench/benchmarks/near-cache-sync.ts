import { alternate } from '../harness/alternate.js';
import type { Benchmark } from '../harness/benchmark.js';
import type { NearCacheHitsMethods } from '../programs/near-cache-hits.js';
import { withStack } from '../stack/stack.js';

/** What a service pays for a token that it holds already, without waiting for a promise. */
export const nearCacheSync: Benchmark = {
  name: 'near-cache-sync',
  ours: '`handle.current` where the token is held',
  baseline: '`Map.get` and a comparison with `Date.now()`',
  run: (context) =>
    withStack(context, {}, async (stack) => {
      const service = await stack.worker<NearCacheHitsMethods>('near-cache-hits');
      await service.call('open', stack.nats.url);
      const rounds = context.effort.choose(3_000_000, 1_000_000);
      const sides = await alternate(context, {
        ours: () => service.call('oursSync', rounds),
        baseline: () => service.call('baselineSync', rounds),
      });
      return [{ ...sides, unit: 'ns', target: { atMost: 0.2 } }];
    }),
};
