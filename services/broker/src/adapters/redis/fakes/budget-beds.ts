import { VirtualClock } from '@token-broker/testing';
import { beforeAll, describe } from 'vitest';
import { fakeBudgetBed, realBudgetBed, type BudgetBed } from '../../../app/fakes/budget-bed.js';
import { virtualTimeOf } from '../../../app/fakes/virtual-redis-time.js';
import type { LimitCeilings, PermitReply } from '../../../app/ports/upstream-budgets.js';
import { RedisUpstreamBudgets } from '../redis-upstream-budgets.js';
import { redisOfFile, type RedisOfFile } from './redis-of-file.js';

export const MINUTE_MS = 60_000;

/** A limit of the last minute. */
export const minute = (common: number, reserve = 0): LimitCeilings[] => [
  { window: { kind: 'sliding', ms: MINUTE_MS }, common, reserve },
];

/** The refusal of a call that a limit has no room for. */
export const full = (retryAfterMs: number): PermitReply => ({
  ...{ kind: 'refused', why: 'limit', code: 'QUOTA_EXHAUSTED', message: 'the quota is used up', retryAfterMs },
});

export const budgetsOn = ({ client }: RedisOfFile): RedisUpstreamBudgets =>
  new RedisUpstreamBudgets({ client, namespace: 'test', onError: () => undefined });

/**
 * A real Redis for all tests of the file that calls this.
 *
 * @returns makes budgets in it, empty and at that time, which moves on only where a test says so
 */
export function realBudgetBedsOn(redis: RedisOfFile): (startMs: number) => Promise<BudgetBed> {
  let setTime: (ms: number) => Promise<void>;
  beforeAll(() => {
    setTime = virtualTimeOf(redis.client);
  });
  return (startMs) => realBudgetBed(budgetsOn(redis), () => redis.client.flushall(), setTime, startMs);
}

/** The same tests of the budgets on a real Redis and of the fake, each on an own bed. */
export function onBothBudgets(startMs: number, tests: (createBed: () => BudgetBed | Promise<BudgetBed>) => void): void {
  const realBed = realBudgetBedsOn(redisOfFile());
  describe.each([
    ['Redis', () => realBed(startMs)],
    ['the fake', () => fakeBudgetBed(new VirtualClock(startMs))],
  ])('budgets on %s', (_, createBed) => {
    tests(createBed);
  });
}
