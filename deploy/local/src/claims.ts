import type { Observations } from './observations.js';

/** Something that Token Broker promises, what was seen of it, and whether it was true. */
export interface Claim {
  readonly name: string;
  readonly sentence: string;
  readonly figure: number | string;
  readonly unit?: string;
  /** What the figure has to be. */
  readonly expected: string;
  readonly true: boolean;
}

/** The promise of a revocation to near caches that are connected; events make it milliseconds. */
const REVOCATION_BOUND_MS = 2_500;

/** Judges what was seen. Pure: the same observations make the same claims. */
export function claimsOf(seen: Observations): Claim[] {
  const { cold, warm, access, refresh, revocation, totals } = seen;
  const nearCaches = seen.services.length;
  const callers = nearCaches * seen.callersPerService;
  const dropped = revocation.nearCaches.map(({ droppedAfterMs }) => droppedAfterMs);
  const renewed = revocation.nearCaches.map(({ renewedAfterMs }) => renewedAfterMs);
  const heldRevoked = revocation.nearCaches.filter(
    ({ droppedBeforeAck, heldAfterAck }) => !droppedBeforeAck || heldAfterAck === revocation.revoked,
  );
  const renewedBy = refresh.nearCaches.filter((nearCache) => nearCache.renewed);
  const withNew = revocation.nearCaches.filter(
    ({ renewedAfterMs, heldAtTheEnd }) =>
      renewedAfterMs !== null && heldAtTheEnd !== null && heldAtTheEnd !== revocation.revoked,
  );
  const requests = sum(refresh.nearCaches.map((nearCache) => nearCache.requests));
  const saved = totals.served - totals.idpCalls;

  return [
    exactly('cold-idp-calls', cold.idpCalls, 1, {
      sentence: `${count(callers)} cold callers in ${count(nearCaches)} services, ${count(seen.replicas)} brokers: the OpenID provider was called once`,
      unit: 'IdP calls',
    }),
    exactly('cold-all-served', cold.served, callers, {
      sentence: 'every one of the cold callers got a token',
      unit: 'callers',
    }),
    exactly('cold-same-token', cold.fingerprints.length, 1, {
      sentence: 'and it was the same token',
      unit: 'distinct tokens',
    }),
    {
      name: 'warm-from-near-cache',
      sentence: 'every later call was answered in the service’s own process, without any request',
      figure: warm.nearCacheHits,
      unit: 'hits',
      expected: `all ${count(warm.served)} calls, 0 IdP calls`,
      true: warm.served > 0 && warm.nearCacheHits === warm.served && warm.failed === 0 && warm.idpCalls === 0,
    },
    {
      name: 'scope-allowed',
      sentence: 'a caller that may ask for a wider scope got a token of its own for it',
      figure: access.allowedScope.code,
      expected: 'ok',
      true: access.allowedScope.code === 'ok',
    },
    {
      name: 'scope-refused-by-policy',
      sentence: 'a caller without that permission was refused by the brokers’ policy',
      figure: access.refusedScope.code,
      expected: 'FORBIDDEN',
      true: access.refusedScope.code === 'FORBIDDEN',
    },
    {
      name: 'source-refused-by-nats',
      sentence: 'a caller that named a source it may not use was refused by NATS; no broker saw the request',
      figure: access.refusedSource.code,
      expected: 'FORBIDDEN, 0 requests at the brokers',
      true: access.refusedSource.code === 'FORBIDDEN' && access.refusedSourceSeenByBrokers === 0,
    },
    exactly('refresh-idp-calls', refresh.idpCalls, 1, {
      sentence: 'before the token expired it was renewed in the background, with one more IdP call',
      unit: 'IdP calls',
    }),
    {
      name: 'refresh-pushed',
      sentence: 'the new token was pushed to every near cache',
      figure: renewedBy.length,
      unit: 'near caches',
      expected: `${count(nearCaches)}, all with the same new token`,
      true:
        renewedBy.length === nearCaches &&
        refresh.fingerprints.length === 1 &&
        refresh.fingerprints[0] !== refresh.before,
    },
    exactly('refresh-requests', requests, 0, {
      sentence: 'and no near cache had to ask for it',
      unit: 'requests',
    }),
    {
      name: 'revocation-complete',
      sentence: 'tokenctl revoke: written to disk, and confirmed by every broker and every near cache',
      figure: revocation.confirmed,
      unit: 'near caches confirmed',
      expected: `${count(nearCaches)}, complete, durable, exit code 0`,
      true:
        revocation.exitCode === 0 &&
        revocation.complete &&
        revocation.durable &&
        revocation.brokers.acked === revocation.brokers.expected &&
        revocation.confirmed === nearCaches,
    },
    atMost(
      'revocation-dropped',
      dropped,
      REVOCATION_BOUND_MS,
      'the last near cache had dropped the revoked token after',
    ),
    {
      name: 'revocation-none-after-ack',
      sentence: 'no near cache held the revoked token once tokenctl had its answer',
      figure: heldRevoked.length,
      unit: 'near caches',
      expected: '0',
      true: revocation.nearCaches.length === nearCaches && heldRevoked.length === 0,
    },
    exactly('revocation-renewed', withNew.length, nearCaches, {
      sentence: 'every near cache had a new token afterwards, before anybody asked for it',
      unit: 'near caches',
    }),
    atMost('revocation-renewed-after', renewed, REVOCATION_BOUND_MS, 'the last near cache had its new token after'),
    exactly('revocation-idp-calls', revocation.idpCalls, 1, {
      sentence: 'and all of them together cost one more IdP call',
      unit: 'IdP calls',
    }),
    {
      name: 'idp-calls-saved',
      sentence: `${count(totals.served)} calls for a token were answered with ${count(totals.idpCalls)} IdP calls`,
      figure: saved,
      unit: 'IdP calls saved',
      expected: 'more than 99.9% of the calls',
      true: totals.idpCalls > 0 && saved > 0.999 * totals.served,
    },
    {
      name: 'books-balance',
      sentence: 'what callers got, what near caches counted and what brokers answered add up',
      figure: totals.nearCacheHits + totals.joined + totals.asked,
      unit: 'calls',
      expected: `${count(totals.served)}; brokers: ${count(totals.asked + totals.refetched)} requests`,
      true:
        totals.nearCacheHits + totals.joined + totals.asked === totals.served &&
        totals.brokerMemory + totals.brokerRedis + totals.brokerFlight === totals.asked + totals.refetched,
    },
  ];
}

function exactly(
  name: string,
  figure: number,
  expected: number,
  { sentence, unit }: { readonly sentence: string; readonly unit: string },
): Claim {
  return { name, sentence, figure, unit, expected: count(expected), true: figure === expected };
}

function atMost(name: string, times: readonly (number | null)[], boundMs: number, sentence: string): Claim {
  const known = times.filter((timeMs) => timeMs !== null);
  const isKnown = times.length > 0 && known.length === times.length;
  return {
    name,
    sentence,
    figure: isKnown ? Math.round(Math.max(...known) * 10) / 10 : 'never',
    unit: 'ms',
    expected: `at most ${count(boundMs)} ms`,
    true: isKnown && known.every((timeMs) => timeMs >= 0 && timeMs <= boundMs),
  };
}

/** With commas between the thousands. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
