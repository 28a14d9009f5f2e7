import { alternate } from '../harness/alternate.js';
import type { Benchmark } from '../harness/benchmark.js';
import type { NearCacheHitsMethods } from '../programs/near-cache-hits.js';
import { withStack } from '../stack/stack.js';

/** What a service pays for a token that it holds already, through the promise that it would wait for otherwise. */
export const nearCacheAsync: Benchmark = {
  name: 'near-cache-async',
  ours: '`await handle.get()` where the token is held',
  baseline: '`await` of an async function with `Map.get` and a comparison with `Date.now()`',
  run: (context) =>
    withStack(context, {}, async (stack) => {
      const service = await stack.worker<NearCacheHitsMethods>('near-cache-hits');
      await service.call('open', stack.nats.url);
      const rounds = context.effort.choose(2_000_000, 500_000);
      const sides = await alternate(context, {
        ours: () => service.call('oursAsync', rounds),
        baseline: () => service.call('baselineAsync', rounds),
      });
      return [{ ...sides, unit: 'ns', target: { atMost: 0.8 } }];
    }),
};
