import { describe, expect, it } from 'vitest';
import { claimsOf } from './claims.js';
import type { Observations, RevokedNearCache } from './observations.js';

const services = ['orders', 'billing', 'shipping', 'reports'];

/** A run in which everything that is claimed was so. */
function allIsWell(): Observations {
  return {
    replicas: 3,
    services,
    callersPerService: 50,
    cold: { served: 200, failed: 0, failure: null, fingerprints: ['a'], idpCalls: 1, tookMs: 180 },
    warm: { served: 400_000, failed: 0, nearCacheHits: 400_000, idpCalls: 0, tookMs: 90 },
    access: {
      allowedScope: { code: 'ok', message: '', scope: 'ledger:export' },
      refusedScope: { code: 'FORBIDDEN', message: '', scope: null },
      refusedSource: { code: 'FORBIDDEN', message: '', scope: null },
      refusedSourceSeenByBrokers: 0,
    },
    refresh: {
      idpCalls: 1,
      before: 'a',
      fingerprints: ['b'],
      nearCaches: services.map((service) => ({ service, renewed: true, requests: 0 })),
    },
    revocation: {
      exitCode: 0,
      complete: true,
      durable: true,
      brokers: { expected: 3, acked: 3 },
      confirmed: 4,
      brokerTookMs: 12,
      idpCalls: 1,
      revoked: 'b',
      nearCaches: services.map((service) => nearCache(service)),
    },
    totals: {
      served: 400_200,
      nearCacheHits: 400_000,
      joined: 196,
      asked: 4,
      refetched: 4,
      brokerMemory: 1,
      brokerRedis: 2,
      brokerFlight: 5,
      idpCalls: 3,
    },
  };
}

function nearCache(service: string, changes: Partial<RevokedNearCache> = {}): RevokedNearCache {
  return {
    service,
    droppedAfterMs: 4.25,
    renewedAfterMs: 180,
    droppedBeforeAck: true,
    heldAfterAck: null,
    heldAtTheEnd: 'c',
    ...changes,
  };
}

function untrue(seen: Observations): string[] {
  return claimsOf(seen)
    .filter((claim) => !claim.true)
    .map(({ name }) => name);
}

/** The same run, but for one near cache in the revocation. */
function withNearCache(changes: Partial<RevokedNearCache>): Observations {
  const seen = allIsWell();
  const nearCaches = [nearCache('orders', changes), ...services.slice(1).map((service) => nearCache(service))];
  return { ...seen, revocation: { ...seen.revocation, nearCaches } };
}

describe('the claims', () => {
  it('are all true where everything was as promised', () => {
    expect(untrue(allIsWell())).toEqual([]);
  });

  it('have names of their own', () => {
    const names = claimsOf(allIsWell()).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(10);
  });

  const well = allIsWell();
  it.each<{ readonly what: string; readonly seen: Observations; readonly false: string[] }>([
    {
      what: 'a second IdP call for the cold callers',
      seen: { ...well, cold: { ...well.cold, idpCalls: 2 } },
      false: ['cold-idp-calls'],
    },
    {
      what: 'an IdP that was never asked, whose token came from elsewhere',
      seen: { ...well, cold: { ...well.cold, idpCalls: 0 } },
      false: ['cold-idp-calls'],
    },
    {
      what: 'a cold caller without a token',
      seen: { ...well, cold: { ...well.cold, served: 199, failed: 1 } },
      false: ['cold-all-served'],
    },
    {
      what: 'two tokens for the cold callers',
      seen: { ...well, cold: { ...well.cold, fingerprints: ['a', 'x'] } },
      false: ['cold-same-token'],
    },
    {
      what: 'a warm call that left the process',
      seen: { ...well, warm: { ...well.warm, nearCacheHits: 399_999 } },
      false: ['warm-from-near-cache'],
    },
    {
      what: 'no warm call at all',
      seen: { ...well, warm: { ...well.warm, served: 0, nearCacheHits: 0 } },
      false: ['warm-from-near-cache'],
    },
    {
      what: 'a scope for a caller who may not have it',
      seen: { ...well, access: { ...well.access, refusedScope: { code: 'ok', message: '', scope: null } } },
      false: ['scope-refused-by-policy'],
    },
    {
      what: 'a request that NATS should have stopped, but a broker refused',
      seen: { ...well, access: { ...well.access, refusedSourceSeenByBrokers: 1 } },
      false: ['source-refused-by-nats'],
    },
    {
      what: 'a renewal by every broker',
      seen: { ...well, refresh: { ...well.refresh, idpCalls: 3 } },
      false: ['refresh-idp-calls'],
    },
    {
      what: 'a near cache that had to ask for the renewed token',
      seen: {
        ...well,
        refresh: {
          ...well.refresh,
          nearCaches: services.map((service) => ({ service, renewed: true, requests: service === 'orders' ? 1 : 0 })),
        },
      },
      false: ['refresh-requests'],
    },
    {
      what: 'a near cache that the renewal did not reach',
      seen: {
        ...well,
        refresh: {
          ...well.refresh,
          nearCaches: services.map((service) => ({ service, renewed: service !== 'orders', requests: 0 })),
        },
      },
      false: ['refresh-pushed'],
    },
    {
      what: 'a renewal that brought the token from before',
      seen: { ...well, refresh: { ...well.refresh, fingerprints: ['a'] } },
      false: ['refresh-pushed'],
    },
    {
      what: 'a revocation that is not on disk',
      seen: { ...well, revocation: { ...well.revocation, durable: false } },
      false: ['revocation-complete'],
    },
    {
      what: 'a broker that did not confirm',
      seen: { ...well, revocation: { ...well.revocation, brokers: { expected: 3, acked: 2 } } },
      false: ['revocation-complete'],
    },
    {
      what: 'a second IdP call after the revocation',
      seen: { ...well, revocation: { ...well.revocation, idpCalls: 2 } },
      false: ['revocation-idp-calls'],
    },
    {
      what: 'a near cache that never dropped the token',
      seen: withNearCache({ droppedAfterMs: null, droppedBeforeAck: false, heldAfterAck: 'b' }),
      false: ['revocation-dropped', 'revocation-none-after-ack'],
    },
    {
      what: 'a near cache that dropped it too late',
      seen: withNearCache({ droppedAfterMs: 2_501 }),
      false: ['revocation-dropped'],
    },
    {
      what: 'a near cache that dropped it only after the ack',
      seen: withNearCache({ droppedBeforeAck: false }),
      false: ['revocation-none-after-ack'],
    },
    {
      what: 'a near cache that served the revoked token after the ack',
      seen: withNearCache({ heldAfterAck: 'b' }),
      false: ['revocation-none-after-ack'],
    },
    {
      what: 'a near cache without a successor',
      seen: withNearCache({ renewedAfterMs: null, heldAtTheEnd: null }),
      false: ['revocation-renewed', 'revocation-renewed-after'],
    },
    {
      what: 'a near cache whose successor is the revoked token',
      seen: withNearCache({ heldAtTheEnd: 'b' }),
      false: ['revocation-renewed'],
    },
    {
      what: 'an answer that nobody counted',
      seen: { ...well, totals: { ...well.totals, joined: 195 } },
      false: ['books-balance'],
    },
  ])('find out $what', ({ seen, false: expected }) => {
    expect(untrue(seen)).toEqual(expected);
  });

  it('tell the slowest near cache, in ms with one decimal', () => {
    const claim = claimsOf(withNearCache({ droppedAfterMs: 31.4159 })).find(
      ({ name }) => name === 'revocation-dropped',
    );
    expect(claim).toMatchObject({ figure: 31.4, unit: 'ms' });
  });
});
