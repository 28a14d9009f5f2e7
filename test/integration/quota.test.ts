import { createSystemClock, delay } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ANSWERED_WITHIN_MS, failureIn, startGovernedStack, type GovernedStack } from './governed-stack.js';
import { metricValue, type Settings } from './stack.js';
import { mostInAnyWindow, tokenFor } from './watched-provider.js';

/** A window of three calls, in which a test can look at each of them. */
const SMALL = { limit: 3, windowMs: 1_500 };
/** Redis reckons in whole milliseconds, the test in parts of them. */
const ROUNDING_MS = 2;
/** Too long for any test to see its end: what is counted stays counted. */
const LONG = '31d';

const clock = createSystemClock();
let governed: GovernedStack;
/** Requests of these sources are answered when the test lets them go. */
const waitingAtProvider = new Map<string, () => void>();

const sharing = (change: Settings = {}): Settings => ({
  clientId: 'one-client',
  clientSecret: 'one-secret',
  ...change,
});

beforeAll(async () => {
  governed = await startGovernedStack({
    answer: async (arrival) => {
      if (arrival.tenant === 'slow') await new Promise<void>((resolve) => waitingAtProvider.set('slow', resolve));
      return tokenFor(arrival, arrival.tenant === 'renewed' ? 3_000 : undefined);
    },
    sources: {
      small: { quota: { limit: SMALL.limit, window: `${String(SMALL.windowMs)}ms`, reserve: 0 } },
      // Only one of the two states what holds for both.
      'sharing-a': sharing({ quota: { limit: 4, window: LONG, reserve: 0 } }),
      'sharing-b': sharing(),
      stranger: { clientSecret: 'one-secret', quota: { limit: 4, window: LONG, reserve: 0 } },
      monthly: { quota: { limit: 8, window: 'month', reserve: 0 } },
      attributed: {},
      renewed: { refresh: { ahead: '50%' } },
      slow: { timeout: '25s', lockTime: '27s' },
      cold: {},
      common: {},
    },
    callers: {
      billing: { sources: [{ name: 'attributed', audiences: 'any' }] },
      reports: { sources: [{ name: 'attributed', audiences: 'any' }, 'renewed'] },
    },
  });
});
afterAll(() => governed.stop());

const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `a${String(from + index)}`);

async function answers(source: string, audiences: readonly string[], caller?: string): Promise<string[]> {
  const replies = await Promise.all(audiences.map((audience) => governed.ask(source, audience, caller)));
  return replies.map((reply) => failureIn(reply)?.code ?? 'token');
}

const count = (replies: readonly string[], what: string): number => replies.filter((reply) => reply === what).length;

describe('a budget', () => {
  it('refuses with the time to try again, and a call at that time goes through', async () => {
    const { limit, windowMs } = SMALL;
    expect(await answers('small', numbered(limit))).toEqual(numbered(limit).map(() => 'token'));
    // Until their ends are noted, calls count as if they could still arrive.
    await eventually(async () => (await governed.budgetOf('small')).open === 0, { what: 'the calls to be settled' });
    const refused = failureIn(await governed.ask('small', 'next'));
    expect(refused?.code).toBe('QUOTA_EXHAUSTED');
    const { retryAfterMs = 0 } = refused ?? {};
    expect(retryAfterMs).toBeLessThanOrEqual(windowMs + ROUNDING_MS);
    // Not sooner: the first of the calls is still in the window until then.
    const [first] = governed.idp.of('small');
    expect(governed.idp.nowMs() + retryAfterMs).toBeGreaterThanOrEqual((first?.atMs ?? Number.NaN) + windowMs);
    // And no later: nobody else asks, so that there is room at the very moment that was told.
    await delay(clock, retryAfterMs);
    expect(failureIn(await governed.ask('small', 'next'))).toBeUndefined();
    const arrivals = governed.idp.of('small');
    expect(arrivals).toHaveLength(limit + 1);
    expect(mostInAnyWindow(arrivals, windowMs)).toBe(limit);
  });

  it('is one for all sources of a client at an endpoint, and none of another client’s', async () => {
    expect(await answers('sharing-a', numbered(2))).toEqual(['token', 'token']);
    expect(await answers('sharing-b', numbered(2))).toEqual(['token', 'token']);
    expect(await answers('sharing-a', numbered(2, 2))).toEqual(['QUOTA_EXHAUSTED', 'QUOTA_EXHAUSTED']);
    expect(await answers('sharing-b', numbered(2, 2))).toEqual(['QUOTA_EXHAUSTED', 'QUOTA_EXHAUSTED']);
    const used = async (source: string): Promise<number | undefined> =>
      (await governed.budgetOf(source)).limits[0]?.used;
    expect([await used('sharing-a'), await used('sharing-b'), await used('stranger')]).toEqual([4, 4, 0]);
    expect(await answers('stranger', numbered(4))).toEqual(numbered(4).map(() => 'token'));
  });

  it('of a calendar month is still used up after all replicas have restarted', async () => {
    const used = async (): Promise<unknown> => (await governed.budgetOf('monthly')).limits;
    expect(await answers('monthly', numbered(7))).toEqual(numbered(7).map(() => 'token'));
    const seven = [{ limit: 8, window: 'month', used: 7, reserve: 0, reserveUsed: 0 }];
    expect(await used()).toEqual(seven);

    const { stack } = governed;
    const stopped = stack.brokers.splice(0);
    await Promise.all(stopped.map((broker) => broker.stop(1_000)));
    for (const _ of stopped) await stack.addBroker();
    expect(await used()).toEqual(seven);

    const after = await answers('monthly', numbered(6, 7));
    expect([count(after, 'token'), count(after, 'QUOTA_EXHAUSTED')]).toEqual([1, 5]);
    expect(governed.idp.of('monthly')).toHaveLength(8);
    const now = new Date(clock.wallMs());
    const endsInMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1) - now.getTime();
    const { retryAfterMs = 0 } = failureIn(await governed.ask('monthly', 'one-more')) ?? {};
    expect(Math.abs(retryAfterMs - endsInMs)).toBeLessThan(2 * ANSWERED_WITHIN_MS);
  });
});

it('who causes calls is told by caller and source, and sums to what the provider has counted', async () => {
  const caused = (source: string, caller?: string, reason?: string): Promise<number> =>
    governed.total((metrics) =>
      metricValue(metrics, 'token_broker_idp_calls_caused_total', {
        source,
        ...(caller === undefined ? {} : { caller }),
        ...(reason === undefined ? {} : { reason }),
      }),
    );
  await answers('attributed', numbered(3), 'billing');
  await answers('attributed', numbered(5, 3), 'reports');
  // Found in memory, or in Redis: nobody's call.
  await answers('attributed', numbered(8), 'orders');
  expect(governed.idp.of('attributed')).toHaveLength(8);
  expect([await caused('attributed', 'billing'), await caused('attributed', 'reports')]).toEqual([3, 5]);
  expect(await caused('attributed')).toBe(8);

  // What is renewed is on the account of whoever was the last to ask.
  await governed.ask('renewed', undefined, 'reports');
  await eventually(async () => (await caused('renewed', 'reports', 'refresh')) > 0, { what: 'a renewal' });
  await eventually(async () => (await caused('renewed', 'reports')) === governed.idp.of('renewed').length, {
    what: 'the sum to be what the provider has counted',
  });
});

describe('one call', () => {
  it('K7: that takes 30 s delays nobody else: it ends when the test says so, and all others have been served', async () => {
    let slowEnded = false;
    const slow = Promise.all([governed.ask('slow'), governed.ask('slow')]).finally(() => {
      slowEnded = true;
    });
    await eventually(() => waitingAtProvider.has('slow'), { what: 'the slow call to be under way' });
    const others = await answers('cold', numbered(60));
    expect(count(others, 'token')).toBe(60);
    expect(count(await answers('cold', numbered(60)), 'token')).toBe(60);
    expect(slowEnded).toBe(false);
    waitingAtProvider.get('slow')?.();
    expect((await slow).map((reply) => failureIn(reply))).toEqual([undefined, undefined]);
    expect(governed.idp.of('slow')).toHaveLength(1);
  });

  it('K6: is what ten clients of one configuration cause', async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => governed.stack.client('orders')));
    const tokens = await Promise.all(clients.map((client) => client.source('common').get()));
    expect(new Set(tokens.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(governed.idp.of('common')).toHaveLength(1);
  });
});
