import { encode, slotOf, type TokenReply } from '@token-broker/protocol';
import { alternate } from '../harness/alternate.js';
import type { Benchmark, Comparison } from '../harness/benchmark.js';
import { medianOf } from '../harness/figures.js';
import type { Asked, MissingServiceMethods } from '../programs/missing-service.js';
import type { RawResponderMethods } from '../programs/raw-responder.js';
import { BARE_SUBJECTS } from '../stack/settings.js';
import { withStack } from '../stack/stack.js';

const IN_FLIGHT = [64, 256];
const LIFE_MS = 3_600_000;
const TOKEN_CHARACTERS = 1_100;

/**
 * How many requests one process makes in a second. The responder is a bare one for both sides, so that the client is what
 * is measured; its tokens have spent most of their life, so that no call can be answered by the near cache.
 */
export const clientThroughput: Benchmark = {
  name: 'client-throughput',
  ours: 'misses through the client, with their timeouts: request, reply, and what the near cache makes of it',
  baseline: '`request()` of `nats` with a timeout, of the same bytes, to the same bare responder',
  run: (context) =>
    withStack(context, { brokers: 0 }, async (stack) => {
      const sources = Array.from({ length: Math.max(...IN_FLIGHT) }, (_, index) => `source-${String(index)}`);
      const replies = new Map(sources.map((source) => [source, encode(replyOf(source))]));
      const responder = await stack.worker<RawResponderMethods>('raw-responder');
      const { url } = stack.nats;
      await responder.call('serve', { url, subject: `${BARE_SUBJECTS}.get.*.*`, replies });
      // Each side has a process of its own: what the one leaves to the garbage collector is not the other's to pay.
      const [service, bare] = [
        await stack.worker<MissingServiceMethods>('missing-service'),
        await stack.worker<MissingServiceMethods>('missing-service'),
      ];
      for (const each of [service, bare]) await each.call('open', { url, sources, minTtlMs: LIFE_MS });
      const forMs = context.effort.choose(2_000, 600);
      const comparisons: Comparison[] = [];
      for (const inFlight of IN_FLIGHT) {
        const sides = await alternate(context, {
          ours: () => service.call('throughClient', { inFlight, forMs }),
          baseline: () => bare.call('throughRequest', { inFlight, forMs }),
        });
        // The floor: what is left of the connection's own work when nothing is made of its messages.
        const loops: Asked[] = [];
        for (let run = 1; run <= context.effort.warmUps + context.effort.runs; run++) {
          const loop = await bare.call('throughBareLoop', { inFlight, forMs });
          if (run > context.effort.warmUps) loops.push(loop);
        }
        comparisons.push({
          variant: `${String(inFlight)} in flight`,
          ours: sides.ours.map(({ perSecond }) => perSecond),
          baseline: sides.baseline.map(({ perSecond }) => perSecond),
          unit: '1/s',
          target: { atLeast: 2.5 },
          more: {
            clientCpu: shareOf(sides.ours),
            clientCpuBaseline: shareOf(sides.baseline),
            microsecondsOfCpu: cpuOfEach(sides.ours),
            microsecondsOfCpuBaseline: cpuOfEach(sides.baseline),
            microsecondsOfCpuFloor: cpuOfEach(loops),
            floorPerSecond: Math.round(medianOf(loops.map(({ perSecond }) => perSecond))),
          },
        });
      }
      return comparisons;
    }),
};

function replyOf(source: string): TokenReply {
  return {
    ...{ v: 1, slot: slotOf(source, {}), partition: 0, epoch: 1, generation: 1, asOf: 0 },
    ...{ expiresInMs: LIFE_MS / 3, lifeMs: LIFE_MS, atMs: 0, heldMs: 0, verified: true },
    accessToken: 'x'.repeat(TOKEN_CHARACTERS),
    tokenType: 'Bearer',
  };
}

function shareOf(all: readonly Asked[]): number {
  return Math.round(medianOf(all.map(({ clientCpu }) => clientCpu)) * 100) / 100;
}

/** Processor time of the client for each request, in microseconds. */
function cpuOfEach(all: readonly Asked[]): number {
  return Math.round(medianOf(all.map(({ clientCpu, perSecond }) => (clientCpu / perSecond) * 1e6)) * 10) / 10;
}
