import { createSystemClock, delay } from '@token-broker/foundation';
import { eventually, SeededRandom } from '@token-broker/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  failureIn,
  inTurns,
  LOCK_MS,
  startGovernedStack,
  type GovernedStack,
} from '../../integration/governed-stack.js';
import { metricValue } from '../../integration/stack.js';
import { mostInAnyWindow, tokenFor, type Arrival } from '../../integration/watched-provider.js';

/** 100 calls in any 2 s; `QUOTA_WINDOW_MS=60000` makes it a minute, with all else in proportion, and tells the figures. */
const WINDOW_MS = Number(process.env['QUOTA_WINDOW_MS'] ?? 2_000);
const LIMIT = 100;
/** Of the limit: kept for fetching again what was revoked; and, of the rest, a fifth that renewals leave to callers. */
const RESERVE = 10;
const HEADROOM = 18;
const FOR_RENEWALS = LIMIT - RESERVE - HEADROOM;
/** 1,000 slots: renewed ahead, revoked in the middle of it, and cold ones that callers wait for. */
const RENEWED = 120;
const REVOKED = 20;
const COLD = 860;
/** How many of them are fetched at once, while there is no limit. */
const AT_ONCE = 20;
/** Due for renewal between three and four eighths of it, which is soon after the window of the first calls is over. */
const LIFE_MS = 4 * WINDOW_MS;
/** Under way, until it is counted, and then until the reply: each call is somewhere else in its permit's time. */
const TRAVEL_MS = 400;
const WORK_MS = 150;
/** How long callers go on asking; there was about one window of calls before. */
const STORM_MS = 3.5 * WINDOW_MS;
const LEAST_WINDOWS = 3;
/** What a loaded machine may add to a window's work. */
const PATIENCE_MS = 20_000;
/** Of what callers who wait are given, renewals get no more than this part at the same time. */
const RENEWALS_AT_MOST = 0.25;

const clock = createSystemClock();
const random = new SeededRandom(29);
const quotaOf = (limit: number, reserve: number) => ({ limit, window: `${String(WINDOW_MS)}ms`, reserve });

let governed: GovernedStack;

beforeAll(async () => {
  const client = { clientId: 'one-client', clientSecret: 'one-secret', refresh: { ahead: '50%' } };
  governed = await startGovernedStack({
    travelMs: () => TRAVEL_MS * random.uniform(),
    answer: (arrival) => ({
      ...tokenFor(arrival, arrival.tenant === 'wide' ? LIFE_MS : undefined),
      delayMs: WORK_MS * random.uniform(),
    }),
    // Enough for all slots at first; then the sources and their tokens stay, and the budget is a tenth of them.
    sources: { wide: { ...client, quota: quotaOf(10_000, 0) }, kept: { ...client, quota: quotaOf(10_000, 0) } },
  });
});
afterAll(() => governed.stop());

const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${name}-${String(index)}`);

interface Refusal {
  readonly code: string;
  readonly retryAfterMs: number;
}

const refusals: Refusal[] = [];

/** Undefined: a token. */
async function refusalOf(source: string, audience: string): Promise<Refusal | undefined> {
  const cause = failureIn(await governed.ask(source, audience));
  if (cause === undefined) return undefined;
  const refusal = { code: cause.code, retryAfterMs: cause.retryAfterMs ?? 0 };
  refusals.push(refusal);
  return refusal;
}

async function served(source: string, audiences: readonly string[]): Promise<number> {
  const all = await Promise.all(audiences.map((audience) => refusalOf(source, audience)));
  return all.filter((refusal) => refusal === undefined).length;
}

/** Comes back when it was told to, or a little later, until it has its token or nobody waits any more. */
async function wait(audience: string, untilMs: number): Promise<void> {
  // More come at any moment than there is room for, but not all of them at once.
  await delay(clock, STORM_MS * random.uniform());
  while (clock.elapsedMs() < untilMs) {
    const refusal = await refusalOf('wide', audience);
    if (refusal === undefined) return;
    const pauseMs = refusal.retryAfterMs + STORM_MS * random.uniform();
    await delay(clock, Math.max(0, Math.min(pauseMs, untilMs - clock.elapsedMs())));
  }
}

const refusedRenewals = (): Promise<number> =>
  governed.total((metrics) =>
    metricValue(metrics, 'token_broker_idp_calls_refused_total', { class: 'refresh-ahead', why: 'limit' }),
  );

const isRenewal = ({ tenant, audience }: Arrival): boolean => tenant === 'wide' && audience.startsWith('renewed-');

it(
  '3 replicas, 1,000 slots, 100 calls in any window: never more at the provider’s counter; callers before renewals, and the reserve is kept',
  async () => {
    const { idp, stack } = governed;
    const renewed = numbered('renewed', RENEWED);
    const revoked = numbered('revoked', REVOKED);
    const cold = numbered('cold', COLD);
    expect(renewed.length + revoked.length + cold.length).toBe(1_000);
    const operator = await stack.operator();

    // All replicas hold the tokens that are to be renewed and revoked; then the budget becomes what it is.
    await inTurns(revoked, AT_ONCE, (audience) => refusalOf('kept', audience));
    await inTurns(renewed, AT_ONCE, (audience) => refusalOf('wide', audience));
    expect(refusals).toEqual([]);
    await stack.rewrite((settings) => {
      const sources = settings['sources'] as Record<string, object>;
      const quota = quotaOf(LIMIT, RESERVE);
      return { ...settings, sources: { wide: { ...sources['wide'], quota }, kept: { ...sources['kept'], quota } } };
    });
    await Promise.all(stack.brokers.map((broker) => broker.reload()));
    const governedSince = idp.arrivals.length;
    const since = (from = governedSince): readonly Arrival[] => idp.arrivals.slice(from);

    // Renewals fill what is theirs, and no more of it.
    await eventually(async () => since().filter(isRenewal).length >= FOR_RENEWALS && (await refusedRenewals()) > 0, {
      what: 'renewals that are refused',
      withinMs: 3 * WINDOW_MS + PATIENCE_MS,
    });

    // A caller who waits finds room at once, as long as callers are no more than what was left to them.
    expect(await served('wide', cold.slice(0, HEADROOM))).toBe(HEADROOM);
    // Hundreds of callers who wait, and hundreds of tokens that are due.
    const stormSince = idp.arrivals.length;
    const refusedBefore = await refusedRenewals();
    const endsAtMs = clock.elapsedMs() + STORM_MS;
    const storming = Promise.all(cold.slice(HEADROOM).map((audience) => wait(audience, endsAtMs)));

    // In the middle of it, what is revoked is fetched again at once: nobody could use the reserve up for anything else. Where
    // callers have just left room, it needs no reserve; then it is revoked once more.
    let revocations = 0;
    for (let reserveUsed = 0; reserveUsed === 0; revocations++) {
      const before = refusals.length;
      await eventually(() => refusals.length > before, { what: 'callers who are refused' });
      await operator.revoke({ selector: { source: 'kept' }, reason: 'a test' });
      expect(await served('kept', revoked.slice(0, RESERVE))).toBe(RESERVE);
      // The calls count for a window from their end.
      reserveUsed = (await governed.budgetOf('kept')).limits[0]?.reserveUsed ?? 0;
      expect(clock.elapsedMs()).toBeLessThan(endsAtMs);
    }
    expect(idp.of('kept')).toHaveLength(REVOKED + RESERVE * revocations);

    await storming;
    const storm = since(stormSince).filter(({ tenant }) => tenant === 'wide');
    const renewals = storm.filter(isRenewal).length;
    expect((await refusedRenewals()) - refusedBefore).toBeGreaterThan(RENEWED - FOR_RENEWALS);
    expect(renewals).toBeLessThanOrEqual(RENEWALS_AT_MOST * (storm.length - renewals));

    // One caller who is left and comes back when it was told to is served, whatever renewals want.
    const last = await refusalOf('wide', 'last');
    await delay(clock, last?.retryAfterMs ?? 0);
    expect(await refusalOf('wide', 'last')).toBeUndefined();

    const calls = since();
    const most = mostInAnyWindow(calls, WINDOW_MS);
    const tookMs = (calls.at(-1)?.atMs ?? 0) - (calls[0]?.atMs ?? 0);
    if (process.env['QUOTA_WINDOW_MS'] !== undefined) {
      const counts = { calls: calls.length, storm: storm.length, renewals, refusals: refusals.length };
      console.log({ most, tookMs, ...counts, refusedRenewals: await refusedRenewals() });
    }
    expect(most).toBeLessThanOrEqual(LIMIT);
    expect(tookMs).toBeGreaterThanOrEqual(LEAST_WINDOWS * WINDOW_MS);
    // The budget was really wanted, and used.
    expect(most).toBeGreaterThan(LIMIT / 2);
    expect(mostInAnyWindow(calls.filter(isRenewal), WINDOW_MS)).toBeLessThanOrEqual(FOR_RENEWALS);
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['QUOTA_EXHAUSTED']));
    for (const { retryAfterMs } of refusals) {
      expect(retryAfterMs).toBeGreaterThan(0);
      expect(retryAfterMs).toBeLessThanOrEqual(WINDOW_MS + LOCK_MS + 2);
    }
  },
  8 * WINDOW_MS + 2 * PATIENCE_MS,
);
