import { createSystemClock, delay } from '@token-broker/foundation';
import type { GetReply } from '@token-broker/protocol';
import { eventually, type ScriptedReply } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ANSWERED_WITHIN_MS,
  failureIn,
  inTurns,
  startGovernedStack,
  type GovernedStack,
} from '../../integration/governed-stack.js';
import { tokenFor, type Arrival } from '../../integration/watched-provider.js';

/** `timeout` of what hangs, and `lockTime`: as long as this a call that was never settled would count. */
const TIMEOUT_MS = 800;
const LOCK_MS = 10_000;
/** So many failures in a row open the breaker; then pauses of half to all of 1 s, 2 s, 4 s, … 30 s, with one probe each. */
const OPENS_AFTER = 5;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Who meets a probe that is under way is told to come back in this time at most. */
const PROBE_WAIT_MS = 1_000;
/** Room for one call more than the breaker opens after, in a window that is shorter than a lock. */
const HANGING_WINDOW_MS = 1_000;
const HANGING_QUOTA = { limit: OPENS_AFTER + 1, window: '1s', reserve: 0 };
/** A probe may hang too, and make the pause the second one; then a window. */
const RECOVERED_WITHIN_MS = FIRST_PAUSE_MS + TIMEOUT_MS + 2 * FIRST_PAUSE_MS + HANGING_WINDOW_MS + ANSWERED_WITHIN_MS;

const SLOTS = 50;
/** How many of them are fetched at once, before the storm. */
const AT_ONCE = 10;
const LIFE_MS = 4_000;
/** `cluster.minLifetime` of the stack: with less than this left, no token is handed out. */
const MIN_LIFETIME_MS = 1_000;
/** Replicas reckon an expiry early by as much as their own read of Redis took, and so not at the same moment. */
const REPLICAS_DIFFER_BY_MS = 250;
/** How long the storm goes on when no token is left. */
const STORM_AFTER_END_MS = 1_500;
/** How often services use each slot's token. */
const USE_EVERY_MS = 400;

/** A life that is shorter than the margin, and how long it is watched. */
const SHORT_LIFE_MS = 4_000;
const SHORT_WATCHED_MS = 5_000;
/** Of the life: a renewal is never sooner. */
const SOONEST = 0.25;
const DEFAULT_LIFETIME_MS = 60_000;
/** Of that, until the answers are there. */
const FETCHED_WITHIN_MS = 15_000;

const clock = createSystemClock();
let governed: GovernedStack;
let isHanging = false;
let isStormy = false;

beforeAll(async () => {
  governed = await startGovernedStack({
    answer,
    sources: {
      hanging: { timeout: `${String(TIMEOUT_MS)}ms`, lockTime: `${String(LOCK_MS)}ms`, quota: HANGING_QUOTA },
      stormy: { refresh: { ahead: '50%' } },
      frugal: { refresh: { ahead: '50%' }, quota: { limit: 1, window: '31d', reserve: 0 } },
      short: { refresh: { ahead: '30s' } },
      unstated: { defaultLifetime: `${String(DEFAULT_LIFETIME_MS)}ms` },
    },
  });
});
afterAll(() => governed.stop());

function answer(arrival: Arrival): ScriptedReply {
  switch (arrival.tenant) {
    case 'hanging':
      return isHanging ? { fault: 'hang' } : tokenFor(arrival);
    case 'stormy':
      if (isStormy) return { status: 500, body: { error: 'server_error' } };
      return tokenFor(arrival, arrival.audience === 'valid' ? undefined : LIFE_MS);
    case 'short':
      return tokenFor(arrival, SHORT_LIFE_MS);
    case 'unstated':
      return { body: { access_token: `unstated.${arrival.audience}`, token_type: 'Bearer' } };
    default:
      return tokenFor(arrival, LIFE_MS);
  }
}

const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${name}-${String(index)}`);

interface Answered {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly reply: GetReply;
}

async function ask(source: string, audience?: string): Promise<Answered> {
  const askedAtMs = clock.elapsedMs();
  const reply = await governed.ask(source, audience);
  return { askedAtMs, answeredAtMs: clock.elapsedMs(), reply };
}

const isToken = ({ reply }: Answered): boolean => failureIn(reply) === undefined;

const refusalsIn = (answers: readonly Answered[]): readonly { readonly code: string }[] =>
  answers.flatMap(({ reply }) => failureIn(reply) ?? []);

/** Nobody is refused before the usable life of the last token is over, and nobody is given it afterwards. */
function expectServedToTheEnd(answers: readonly Answered[]): void {
  let usableUntilMs = Number.NaN;
  for (const { askedAtMs, answeredAtMs, reply } of answers) {
    if ('expiresInMs' in reply) {
      expect(reply.expiresInMs).toBeGreaterThanOrEqual(MIN_LIFETIME_MS);
      usableUntilMs = askedAtMs + reply.expiresInMs - MIN_LIFETIME_MS;
    } else expect(answeredAtMs).toBeGreaterThanOrEqual(usableUntilMs - REPLICAS_DIFFER_BY_MS);
  }
}

/** A service that uses its token all the time, until then. */
async function use(source: string, audience: string | undefined, untilMs: () => number): Promise<readonly Answered[]> {
  const all: Answered[] = [];
  while (clock.elapsedMs() < untilMs()) {
    all.push(await ask(source, audience));
    await delay(clock, USE_EVERY_MS);
  }
  return all;
}

/** The most probes that fit into this time when each pause is at its shortest. */
function mostProbesWithin(ms: number): number {
  let probes = 0;
  for (let full = FIRST_PAUSE_MS, atMs = full / 2; atMs <= ms; probes++) {
    full = Math.min(LONGEST_PAUSE_MS, 2 * full);
    atMs += full / 2;
  }
  return probes;
}

it('F27: the provider hangs: IDP_TIMEOUT, the breaker opens, lock and budget are free long before a lock ends', async () => {
  const { idp } = governed;
  isHanging = true;
  const hung = await Promise.all(numbered('hung', OPENS_AFTER).map((audience) => ask('hanging', audience)));
  for (const { reply, askedAtMs, answeredAtMs } of hung) {
    expect(failureIn(reply)?.code).toBe('IDP_TIMEOUT');
    expect(answeredAtMs - askedAtMs).toBeLessThan(TIMEOUT_MS + ANSWERED_WITHIN_MS);
  }
  // The calls are settled; nobody calls what does not answer, and nobody waits for it.
  await eventually(async () => (await governed.budgetOf('hanging')).open === 0, { what: 'the calls to be settled' });
  expect((await governed.budgetOf('hanging')).breaker).not.toBe('closed');
  const next = await Promise.all(numbered('next', 12).map((audience) => ask('hanging', audience)));
  for (const { reply } of next) expect(['IDP_TIMEOUT', 'QUOTA_EXHAUSTED']).toContain(failureIn(reply)?.code);
  // One of them may have been the probe.
  expect(idp.of('hanging').length).toBeLessThanOrEqual(OPENS_AFTER + 1);
  expect(next.filter(({ askedAtMs, answeredAtMs }) => answeredAtMs - askedAtMs >= TIMEOUT_MS).length).toBeLessThan(2);

  isHanging = false;
  const healedAtMs = clock.elapsedMs();
  const unserved = new Set(numbered('hung', OPENS_AFTER));
  await eventually(
    async () => {
      for (const audience of [...unserved]) if (isToken(await ask('hanging', audience))) unserved.delete(audience);
      return unserved.size === 0;
    },
    { what: 'all to be served', withinMs: LOCK_MS },
  );
  expect(clock.elapsedMs() - healedAtMs).toBeLessThan(RECOVERED_WITHIN_MS);
  expect((await governed.budgetOf('hanging')).breaker).toBe('closed');
});

describe.concurrent('tokens that cannot be renewed', () => {
  it('F28 E3: a storm of 500s on 50 slots: a bounded number of calls, tokens to their minimum lifetime, recovery in time', async () => {
    const { idp } = governed;
    const slots = numbered('slot', SLOTS);
    const first = await inTurns(['valid', ...slots], AT_ONCE, (audience) => ask('stormy', audience));
    expect(refusalsIn(first)).toEqual([]);
    isStormy = true;
    const stormSince = idp.of('stormy').length;
    const startedAtMs = clock.elapsedMs();
    const endsAtMs = startedAtMs + LIFE_MS - MIN_LIFETIME_MS + STORM_AFTER_END_MS;
    const [valid = [], ...storm] = await Promise.all(
      ['valid', ...slots].map((audience) => use('stormy', audience, () => endsAtMs)),
    );
    const stormMs = clock.elapsedMs() - startedAtMs;
    expect(valid.length).toBeGreaterThan(5);
    expect(refusalsIn(valid)).toEqual([]);
    for (const [index, answers] of storm.entries()) {
      expectServedToTheEnd([...first.slice(index + 1, index + 2), ...answers]);
      expect(answers.at(-1)?.reply).toMatchObject({ error: { code: 'IDP_UNAVAILABLE' } });
    }
    // Calls that were under way when the breaker opened, one at most for each slot; then probes.
    const calls = idp.of('stormy').length - stormSince;
    expect(calls).toBeGreaterThanOrEqual(OPENS_AFTER);
    expect(calls).toBeLessThanOrEqual(SLOTS + mostProbesWithin(stormMs));

    isStormy = false;
    let unserved = slots;
    const refusals = async (): Promise<readonly number[]> => {
      const answers = await Promise.all(unserved.map((audience) => ask('stormy', audience)));
      unserved = unserved.filter((_, index) => !answers.slice(index, index + 1).every(isToken));
      return answers.flatMap(({ reply }) => failureIn(reply)?.retryAfterMs ?? []);
    };
    const healedAtMs = clock.elapsedMs();
    const toldMs = Math.max(0, ...(await refusals()));
    await eventually(async () => (await refusals()).length === 0, {
      what: 'tokens after the storm',
      withinMs: LONGEST_PAUSE_MS,
      everyMs: 20,
    });
    expect(clock.elapsedMs() - healedAtMs).toBeLessThan(toldMs + PROBE_WAIT_MS + ANSWERED_WITHIN_MS);
    expect(idp.of('stormy').length - stormSince - calls).toBeLessThanOrEqual(
      SLOTS + mostProbesWithin(ANSWERED_WITHIN_MS),
    );
  });

  it('E3: a budget that is used up: the old token to its minimum lifetime, then QUOTA_EXHAUSTED, and no call', async () => {
    const first = await ask('frugal');
    expect(refusalsIn([first])).toEqual([]);
    const endsAtMs = first.answeredAtMs + LIFE_MS - MIN_LIFETIME_MS + STORM_AFTER_END_MS;
    const answers = await use('frugal', undefined, () => endsAtMs);
    expectServedToTheEnd([first, ...answers]);
    expect(new Set(refusalsIn(answers).map(({ code }) => code))).toEqual(new Set(['QUOTA_EXHAUSTED']));
    expect(answers.some(isToken)).toBe(true);
    expect(governed.idp.of('frugal')).toHaveLength(1);
  });

  it('E4: a life shorter than the margin: always a token, and no tight loop of renewals', async () => {
    const startedAtMs = clock.elapsedMs();
    const answers = await use('short', undefined, () => startedAtMs + SHORT_WATCHED_MS);
    const watchedMs = clock.elapsedMs() - startedAtMs;
    expect(refusalsIn(answers)).toEqual([]);
    const calls = governed.idp.of('short').length;
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThanOrEqual(1 + Math.ceil(watchedMs / (SOONEST * SHORT_LIFE_MS)));
  });

  it('E4: a missing expires_in: the configured default, and one warning of each replica', async () => {
    const answers = await Promise.all(numbered('u', 30).map((audience) => ask('unstated', audience)));
    for (const { reply } of answers) {
      const expiresInMs = 'expiresInMs' in reply ? reply.expiresInMs : Number.NaN;
      expect(expiresInMs).toBeLessThanOrEqual(DEFAULT_LIFETIME_MS);
      expect(expiresInMs).toBeGreaterThan(DEFAULT_LIFETIME_MS - FETCHED_WITHIN_MS);
    }
    expect(governed.idp.of('unstated')).toHaveLength(30);
    const warnings = governed.stack.logLines.filter((line) => line.includes('no-expires-in'));
    expect(warnings.length).toBeGreaterThan(0);
    expect(warnings.length).toBeLessThanOrEqual(governed.stack.brokers.length);
  });
});
