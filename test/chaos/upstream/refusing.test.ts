import { createSystemClock } from '@token-broker/foundation';
import type { GetReply } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { metricValue } from '../../integration/stack.js';
import { ANSWERED_WITHIN_MS, MANY, startUpstreamBed, type UpstreamBed } from './faulty-upstream.js';

const LIFE_MS = 4_000;
/** `cluster.minLifetime` of the stack: with less than this left, no token is handed out. */
const MIN_LIFETIME_MS = 1_000;
const HELD_UP_MS = 20;
/** Pauses after failures in a row are half to all of 0.5 s, 1 s, 2 s, …; all replicas and all callers share them. */
const FIRST_PAUSE_MS = 500;
/** How long the storm lasts after the token's end: long enough for several pauses. */
const STORM_AFTER_END_MS = 1_500;
/** `Retry-After` of the 429, in seconds. */
const RETRY_AFTER_S = 2;
/** That the pause is no longer is bounded by what hundreds of requests may take on a loaded machine. */
const RECOVERED_WITHIN_MS = 10_000;

/** Replicas reckon an expiry early by as much as their own read of Redis took, and so not at the same moment. */
const REPLICAS_DIFFER_BY_MS = 250;

const clock = createSystemClock();
let bed: UpstreamBed;

beforeAll(async () => {
  bed = await startUpstreamBed({
    tokenLifeSeconds: LIFE_MS / 1000,
    sources: async () => ({ stormy: { refresh: { ahead: '50%' } }, limited: { refresh: { ahead: 'off' } } }),
  });
});
afterAll(() => bed.stack.stop());

/** The most calls that fit into a window when each pause is at its shortest: half of what doubles each time. */
function mostCallsWithin(windowMs: number): number {
  let calls = 1;
  for (let endsAtMs = FIRST_PAUSE_MS / 2; endsAtMs <= windowMs; calls++) endsAtMs += (FIRST_PAUSE_MS / 2) * 2 ** calls;
  return calls;
}

interface Answered {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly reply: GetReply;
}

async function ask(source: string): Promise<Answered> {
  const askedAtMs = clock.elapsedMs();
  const reply = await bed.ops.answer(bed.get(source));
  return { askedAtMs, answeredAtMs: clock.elapsedMs(), reply };
}

it('F28: a storm of 500s: few calls, the token is served to its minimum lifetime, recovery without a restart', async () => {
  const { stack } = bed;
  const client = await stack.client('ops');
  const handle = client.source('stormy');
  const first = await handle.get();
  const endsAtMs = clock.elapsedMs() + first.expiresInMs - MIN_LIFETIME_MS;
  expect(bed.callsFor('stormy')).toBe(1);
  stack.idp.failNext(1_000_000, { status: 500, body: '{"error":"server_error"}' });

  // Services that do not know of the storm: replicas and a near cache are asked all the time.
  const answers: Answered[] = [];
  let leastLeftMs = first.expiresInMs;
  await eventually(
    async () => {
      const lookedAtMs = clock.elapsedMs();
      const leftMs = handle.current?.expiresInMs;
      // A process that is held up between the two says nothing of what was left when the token was handed out.
      if (leftMs !== undefined && clock.elapsedMs() - lookedAtMs < HELD_UP_MS)
        leastLeftMs = Math.min(leastLeftMs, leftMs);
      answers.push(...(await Promise.all([1, 2, 3].map(() => ask('stormy')))));
      return clock.elapsedMs() >= endsAtMs + STORM_AFTER_END_MS;
    },
    { what: 'the end of the storm', withinMs: 4 * LIFE_MS },
  );

  const tokens = answers.filter(({ reply }) => 'accessToken' in reply);
  const refusals = answers.filter(({ reply }) => 'error' in reply);
  for (const { reply } of tokens) expect(reply).toMatchObject({ generation: first.generation });
  for (const { reply } of refusals) expect(reply).toMatchObject({ error: { code: 'IDP_UNAVAILABLE' } });
  // Nobody is refused before the token's usable life is over, and nobody is given it afterwards.
  for (const { answeredAtMs } of refusals)
    expect(answeredAtMs).toBeGreaterThanOrEqual(endsAtMs - REPLICAS_DIFFER_BY_MS);
  for (const { askedAtMs } of tokens) expect(askedAtMs).toBeLessThanOrEqual(endsAtMs + REPLICAS_DIFFER_BY_MS);
  expect(leastLeftMs).toBeGreaterThanOrEqual(MIN_LIFETIME_MS - HELD_UP_MS);
  expect(leastLeftMs).toBeLessThan(MIN_LIFETIME_MS + ANSWERED_WITHIN_MS);

  // The storm was felt: the renewal at half of the life began it, and hundreds of requests cost a handful of calls.
  const calls = bed.callsFor('stormy') - 1;
  expect(answers.length).toBeGreaterThan(100);
  expect(calls).toBeGreaterThanOrEqual(2);
  expect(calls).toBeLessThanOrEqual(mostCallsWithin(LIFE_MS / 2 + STORM_AFTER_END_MS));

  stack.idp.failNext(0);
  const { reply } = await ask('stormy');
  const pauseMs = 'error' in reply ? (reply.error.retryAfterMs ?? 0) : 0;
  const calmAtMs = clock.elapsedMs();
  await eventually(() => handle.get(), { what: 'a token after the storm', withinMs: 15_000 });
  expect(clock.elapsedMs() - calmAtMs).toBeLessThan(pauseMs + ANSWERED_WITHIN_MS);
  expect(bed.callsFor('stormy') - 1).toBe(calls + 1);
});

it('F29: a 429 with Retry-After: every replica honours it for the slot, also one that has come since', async () => {
  const { stack } = bed;
  stack.idp.failNext(1, {
    status: 429,
    headers: { 'retry-after': String(RETRY_AFTER_S) },
    body: '{"error":"slow_down"}',
  });
  const { askedAtMs, reply } = await ask('limited');
  expect(reply).toMatchObject({ error: { code: 'QUOTA_EXHAUSTED' } });
  const { retryAfterMs = 0 } = 'error' in reply ? reply.error : {};
  expect(retryAfterMs).toBeLessThanOrEqual(RETRY_AFTER_S * 1000);
  expect(retryAfterMs).toBeGreaterThan(RETRY_AFTER_S * 1000 - ANSWERED_WITHIN_MS);

  await stack.addBroker();
  const refusedBy = async (broker: number): Promise<number> =>
    metricValue(await stack.metrics(broker), 'token_broker_requests_total', {
      source: 'limited',
      outcome: 'QUOTA_EXHAUSTED',
    });
  const refusals: number[] = [];
  await eventually(
    async () => {
      const answers = await Promise.all(MANY.map(() => ask('limited')));
      if (answers.some(({ reply: answer }) => 'accessToken' in answer)) return true;
      refusals.splice(0, refusals.length, ...(await Promise.all(stack.brokers.map((_, index) => refusedBy(index)))));
      return false;
    },
    { what: 'a token', withinMs: RECOVERED_WITHIN_MS },
  );
  expect(clock.elapsedMs()).toBeGreaterThanOrEqual(askedAtMs + RETRY_AFTER_S * 1000 - 1);
  expect(refusals).toHaveLength(4);
  for (const count of refusals) expect(count).toBeGreaterThan(0);
  expect(bed.callsFor('limited')).toBe(2);
});
