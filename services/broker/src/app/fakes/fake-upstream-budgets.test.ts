import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { ceilingsFor, type CallClass, type Quota } from '../../domain/call-class.js';
import type { PermitReply } from '../ports/upstream-budgets.js';
import { FakeRedis } from './fake-redis.js';
import { FakeUpstreamBudgets } from './fake-upstream-budgets.js';

const CLASSES: readonly CallClass[] = ['waiting', 'waiting-refetch', 'refetch', 'refresh-ahead'];
const UPSTREAM = { upstream: 'u1', credential: 'c1' };
const CALL_MS = 700;

/** The provider's own counter: the greatest number of arrivals in any stretch of `ms`, both ends counted. */
function greatestIn(ms: number, arrivals: readonly number[]): number {
  const sorted = [...arrivals].sort((a, b) => a - b);
  let [greatest, from] = [0, 0];
  for (const [to, atMs] of sorted.entries()) {
    while ((sorted[from] ?? 0) < atMs - ms) from++;
    greatest = Math.max(greatest, to - from + 1);
  }
  return greatest;
}

function greatestInDay(arrivals: readonly number[]): number {
  const days = new Map<number, number>();
  for (const atMs of arrivals) {
    const day = Math.floor(atMs / 86_400_000);
    days.set(day, (days.get(day) ?? 0) + 1);
  }
  return Math.max(0, ...days.values());
}

interface Flying {
  readonly call: string;
  readonly arrivesAtMs: number;
  readonly endsAtMs: number | undefined;
}

/** Calls of all classes as they come, each arriving at any time between its permit and its end. Times have fractions. */
async function run(
  quotas: readonly Quota[],
  random: SeededRandom,
  steps: number,
): Promise<{ arrivals: number[]; granted: number }> {
  // Just before midnight.
  const clock = new VirtualClock(Date.UTC(2026, 1, 28, 23, 59, 58));
  const budgets = new FakeUpstreamBudgets(new FakeRedis(clock, 1));
  const arrivals: number[] = [];
  let flying: Flying[] = [];
  let granted = 0;
  const end = async (): Promise<void> => {
    const over = flying.filter(({ endsAtMs }) => endsAtMs !== undefined && endsAtMs <= clock.wallMs());
    flying = flying.filter((one) => !over.includes(one));
    for (const { call } of over) {
      const outcome = { kind: 'answered' } as const;
      const { limits } = ceilingsFor(quotas, 'waiting');
      await budgets.settle({ ...UPSTREAM, call, limits, outcome, uniform: 0 });
    }
  };
  for (let step = 0; step < steps; step++) {
    await clock.advance(random.uniform() * (random.integer(10) === 0 ? 300 : 30));
    await end();
    const call = `call ${String(step)}`;
    const callClass = CLASSES[random.integer(CLASSES.length)] ?? 'waiting';
    const ceilings = ceilingsFor(quotas, callClass);
    const permit = (): Promise<PermitReply> => budgets.permit({ ...UPSTREAM, call, callMs: CALL_MS, ...ceilings });
    let reply = await permit();
    // Now and then the reply is lost, and it is sent again.
    if (random.integer(8) === 0) reply = await permit();
    if (reply.kind === 'refused') continue;
    granted++;
    const sentAtMs = clock.wallMs();
    // The greatest times are those that matter most.
    const lastsMs = random.integer(3) === 0 ? CALL_MS : random.uniform() * CALL_MS;
    const arrivesAtMs = sentAtMs + (random.integer(3) > 0 ? random.integer(2) : random.uniform()) * lastsMs;
    arrivals.push(arrivesAtMs);
    // Some never tell that they have ended.
    const endsAtMs = random.integer(6) === 0 ? undefined : sentAtMs + lastsMs;
    flying.push({ call, arrivesAtMs, endsAtMs });
  }
  return { arrivals, granted };
}

describe('calls of a provider, wherever between permit and end they arrive', () => {
  it.each([
    ['a second', [{ limit: 10, window: { kind: 'sliding', ms: 1_000 }, reserve: 2 }]],
    ['a window shorter than a call', [{ limit: 3, window: { kind: 'sliding', ms: 100 }, reserve: 0 }]],
    [
      'two windows',
      [
        { limit: 4, window: { kind: 'sliding', ms: 250 }, reserve: 1 },
        { limit: 12, window: { kind: 'sliding', ms: 2_000 }, reserve: 3 },
      ],
    ],
  ] satisfies [string, Quota[]][])('are never more than the limit in any stretch of time: %s', async (_, quotas) => {
    for (let i = 0; i < 25; i++) {
      const random = new SeededRandom();
      const { arrivals, granted } = await run(quotas, random, 300);
      const [tightest] = quotas;
      expect(granted, `seed ${String(random.seed)}`).toBeGreaterThan(tightest?.limit ?? 0);
      for (const { limit, window } of quotas)
        expect(greatestIn(window.ms, arrivals), `seed ${String(random.seed)}`).toBeLessThanOrEqual(limit);
    }
  });

  it('are never more than the limit on any day, though some are under way at midnight', async () => {
    const quotas: Quota[] = [{ limit: 60, window: { kind: 'calendar', period: 'day' }, reserve: 10 }];
    let reached = 0;
    for (let i = 0; i < 25; i++) {
      const random = new SeededRandom();
      const { arrivals } = await run(quotas, random, 300);
      expect(greatestInDay(arrivals), `seed ${String(random.seed)}`).toBeLessThanOrEqual(60);
      reached = Math.max(reached, greatestInDay(arrivals));
    }
    expect(reached).toBe(60);
  });
});

it('lets exactly the limit pass in each window, where calls end at once', async () => {
  const clock = new VirtualClock();
  const budgets = new FakeUpstreamBudgets(new FakeRedis(clock, 1));
  const { limits, first } = ceilingsFor([{ limit: 7, window: { kind: 'sliding', ms: 1_000 }, reserve: 0 }], 'waiting');
  const passed: number[] = [];
  for (let call = 0; call < 500; call++) {
    const reply = await budgets.permit({ ...UPSTREAM, call: String(call), callMs: CALL_MS, limits, first });
    if (reply.kind === 'refused') {
      await clock.advance(reply.retryAfterMs - 1);
      const early = { ...UPSTREAM, call: `early ${String(call)}`, callMs: CALL_MS, limits, first };
      expect((await budgets.permit(early)).kind).toBe('refused');
      await clock.advance(1);
      continue;
    }
    passed.push(clock.wallMs());
    await budgets.settle({ ...UPSTREAM, call: String(call), limits, outcome: { kind: 'answered' }, uniform: 0 });
  }
  expect(greatestIn(1_000, passed)).toBe(7);
  // One millisecond is lost in each window: both of its ends count.
  const windows = ((passed.at(-1) ?? 0) - (passed[0] ?? 0)) / 1_001;
  expect(passed.length).toBeGreaterThanOrEqual(windows * 7);
});
