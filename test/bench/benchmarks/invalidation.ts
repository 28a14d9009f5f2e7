import { createOperator } from '@token-broker/client/operator';
import { alternate } from '../harness/alternate.js';
import type { Benchmark } from '../harness/benchmark.js';
import { medianOf, percentileOf } from '../harness/figures.js';
import { machineNs } from '../harness/machine.js';
import type { BarePublisherMethods } from '../programs/bare-publisher.js';
import type { DropperMethods } from '../programs/dropper.js';
import { nextMessage } from '../stack/next-message.js';
import { BARE_EVENT, OPERATOR } from '../stack/settings.js';
import { withStack } from '../stack/stack.js';
import { wireCount, wireNs, WIRE_TIMES } from '../stack/wire-times.js';

interface Revocation {
  readonly eventMs: number;
  readonly untilDroppedMs: number;
  readonly callMs: number;
}

/** How long a revoked token lives on in the near cache of another process. */
export const invalidation: Benchmark = {
  name: 'invalidation',
  ours: 'a revocation in a broker, until the near cache of another process has dropped the token',
  baseline: 'bare NATS publish of the same bytes, until another process has deleted from a map',
  run: (context) =>
    withStack(context, { brokerNodeArgs: WIRE_TIMES }, async (stack) => {
      const operator = createOperator({ connection: await stack.connectAs(OPERATOR), caller: OPERATOR });
      const dropper = await stack.worker<DropperMethods>('dropper');
      const slot = await dropper.call('open', { url: stack.nats.url, bareSubject: BARE_EVENT });
      const publisher = await stack.worker<BarePublisherMethods>('bare-publisher');
      await publisher.call('open', stack.nats.url);
      const data = await nextMessage(
        stack,
        (subjects) => subjects.invalidation('*'),
        async () => {
          await dropper.call('hold');
          await operator.revoke({ selector: { slot }, reason: 'a benchmark' });
        },
      );
      let revocations = wireCount(stack, 'invalidation');

      const revoke = async (): Promise<Revocation> => {
        await dropper.call('hold');
        await dropper.call('expect');
        const calledAtNs = machineNs();
        await operator.revoke({ selector: { slot }, reason: 'a benchmark' });
        const callMs = (machineNs() - calledAtNs) / 1e6;
        const droppedAtNs = await dropper.call('dropped');
        const wiredAtNs = await wireNs(stack, 'invalidation', ++revocations);
        return { eventMs: (droppedAtNs - wiredAtNs) / 1e6, untilDroppedMs: (droppedAtNs - calledAtNs) / 1e6, callMs };
      };
      const publish = async (): Promise<number> => {
        await dropper.call('holdBare', BARE_EVENT);
        await dropper.call('expect');
        const { wiredAtNs } = await publisher.call('publish', { subject: BARE_EVENT, data });
        return ((await dropper.call('dropped')) - wiredAtNs) / 1e6;
      };

      const rounds = context.effort.choose(200, 40);
      const ours: Revocation[][] = [];
      const baseline: number[][] = [];
      for (let run = 1; run <= context.effort.warmUps + context.effort.runs; run++) {
        const { runs, warmUps } = context.effort;
        context.progress(`run ${String(run)} of ${String(runs + warmUps)}`);
        const sides = await alternate(
          { effort: { ...context.effort, warmUps: 0, runs: rounds }, progress: () => undefined },
          { ours: revoke, baseline: publish },
        );
        if (run <= warmUps) continue;
        ours.push([...sides.ours]);
        baseline.push([...sides.baseline]);
      }
      const medians = (pick: (revocation: Revocation) => number): number[] =>
        ours.map((run) => medianOf(run.map(pick)));
      const bare = baseline.map((run) => medianOf(run));
      return [
        {
          variant: 'the event, p50',
          ours: medians(({ eventMs }) => eventMs),
          baseline: bare,
          unit: 'ms',
          target: { atMost: 1.15 },
          more: {
            oursP99: percentileOf(
              ours.flat().map(({ eventMs }) => eventMs),
              0.99,
            ),
            baselineP99: percentileOf(baseline.flat(), 0.99),
          },
        },
        {
          variant: 'from the call of `revoke` until dropped, p50',
          ours: medians(({ untilDroppedMs }) => untilDroppedMs),
          baseline: bare,
          unit: 'ms',
        },
        {
          variant: 'the whole call of `revoke`, p50',
          ours: medians(({ callMs }) => callMs),
          baseline: bare,
          unit: 'ms',
        },
      ];
    }),
};
