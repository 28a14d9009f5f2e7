import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeEach, expect, it } from 'vitest';
import { BudgetCalls } from '../../app/fakes/budget-bed.js';
import { endOfPeriod, periodOf, type Period } from '../../app/fakes/fake-budget.js';
import type { LimitCeilings } from '../../app/ports/upstream-budgets.js';
import { budgetsOn } from './fakes/budget-beds.js';
import { redisOfFile } from './fakes/redis-of-file.js';

const ROOT = '{test:upstream:u1}:';
const DAY_MS = 86_400_000;
const LIMITS: readonly LimitCeilings[] = [{ window: { kind: 'sliding', ms: 60_000 }, common: 5, reserve: 1 }];

const redis = redisOfFile();
let calls: BudgetCalls;

beforeEach(async () => {
  await redis.client.flushall();
  calls = new BudgetCalls(budgetsOn(redis));
});

/** In seconds, rounded up to tens, by the end of the key's name. */
async function lives(): Promise<Record<string, number>> {
  const keys = await redis.client.keys('*');
  const rows = await Promise.all(
    keys.map(async (key) => [key.replace(ROOT, ''), 10 * Math.ceil((await redis.client.pttl(key)) / 10_000)] as const),
  );
  return Object.fromEntries(rows);
}

it('keeps everything of an upstream under one hash tag, and nothing much longer than it counts', async () => {
  await calls.permit('a', { limits: LIMITS });
  await calls.permit('b', { limits: LIMITS, first: 'reserve' });
  const { calendar = 0, ...open } = await lives();
  expect(open).toEqual({
    // Its window, and a minute.
    state: 120,
    // How long a call may last (five seconds), and eleven minutes for those who tell late of its end.
    calls: 670,
    open: 670,
    // How long a call may last, its window, and a minute.
    common: 130,
    reserve: 130,
  });
  expect(calendar).toBeGreaterThan(DAY_MS / 1_000);
  expect(calendar).toBeLessThanOrEqual(32 * (DAY_MS / 1_000));
  await calls.settle('a', { kind: 'throttled', pauseMs: 3_600_000, message: 'slowly' }, { limits: LIMITS });
  await calls.settle('b', { kind: 'credential-refused', code: 'IDP_DENIED', message: 'no' }, { limits: LIMITS });
  expect(await lives()).toMatchObject({ state: 3_600 + 660, ended: 660, 'credential:c1': 670 });
});

it('keeps neither calls of windows that nobody has, nor settled ones as open', async () => {
  await calls.make('a');
  expect((await redis.client.keys('*')).map((key) => key.replace(ROOT, '')).sort()).toEqual(['calendar', 'ended']);
});

it('sweeps out what no longer counts, at most a thousand calls at a time', async () => {
  const old = Array.from({ length: 1_500 }, (_, i) => ['1', `old ${String(i)}`]).flat();
  for (const kind of ['common', 'reserve', 'ended']) await redis.client.zadd(ROOT + kind, ...old);
  const count = (): Promise<number[]> =>
    Promise.all(['common', 'reserve', 'ended'].map((kind) => redis.client.zcard(ROOT + kind)));
  await calls.permit('a', { limits: LIMITS });
  expect(await count()).toEqual([501, 500, 500]);
  await calls.permit('b', { limits: LIMITS });
  expect(await count()).toEqual([2, 0, 0]);
});

it('forgets calls whose end was never told, some time after they could arrive', async () => {
  const field = 'common 1 2';
  await redis.client.hset(`${ROOT}calls`, 'lost', field);
  await redis.client.zadd(`${ROOT}open`, '2', 'lost');
  await calls.permit('a');
  expect([await redis.client.hkeys(`${ROOT}calls`), await redis.client.zrange(`${ROOT}open`, '0', '-1')]).toEqual([
    ['a'],
    ['a'],
  ]);
});

it('refuses permits while Redis has no memory, writes nothing then, and takes the ends of calls all the same', async () => {
  await calls.permit('a', { limits: LIMITS });
  await redis.client.config('SET', 'maxmemory', '1');
  try {
    await expect(calls.permit('b', { limits: LIMITS })).rejects.toMatchObject({
      name: 'StoreError',
      outcome: 'refused',
    });
    await calls.settle('a', { kind: 'throttled', pauseMs: 9_000, message: 'slowly' }, { limits: LIMITS });
  } finally {
    await redis.client.config('SET', 'maxmemory', '0');
  }
  const { open, used, pausedMs } = await calls.state(LIMITS);
  expect([open, used]).toEqual([0, [{ common: 1, reserve: 0 }]]);
  expect(pausedMs).toBeGreaterThan(8_000);
});

it('says nothing, and writes nothing, where a key is not what it should be', async () => {
  await redis.client.set(`${ROOT}calls`, 'not a hash');
  await expect(calls.permit('a', { limits: LIMITS })).rejects.toMatchObject({ name: 'StoreError', outcome: 'refused' });
  expect(await redis.client.keys('*')).toEqual([`${ROOT}calls`]);
});

it('knows days and months as the calendar does', async () => {
  const text = readFileSync(new URL('../../../lua/calendar.lua', import.meta.url), 'utf8');
  const script = `${text}
    local function line(ms)
      local period = ARGV[1]
      return string.format('%.0f %.0f', periodOf(period, ms), endOfPeriod(period, ms))
    end
    local lines = {}
    for i = 2, #ARGV do lines[i - 1] = line(tonumber(ARGV[i])) end
    return lines`;
  const greatest = Date.UTC(2500, 0);
  // Among others the first and last moments of every month, over more than a whole cycle of leap years.
  const edges = Array.from({ length: 12 * 530 }, (_, month) => Date.UTC(1970, month)).flatMap((ms) => [
    ms,
    ms + DAY_MS - 1,
  ]);
  const before = edges.map((ms) => Math.max(0, ms - 1));
  const anywhere = fc.sample(fc.integer({ min: 0, max: greatest }), 500);
  for (const period of ['day', 'month'] satisfies Period[]) {
    for (const times of [edges, before, anywhere]) {
      for (let from = 0; from < times.length; from += 1_000) {
        const some = times.slice(from, from + 1_000);
        const lines = await redis.client.eval(script, 0, period, ...some.map(String));
        const expected = some.map((ms) => `${String(periodOf(period, ms))} ${String(endOfPeriod(period, ms))}`);
        expect(lines).toEqual(expected);
      }
    }
  }
});
