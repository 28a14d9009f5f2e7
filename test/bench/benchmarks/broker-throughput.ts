import { alternate } from '../harness/alternate.js';
import type { BenchContext, Benchmark, Comparison } from '../harness/benchmark.js';
import { medianOf } from '../harness/figures.js';
import { processorMsOf } from '../harness/machine.js';
import { openFloodSides, type FloodSides } from '../stack/flood-sides.js';
import { withStack, type Stack } from '../stack/stack.js';

const IN_FLIGHT = [64, 256];

/** How many memory hits one replica serves in a second, with authorisation and accounting. */
export const brokerThroughput: Benchmark = {
  name: 'broker-throughput',
  ours: 'memory hits of one replica under a flood by raw socket, authorisation and accounting on',
  baseline: 'a bare `nats` responder with one buffer of the same bytes, under the same flood',
  run: (context) =>
    withStack(context, {}, async (stack) => {
      const sides = await openFloodSides(context, stack);
      const comparisons: Comparison[] = [];
      for (const inFlight of IN_FLIGHT) comparisons.push(await compare(context, stack, sides, inFlight));
      return comparisons;
    }),
};

async function compare(
  context: BenchContext,
  stack: Stack,
  { generator, responder, replyBytes }: FloodSides,
  inFlight: number,
): Promise<Comparison> {
  const forMs = context.effort.choose(3_000, 500);
  const flood = async (side: string, answering: number | undefined): Promise<Flooded> => {
    const [answeringBeforeMs, serverBeforeMs] = await processorMs(answering, stack.nats.pid);
    const figures = await generator.call('flood', { side, inFlight, forMs });
    const [answeringMs, serverMs] = await processorMs(answering, stack.nats.pid);
    const answererCpu = (answeringMs - answeringBeforeMs) / forMs;
    return { ...figures, answererCpu, serverCpu: (serverMs - serverBeforeMs) / forMs };
  };
  const { ours, baseline } = await alternate(context, {
    ours: () => flood('ours', stack.brokers[0]?.program.pid),
    baseline: () => flood('baseline', responder.pid),
  });
  const share = (all: readonly Flooded[], pick: (figures: Flooded) => number): number =>
    Math.round(medianOf(all.map(pick)) * 100) / 100;
  return {
    variant: `${String(inFlight)} in flight`,
    ours: ours.map(({ perSecond }) => perSecond),
    baseline: baseline.map(({ perSecond }) => perSecond),
    unit: '1/s',
    target: { atLeast: 0.9 },
    more: {
      replyBytes,
      generatorCpu: share(ours, ({ generatorCpu }) => generatorCpu),
      generatorCpuBaseline: share(baseline, ({ generatorCpu }) => generatorCpu),
      brokerCpu: share(ours, ({ answererCpu }) => answererCpu),
      responderCpu: share(baseline, ({ answererCpu }) => answererCpu),
      natsCpu: share(ours, ({ serverCpu }) => serverCpu),
      natsCpuBaseline: share(baseline, ({ serverCpu }) => serverCpu),
    },
  };
}

/** Shares are of one core. */
interface Flooded {
  readonly perSecond: number;
  readonly generatorCpu: number;
  readonly answererCpu: number;
  readonly serverCpu: number;
}

async function processorMs(answering: number | undefined, server: number): Promise<[number, number]> {
  return [await processorMsOf(answering ?? Number.NaN), await processorMsOf(server)];
}
