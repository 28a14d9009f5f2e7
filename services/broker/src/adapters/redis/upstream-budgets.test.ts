import { beforeEach, describe, expect, it } from 'vitest';
import { ANSWERED, BudgetCalls, CALL_MS, type BudgetBed } from '../../app/fakes/budget-bed.js';
import type { LimitCeilings } from '../../app/ports/upstream-budgets.js';
import { full, minute, MINUTE_MS, onBothBudgets } from './fakes/budget-beds.js';

/** The last half minute of January 2027. */
const START_MS = Date.UTC(2027, 0, 31, 23, 59, 30);

const period = (name: 'day' | 'month', common: number): LimitCeilings[] => [
  { window: { kind: 'calendar', period: name }, common, reserve: 0 },
];

onBothBudgets(START_MS, (createBed) => {
  let bed: BudgetBed;
  let calls: BudgetCalls;

  beforeEach(async () => {
    bed = await createBed();
    calls = new BudgetCalls(bed.budgets);
  });

  describe('a limit', () => {
    it('counts a call from its permit until a window after its end, both included', async () => {
      const limits = minute(1);
      await calls.permit('a', { limits });
      await bed.pass(2_000);
      await calls.settle('a', ANSWERED, { limits });
      expect(await calls.permit('b', { limits })).toEqual(full(MINUTE_MS + 1));
      await bed.pass(MINUTE_MS);
      expect(await calls.permit('b', { limits })).toEqual(full(1));
      await bed.pass(1);
      expect(await calls.permit('b', { limits })).toEqual({ kind: 'go' });
    });

    it('takes an end between two milliseconds for the later one', async () => {
      const limits = minute(1);
      await calls.permit('a', { limits });
      await bed.pass(0.25);
      await calls.settle('a', ANSWERED, { limits });
      expect(await calls.permit('b', { limits })).toEqual(full(MINUTE_MS + 2));
    });

    it('counts a call that never tells of its end as if it had arrived at the latest', async () => {
      const limits = minute(1);
      await calls.permit('a', { limits });
      expect(await calls.permit('b', { limits })).toEqual(full(CALL_MS + MINUTE_MS + 1));
      await bed.pass(CALL_MS + MINUTE_MS + 1);
      expect(await calls.permit('b', { limits })).toEqual({ kind: 'go' });
    });

    it('counts a call that ends later than it should from its end', async () => {
      const limits = minute(1);
      await calls.permit('a', { limits });
      await bed.pass(CALL_MS + 3_000);
      await calls.settle('a', ANSWERED, { limits });
      expect(await calls.permit('b', { limits })).toEqual(full(MINUTE_MS + 1));
    });

    it('says when as many calls will have left as must', async () => {
      const limits = minute(3);
      for (const call of ['a', 'b', 'c']) {
        await calls.make(call, ANSWERED, { limits });
        await bed.pass(1_000);
      }
      expect(await calls.permit('d', { limits })).toEqual(full(MINUTE_MS + 1 - 3_000));
      expect(await calls.permit('d', { limits: minute(1) })).toEqual(full(MINUTE_MS + 1 - 1_000));
      expect((await calls.state(limits)).used).toEqual([{ common: 3, reserve: 0 }]);
    });

    it('is one call when its permit is asked for again, and may then arrive later', async () => {
      const limits = minute(2);
      await calls.permit('a', { limits });
      await bed.pass(1_000);
      expect(await calls.permit('a', { limits })).toEqual({ kind: 'go' });
      expect(await calls.state(limits)).toMatchObject({ open: 1, used: [{ common: 1, reserve: 0 }] });
      await calls.permit('b', { limits, callMs: 9_000 });
      expect(await calls.permit('c', { limits })).toEqual(full(CALL_MS + MINUTE_MS + 1));
    });

    it('does not permit again a call that has ended, nor one that could no longer arrive', async () => {
      await calls.make('a');
      await calls.permit('b');
      await bed.pass(CALL_MS + 1);
      for (const call of ['a', 'b']) expect(await calls.permit(call)).toMatchObject({ kind: 'refused', why: 'limit' });
      expect((await calls.state()).open).toBe(0);
    });

    it('counts a call once whose end is told twice', async () => {
      const limits = minute(1);
      await calls.make('a', ANSWERED, { limits });
      await bed.pass(30_000);
      await calls.settle('a', ANSWERED, { limits });
      expect(await calls.permit('b', { limits })).toEqual(full(30_001));
    });

    it('gives back what was not made, though it is told twice', async () => {
      const limits = [...minute(2), ...period('day', 2), ...period('month', 2)];
      await calls.make('a', ANSWERED, { limits });
      await calls.permit('b', { limits, callMs: MINUTE_MS });
      await calls.settle('b', { kind: 'not-made' }, { limits });
      await calls.settle('b', { kind: 'not-made' }, { limits });
      const one = { common: 1, reserve: 0 };
      expect(await calls.state(limits)).toMatchObject({ open: 0, used: [one, one, one] });
      await bed.pass(30_000);
      expect((await calls.state(limits)).used.slice(1)).toEqual([
        { common: 0, reserve: 0 },
        { common: 0, reserve: 0 },
      ]);
    });

    it('leaves no call behind whose permit comes after it was given up', async () => {
      const limits = minute(1);
      await calls.settle('a', { kind: 'not-made' }, { limits });
      expect((await calls.permit('a', { limits })).kind).toBe('refused');
      expect(await calls.permit('b', { limits })).toEqual({ kind: 'go' });
    });

    it('counts a call again whose permit was lost with a server', async () => {
      const limits = [...minute(1), ...period('month', 1)];
      await calls.permit('a', { limits });
      await bed.lose();
      await calls.settle('a', ANSWERED, { limits });
      const one = { common: 1, reserve: 0 };
      expect(await calls.state(limits)).toMatchObject({ open: 0, used: [one, one] });
    });

    it('counts a call from its permit at least, where a server whose clock is behind takes its end', async () => {
      const limits = [...minute(1), ...period('day', 1)];
      await calls.permit('a', { limits });
      await bed.pass(-3_000);
      await calls.settle('a', ANSWERED, { limits });
      const one = { common: 1, reserve: 0 };
      expect((await calls.state(limits)).used).toEqual([one, one]);
      expect(await calls.permit('b', { limits: minute(1) })).toEqual(full(MINUTE_MS + 3_001));
    });

    it('charges the first account for which every limit admits', async () => {
      const limits: LimitCeilings[] = [
        ...minute(1, 2),
        { window: { kind: 'sliding', ms: 1_000 }, common: 5, reserve: 1 },
      ];
      await calls.make('a', ANSWERED, { limits });
      await calls.make('b', ANSWERED, { limits });
      expect((await calls.state(limits)).used).toEqual([
        { common: 1, reserve: 1 },
        { common: 1, reserve: 1 },
      ]);
      // The minute has room in the reserve, the second has not, until it is over.
      expect(await calls.permit('c', { limits })).toEqual(full(1_001));
      await bed.pass(1_001);
      expect(await calls.permit('c', { limits })).toEqual({ kind: 'go' });
      expect((await calls.state(limits)).used[0]).toEqual({ common: 1, reserve: 2 });
    });

    it('charges the reserve first where it is asked to, and never where it is not for the class', async () => {
      await calls.make('a', ANSWERED, { limits: minute(1, 1), first: 'reserve' });
      expect((await calls.state(minute(1))).used).toEqual([{ common: 0, reserve: 1 }]);
      await calls.make('b', ANSWERED, { limits: minute(1) });
      expect(await calls.permit('c', { limits: minute(1) })).toEqual(full(MINUTE_MS + 1));
      expect(await calls.permit('d', { limits: minute(0) })).toEqual(full(MINUTE_MS + 1));
    });

    it('remembers calls for the longest window that anybody has, whoever permits the next', async () => {
      const hour: LimitCeilings[] = [{ window: { kind: 'sliding', ms: 60 * MINUTE_MS }, common: 2, reserve: 0 }];
      await calls.make('a', ANSWERED, { limits: hour });
      await bed.pass(10 * MINUTE_MS);
      await calls.make('b', ANSWERED, { limits: minute(5) });
      expect(await calls.permit('c', { limits: hour })).toEqual(full(50 * MINUTE_MS + 1));
    });

    it('is of one upstream', async () => {
      await calls.make('a', ANSWERED, { limits: minute(1) });
      expect(await calls.permit('b', { limits: minute(1), upstream: 'u2' })).toEqual({ kind: 'go' });
    });
  });

  describe('a limit of a period of the calendar', () => {
    it.each(['day', 'month'] as const)('counts until the end of the %s', async (name) => {
      const limits = period(name, 1);
      await calls.make('a', ANSWERED, { limits });
      await bed.pass(10_000);
      expect(await calls.permit('b', { limits })).toEqual(full(20_000));
      await bed.pass(20_000);
      await calls.make('b', ANSWERED, { limits });
      // February of a common year.
      const lengthMs = (name === 'day' ? 1 : 28) * 86_400_000;
      expect(await calls.permit('c', { limits })).toEqual(full(lengthMs));
      await bed.pass(lengthMs);
      expect(await calls.permit('c', { limits })).toEqual({ kind: 'go' });
    });

    it('counts a call in both periods that may arrive in either, until its end tells', async () => {
      const limits = period('month', 1);
      await calls.permit('a', { limits, callMs: 40_000 });
      await bed.pass(29_999);
      expect(await calls.permit('b', { limits })).toEqual(full(1));
      await bed.pass(1);
      expect((await calls.permit('b', { limits })).kind).toBe('refused');
      await calls.settle('a', ANSWERED, { limits });
      expect((await calls.permit('b', { limits })).kind).toBe('refused');
    });

    it('counts it in the first one alone where it has ended there', async () => {
      const limits = period('month', 1);
      await calls.permit('a', { limits, callMs: 40_000 });
      await calls.settle('a', ANSWERED, { limits });
      await bed.pass(30_000);
      expect(await calls.permit('b', { limits })).toEqual({ kind: 'go' });
    });

    it('counts it in the period of its end where that came later than it should', async () => {
      const limits = period('day', 1);
      await calls.permit('a', { limits });
      await bed.pass(31_000);
      await calls.settle('a', ANSWERED, { limits });
      expect((await calls.permit('b', { limits })).kind).toBe('refused');
    });

    it('knows the calls that were made before it was asked for', async () => {
      await calls.make('a');
      expect((await calls.permit('b', { limits: period('month', 1) })).kind).toBe('refused');
    });
  });
});
