import { createOperator } from '@token-broker/client/operator';
import { alternate } from '../harness/alternate.js';
import type { Benchmark } from '../harness/benchmark.js';
import type { Worker } from '../harness/worker.js';
import type { BarePublisherMethods } from '../programs/bare-publisher.js';
import type { NearCachesMethods } from '../programs/near-caches.js';
import { nextMessage } from '../stack/next-message.js';
import { BARE_SUBJECTS, OPERATOR, SOURCE } from '../stack/settings.js';
import { withStack } from '../stack/stack.js';

const PROCESSES = 2;
const NEAR_CACHES_IN_EACH = 50;
const NEAR_CACHES = PROCESSES * NEAR_CACHES_IN_EACH;
const BARE_SUBJECT = `${BARE_SUBJECTS}.event.${SOURCE}`;
/** Renewals for each run of other benchmarks: a renewal is short. */
const ROUNDS_IN_RUN = { full: 50, quick: 15 };

/** How long a renewed token needs into every near cache. */
export const refreshPush: Benchmark = {
  name: 'refresh-push',
  ours: `a new token, from the identity provider's reply until each of ${String(NEAR_CACHES)} near caches holds it`,
  baseline: `bare NATS publish of the same bytes, until each of ${String(NEAR_CACHES)} subscribers has them`,
  run: (context) =>
    withStack(context, {}, async (stack) => {
      const fleet = await Promise.all(
        Array.from({ length: PROCESSES }, () => stack.worker<NearCachesMethods>('near-caches')),
      );
      const settings = { url: stack.nats.url, count: NEAR_CACHES_IN_EACH, bareSubject: BARE_SUBJECT };
      context.progress(`connecting ${String(NEAR_CACHES)} near caches`);
      const [slot = ''] = await Promise.all(fleet.map((worker) => worker.call('open', settings)));
      const operator = createOperator({ connection: await stack.connectAs(OPERATOR), caller: OPERATOR });
      const publisher = await stack.worker<BarePublisherMethods>('bare-publisher');
      await publisher.call('open', stack.nats.url);

      const refresh = async (): Promise<number> => {
        await expectOnAll(fleet);
        const { refreshed } = await operator.refresh({ slot });
        if (refreshed !== 1) throw new Error('the token was not renewed');
        const arrivedAtNs = await arrivedOnAll(fleet);
        return (arrivedAtNs - (await stack.idp.call('seen')).repliedAtNs) / 1e6;
      };
      const data = await nextMessage(stack, (subjects) => subjects.event(SOURCE, '*'), refresh);
      const publish = async (): Promise<number> => {
        await expectOnAll(fleet);
        const { publishedAtNs } = await publisher.call('publish', { subject: BARE_SUBJECT, data });
        return ((await arrivedOnAll(fleet)) - publishedAtNs) / 1e6;
      };

      const before = await requestsOf(fleet);
      const rounds = context.effort.choose(ROUNDS_IN_RUN.full, ROUNDS_IN_RUN.quick);
      const inRuns = { ...context, effort: { ...context.effort, runs: context.effort.runs * rounds } };
      const { ours, baseline } = await alternate(inRuns, { ours: refresh, baseline: publish });
      const requests = (await requestsOf(fleet)) - before;
      return [
        {
          ours,
          baseline,
          unit: 'ms',
          target: { atMost: 1.25 },
          more: { requests, pushBytes: data.length },
        },
      ];
    }),
};

async function expectOnAll(fleet: readonly Worker<NearCachesMethods>[]): Promise<void> {
  await Promise.all(fleet.map((worker) => worker.call('expect')));
}

async function arrivedOnAll(fleet: readonly Worker<NearCachesMethods>[]): Promise<number> {
  return Math.max(...(await Promise.all(fleet.map((worker) => worker.call('arrived')))));
}

async function requestsOf(fleet: readonly Worker<NearCachesMethods>[]): Promise<number> {
  const states = await Promise.all(fleet.map((worker) => worker.call('state')));
  const generations = new Set(states.flatMap((state) => state.generations));
  if (generations.size !== 1) throw new Error(`near caches hold ${String(generations.size)} different tokens`);
  return states.reduce((sum, { requests }) => sum + requests, 0);
}
