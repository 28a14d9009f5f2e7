import { alternate } from '../harness/alternate.js';
import type { BenchContext, Benchmark, Comparison } from '../harness/benchmark.js';
import type { Worker } from '../harness/worker.js';
import type { CrowdMethods } from '../programs/crowd.js';
import { withStack, type Stack } from '../stack/stack.js';

const PROCESSES = 3;
const CALLERS_IN_EACH = 100;
const IDP_MS = 200;

/** How long the last of many callers waits for a token that nobody has yet, and how often the identity provider is called. */
export const singleFlight: Benchmark = {
  name: 'single-flight',
  ours: `the slowest of ${String(PROCESSES)} × ${String(CALLERS_IN_EACH)} callers of a cold slot, with ${String(PROCESSES)} brokers and an identity provider that takes ${String(IDP_MS)} ms`,
  baseline: 'one direct call of the identity provider',
  run: (context) =>
    withStack(context, { brokers: PROCESSES }, async (stack) => {
      const crowds = await Promise.all(Array.from({ length: PROCESSES }, () => stack.worker<CrowdMethods>('crowd')));
      for (const crowd of crowds) await crowd.call('open', { url: stack.nats.url, endpoint: stack.tokenEndpoint });
      return [
        await compare(context, stack, crowds, 'nearCache'),
        { ...(await compare(context, stack, crowds, 'requests')), variant: 'without near caches: 300 requests' },
      ];
    }),
};

async function compare(
  context: BenchContext,
  stack: Stack,
  crowds: readonly Worker<CrowdMethods>[],
  way: 'nearCache' | 'requests',
): Promise<Comparison> {
  let slots = 0;
  const newAudience = (): string => `https://${way}-${String(++slots)}.example.com`;
  const calls: number[] = [];
  const burst = async (): Promise<number> => {
    const audience = newAudience();
    const before = (await stack.idp.call('seen')).requests;
    const slowest = await Promise.all(crowds.map((crowd) => crowd.call(way, { callers: CALLERS_IN_EACH, audience })));
    calls.push((await stack.idp.call('seen')).requests - before);
    return Math.max(...slowest);
  };
  const direct = async (): Promise<number> => (await crowds[0]?.call('direct', newAudience())) ?? Number.NaN;

  // What is measured is how a fleet runs, not how it gets warm.
  await stack.idp.call('setDelay', 0);
  for (let round = 0; round < context.effort.choose(100, 12); round++) {
    await burst();
    await direct();
  }
  await stack.idp.call('setDelay', IDP_MS);
  const sides = await alternate(context, { ours: burst, baseline: direct });
  return { ...sides, unit: 'ms', target: { atMost: 1.03 }, more: { mostIdpCalls: Math.max(...calls) } };
}
