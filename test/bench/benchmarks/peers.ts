import { alternate } from '../harness/alternate.js';
import type { BenchContext, Benchmark, Comparison } from '../harness/benchmark.js';
import { medianOf } from '../harness/figures.js';
import type { Worker } from '../harness/worker.js';
import type { CrowdMethods } from '../programs/crowd.js';
import type { NearCacheHitsMethods } from '../programs/near-cache-hits.js';
import { withStack, type Stack } from '../stack/stack.js';

// Programs of a package of its own: plain JavaScript, which is not compiled.
const HITS = new URL('../../peers/hits.mjs', import.meta.url);
const CROWD = new URL('../../peers/crowd.mjs', import.meta.url);

const HOLDERS = [
  ...['@smithy/property-provider memoize', 'lru-cache fetch', 'google-auth-library', 'layered-loader'],
  ...['async-cache-dedupe', 'bentocache', 'cacheable', '@azure/msal-node'],
];
const FETCHERS = [
  ...['bentocache', 'layered-loader', 'async-cache-dedupe', 'cacheable', 'redlock loop', 'redis-semaphore'],
];
const PROCESSES = 3;
const CALLERS_IN_EACH = 100;
const IDP_MS = 200;

type HitsMethods = Readonly<{
  open: (peer: string) => void;
  hits: (rounds: number) => number;
}>;

type PeerCrowdMethods = Readonly<{
  open: (at: { name: string; redisUrl: string; tokenEndpoint: string }) => void;
  burst: (burst: { callers: number; key: string }) => number;
}>;

/** A token that is held already, from other libraries. */
const peerHits: Benchmark = {
  name: 'peer-near-cache-async',
  ours: '`await handle.get()` where the token is held',
  baseline: 'the same from a peer that holds it',
  run: (context) =>
    withStack(context, {}, async (stack) => {
      const service = await stack.worker<NearCacheHitsMethods>('near-cache-hits');
      await service.call('open', stack.nats.url);
      const comparisons: Comparison[] = [];
      for (const name of HOLDERS) {
        const peer = await stack.worker<HitsMethods>(HITS);
        await peer.call('open', name);
        const rounds = context.effort.choose(300_000, 30_000);
        const sides = await alternate(context, {
          ours: () => service.call('oursAsync', rounds),
          baseline: () => peer.call('hits', rounds),
        });
        comparisons.push({ variant: name, ...sides, unit: 'ns', target: { atMost: 1 } });
        await peer.stop();
      }
      return comparisons;
    }),
};

/** A token that nobody has yet, for many callers in several processes, through other libraries. */
const peerSingleFlight: Benchmark = {
  name: 'peer-single-flight',
  ours: `the slowest of ${String(PROCESSES)} × ${String(CALLERS_IN_EACH)} callers of a cold slot, with an identity provider that takes ${String(IDP_MS)} ms`,
  baseline: 'the same callers of a peer with the same Redis and identity provider',
  run: (context) =>
    withStack(context, { brokers: PROCESSES }, async (stack) => {
      const crowds = await Promise.all(Array.from({ length: PROCESSES }, () => stack.worker<CrowdMethods>('crowd')));
      for (const crowd of crowds) await crowd.call('open', { url: stack.nats.url, endpoint: stack.tokenEndpoint });
      const comparisons: Comparison[] = [];
      for (const name of FETCHERS) comparisons.push(await flight(context, stack, crowds, name));
      return comparisons;
    }),
};

async function flight(
  context: BenchContext,
  stack: Stack,
  crowds: readonly Worker<CrowdMethods>[],
  name: string,
): Promise<Comparison> {
  const peers = await Promise.all(Array.from({ length: PROCESSES }, () => stack.worker<PeerCrowdMethods>(CROWD)));
  const at = { name, redisUrl: stack.redis.url, tokenEndpoint: stack.tokenEndpoint };
  for (const peer of peers) await peer.call('open', at);
  let slots = 0;
  const calls = { ours: [] as number[], peers: [] as number[] };
  const counted = async (into: number[], burst: () => Promise<number[]>): Promise<number> => {
    const before = (await stack.idp.call('seen')).requests;
    const slowest = Math.max(...(await burst()));
    into.push((await stack.idp.call('seen')).requests - before);
    return slowest;
  };
  const callers = CALLERS_IN_EACH;
  const ours = (): Promise<number> =>
    counted(calls.ours, () => {
      const audience = `https://${String(++slots)}.${name.replaceAll(/[^a-z]/g, '-')}.example.com`;
      return Promise.all(crowds.map((crowd) => crowd.call('nearCache', { callers, audience })));
    });
  const baseline = (): Promise<number> =>
    counted(calls.peers, () => {
      const key = `${name}-${String(++slots)}`;
      return Promise.all(peers.map((peer) => peer.call('burst', { callers, key })));
    });
  // Programs get warm.
  await stack.idp.call('setDelay', 0);
  for (let round = 0; round < context.effort.choose(20, 5); round++) {
    await ours();
    if (round < 3) await baseline();
  }
  await stack.idp.call('setDelay', IDP_MS);
  calls.ours.length = 0;
  calls.peers.length = 0;
  const sides = await alternate(context, { ours, baseline });
  for (const peer of peers) await peer.stop();
  return {
    variant: name,
    ...sides,
    unit: 'ms',
    more: { ourIdpCalls: Math.max(...calls.ours), peerIdpCalls: medianOf(calls.peers) },
  };
}

export const PEERS: readonly Benchmark[] = [peerHits, peerSingleFlight];
